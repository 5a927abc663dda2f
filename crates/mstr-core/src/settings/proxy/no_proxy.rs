//! Which hosts are reached directly: the language of `NO_PROXY`.

use std::net::IpAddr;

use ipnet::IpNet;

/// A list of hosts, as `NO_PROXY` has it: separated by commas or spaces; names that stand for
/// themselves and everything below them, addresses, networks, each with a port if it is for that
/// port only, and `*` for everything.
#[derive(Clone, Debug, Default)]
pub(super) struct NoProxy(Vec<Entry>);

#[derive(Clone, Debug)]
struct Entry {
    host: Pattern,
    port: Option<u16>,
}

#[derive(Clone, Debug)]
enum Pattern {
    Any,
    Network(IpNet),
    /// In lower case, without the dot in front that some write.
    Domain(String),
}

impl NoProxy {
    /// Adds the entries in `list`, and returns those that are not hosts.
    pub(super) fn add<'l>(&mut self, list: &'l str) -> Vec<&'l str> {
        let separator = |letter: char| letter == ',' || letter.is_whitespace();
        let mut odd = Vec::new();
        for entry in list.split(separator).filter(|entry| !entry.is_empty()) {
            match Entry::parse(entry) {
                Some(entry) => self.0.push(entry),
                None => odd.push(entry),
            }
        }
        odd
    }

    pub(super) fn matches(&self, host: &str, port: u16) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let address = address(&host);
        self.0.iter().any(|entry| {
            entry.port.is_none_or(|only| only == port)
                && match &entry.host {
                    Pattern::Any => true,
                    Pattern::Network(network) => {
                        address.is_some_and(|address| network.contains(&address))
                    }
                    Pattern::Domain(domain) => address.is_none() && is_within(&host, domain),
                }
        })
    }
}

impl Entry {
    fn parse(entry: &str) -> Option<Self> {
        // An IPv6 address without brackets has colons that separate no port.
        if let Some(host) = Pattern::parse(entry) {
            return Some(Self { host, port: None });
        }
        let (host, port) = entry.rsplit_once(':')?;
        Some(Self { host: Pattern::parse(host)?, port: Some(port.parse().ok()?) })
    }
}

impl Pattern {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        if let Some(address) = address(text) {
            return Some(Self::Network(IpNet::from(address)));
        }
        if text.contains('/') {
            return text.parse().ok().map(Self::Network);
        }
        let domain = text.strip_prefix("*.").or_else(|| text.strip_prefix('.')).unwrap_or(text);
        let domain = domain.trim_end_matches('.');
        let allowed = |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '_' | '.');
        (!domain.is_empty() && domain.chars().all(allowed))
            .then(|| Self::Domain(domain.to_ascii_lowercase()))
    }
}

/// Whether `host` is `domain` or lies below it.
pub(super) fn is_within(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn address(host: &str) -> Option<IpAddr> {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_matched_as_the_list_says() {
        // List, host, port, whether the host is reached directly.
        let table = [
            ("", "a.example.com", 80, false),
            ("*", "a.example.com", 80, true),
            ("*", "10.1.2.3", 443, true),
            ("example.com", "example.com", 80, true),
            ("example.com", "EXAMPLE.COM", 80, true),
            ("Example.Com", "api.example.com", 443, true),
            ("example.com", "example.com.", 443, true),
            ("example.com", "badexample.com", 80, false),
            ("example.com", "example.com.evil.net", 80, false),
            (".example.com", "api.example.com", 80, true),
            (".example.com", "example.com", 80, true),
            ("*.example.com", "api.example.com", 80, true),
            ("a.example.com", "example.com", 80, false),
            ("example.com:8080", "example.com", 8080, true),
            ("example.com:8080", "example.com", 80, false),
            ("one.test, two.test", "two.test", 80, true),
            ("one.test two.test", "two.test", 80, true),
            (" , one.test ,, ", "one.test", 80, true),
            ("10.0.0.0/8", "10.200.3.4", 80, true),
            ("10.0.0.0/8", "11.0.0.1", 80, false),
            ("10.0.0.0/8", "ten.example.com", 80, false),
            ("10.0.0.0/8:8443", "10.0.0.1", 8443, true),
            ("10.0.0.0/8:8443", "10.0.0.1", 443, false),
            ("192.168.1.7", "192.168.1.7", 80, true),
            ("192.168.1.7", "192.168.1.70", 80, false),
            ("192.168.1.7:81", "192.168.1.7", 81, true),
            ("::1", "[::1]", 80, true),
            ("[::1]", "[::1]", 80, true),
            ("[::1]:8080", "[::1]", 8080, true),
            ("[::1]:8080", "[::1]", 80, false),
            ("fd00::/8", "[fd12::1]", 80, true),
            ("fd00::/8", "[fe80::1]", 80, false),
            ("localhost", "localhost", 80, true),
            ("localhost", "127.0.0.1", 80, false),
            ("127.0.0.0/8", "localhost", 80, false),
            // A name that looks like the end of an address is not one.
            ("1", "127.0.0.1", 80, false),
            ("0.1", "127.0.0.1", 80, false),
        ];
        for (list, host, port, direct) in table {
            let mut no_proxy = NoProxy::default();
            assert!(no_proxy.add(list).is_empty(), "{list:?}");
            assert_eq!(no_proxy.matches(host, port), direct, "{list:?} for {host}:{port}");
        }
    }

    #[test]
    fn what_is_no_entry_is_named() {
        for entry in [
            "10.0.0.0/99",
            "10.0.0.0/",
            "a/b",
            "host:port",
            "host:99999",
            "http://host",
            "*x",
            "10.*",
            "<local>",
        ] {
            let list = format!("{entry},ok.test");
            let mut no_proxy = NoProxy::default();
            assert_eq!(no_proxy.add(&list), [entry]);
            assert!(no_proxy.matches("ok.test", 80), "what stands beside {entry} counts");
        }
    }
}
