//! Which proxy a request goes through.

mod address;
mod masked;
mod no_proxy;

use std::borrow::Cow;
use std::fmt;
use std::net::Ipv6Addr;
use std::sync::Arc;

use http::Uri;
use http::uri::Scheme;
use zeroize::Zeroizing;

pub use self::address::{Proxy, ProxyScheme};
use self::masked::masked;
use self::no_proxy::{NoProxy, is_within};
use super::refuse;
use crate::contract::TransportError;

/// Proxy settings of a transport.
///
/// Without any, every server is reached directly; the environment is read only by
/// [`from_env`](Self::from_env), at once, and what is said here in so many words beats it.
///
/// A proxy's address is `scheme://user:password@host:port`, percent-encoded where needed, with
/// `http`, `https`, `socks5` (names are looked up here) or `socks5h` (names are looked up by the
/// proxy) as its scheme. Without a scheme it is `http`, without a port 80, 443 or 1080. Requests
/// to https servers go through a tunnel (`CONNECT`), so the proxy sees host and port only;
/// requests to http servers it sees whole.
///
/// Of several settings the most specific one decides: a [`host`](Self::host), then
/// [`no_proxy`](Self::no_proxy), then [`http`](Self::http) and [`https`](Self::https), then
/// [`all`](Self::all).
///
/// ```
/// use mstr_core::settings::ProxyConfig;
///
/// let proxies = ProxyConfig::new()
///     .all("http://proxy.example.com:3128")
///     .no_proxy("intranet.example.com, 10.0.0.0/8");
/// let proxies = proxies.resolve()?;
/// assert!(proxies.of(&"https://env.example.net/".parse()?).is_some());
/// assert!(proxies.of(&"https://lib.intranet.example.com/".parse()?).is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct ProxyConfig {
    stated: Layer,
    environment: Layer,
}

/// Settings of one origin: those of the program, or those of the environment.
#[derive(Clone, Default)]
struct Layer {
    rules: Vec<Rule>,
    no_proxy: Vec<(String, String)>,
}

#[derive(Clone)]
struct Rule {
    /// What named it, for errors: `ProxyConfig::https`, `HTTPS_PROXY`.
    setting: String,
    scope: Scope,
    url: Zeroizing<String>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Scope {
    All,
    Host(String),
    Http,
    Https,
}

impl ProxyConfig {
    /// No proxy at all.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What the environment says now: `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`, or
    /// the same in capitals where those are not set or empty. Further settings beat it.
    ///
    /// What stands in `no_proxy` and is no host (`10.*`, `<local>`, which other programs read) is
    /// ignored, with a warning in the log.
    ///
    /// `HTTP_PROXY` in capitals is left out where `REQUEST_METHOD` is set: in a CGI program it is
    /// what a client has sent as its `Proxy` header.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the caller asks for it")]
    pub fn from_env() -> Self {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    /// [`from_env`](Self::from_env) with another environment.
    #[must_use]
    pub fn from_variables(get: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| get(name).filter(|value| !value.trim().is_empty());
        let of_either_case = |name: &str| {
            let capitals = name.to_ascii_uppercase();
            let forged = name == "http_proxy" && get("REQUEST_METHOD").is_some();
            get(name).map(|value| (name.to_owned(), value)).or_else(|| {
                if forged { None } else { get(&capitals).map(|value| (capitals, value)) }
            })
        };
        let mut environment = Layer::default();
        for (name, scope) in
            [("http_proxy", Scope::Http), ("https_proxy", Scope::Https), ("all_proxy", Scope::All)]
        {
            if let Some((setting, url)) = of_either_case(name) {
                environment.rules.push(Rule { setting, scope, url: Zeroizing::new(url) });
            }
        }
        environment.no_proxy.extend(of_either_case("no_proxy"));
        Self { stated: Layer::default(), environment }
    }

    /// A proxy for every request that nothing else is said about.
    #[must_use]
    pub fn all(self, url: impl Into<String>) -> Self {
        self.rule("all", Scope::All, url.into())
    }

    /// A proxy for requests to http servers.
    #[must_use]
    pub fn http(self, url: impl Into<String>) -> Self {
        self.rule("http", Scope::Http, url.into())
    }

    /// A proxy for requests to https servers.
    #[must_use]
    pub fn https(self, url: impl Into<String>) -> Self {
        self.rule("https", Scope::Https, url.into())
    }

    /// A proxy for requests to `host`, a name or an address as it stands in a URL, and everything
    /// below it. Of several that fit, the longest name decides.
    #[must_use]
    pub fn host(self, host: impl AsRef<str>, url: impl Into<String>) -> Self {
        let host = host.as_ref().trim();
        let host = host.strip_prefix("*.").unwrap_or(host).trim_matches('.').to_ascii_lowercase();
        // As it stands in a URL.
        let bare = host.parse::<Ipv6Addr>().is_ok();
        let host = if bare { format!("[{host}]") } else { host };
        self.rule("host", Scope::Host(host), url.into())
    }

    /// Hosts that are reached directly, in the language of `NO_PROXY`: a list, separated by commas
    /// or spaces, of names (each stands for itself and everything below it), addresses, networks
    /// (`10.0.0.0/8`), each with a port (`host:8080`) if it is for that port only; `*` stands for
    /// every host.
    #[must_use]
    pub fn no_proxy(mut self, list: impl Into<String>) -> Self {
        self.stated.no_proxy.push(("ProxyConfig::no_proxy".to_owned(), list.into()));
        self
    }

    fn rule(mut self, setting: &str, scope: Scope, url: String) -> Self {
        let setting = format!("ProxyConfig::{setting}");
        self.stated.rules.retain(|rule| rule.scope != scope);
        self.stated.rules.push(Rule { setting, scope, url: Zeroizing::new(url) });
        self
    }

    /// Checks everything that was named; for transports.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::TransportErrorKind::Config), naming the setting, what was given (without
    /// a password) and the problem.
    pub fn resolve(&self) -> Result<Proxies, TransportError> {
        let stated = self.stated.resolve(|setting, entry| {
            Err(refuse(format!(
                "{setting}: `{}` is neither a host name nor an address nor a network; write `host`, \
                 `host:port` or `10.0.0.0/8`",
                entry
            )))
        })?;
        // The environment is for all programs, and some read other patterns in it.
        let environment = self.environment.resolve(|setting, entry| {
            tracing::warn!(
                target: "mstr::session",
                setting,
                ?entry,
                "ignored: neither a host name nor an address nor a network"
            );
            Ok(())
        })?;
        Ok(Proxies(Arc::new([stated, environment])))
    }
}

impl fmt::Debug for ProxyConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for layer in [&self.stated, &self.environment] {
            for rule in &layer.rules {
                map.entry(
                    &format_args!("{}", rule.setting),
                    &format_args!("{}", masked(&rule.url)),
                );
            }
            for (setting, list) in &layer.no_proxy {
                map.entry(&format_args!("{setting}"), &masked_list(list));
            }
        }
        map.finish()
    }
}

impl Layer {
    /// Checks the rules, and tells `odd` of each entry in a list of hosts that is none.
    fn resolve(
        &self,
        mut odd: impl FnMut(&str, &str) -> Result<(), TransportError>,
    ) -> Result<ResolvedLayer, TransportError> {
        let mut no_proxy = NoProxy::default();
        for (setting, list) in &self.no_proxy {
            for entry in no_proxy.add(list) {
                // A password may have what separates entries in it.
                let shown = if list.contains('@') { masked(list) } else { entry.to_owned() };
                odd(setting, &shown)?;
            }
        }
        let rules = self.rules.iter().map(|rule| {
            let proxy = Proxy::parse(&rule.url).map_err(|problem| {
                refuse(format!("{}: `{}` {problem}", rule.setting, masked(&rule.url)))
            })?;
            if let Scope::Host(host) = &rule.scope
                && !is_host(host)
            {
                return Err(refuse(format!(
                    "{}: `{}` is no host; write its name or address, without scheme and port",
                    rule.setting,
                    masked(host)
                )));
            }
            Ok((rule.scope.clone(), proxy))
        });
        Ok(ResolvedLayer { rules: rules.collect::<Result<_, TransportError>>()?, no_proxy })
    }
}

/// Hosts that need no proxy, unless a user and password stand among them by mistake.
fn masked_list(list: &str) -> Cow<'_, str> {
    if list.contains('@') { Cow::Owned(masked(list)) } else { Cow::Borrowed(list) }
}

/// Whether this can be the host of a URL. What cannot would be a setting without effect.
fn is_host(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let address = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    match address {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => !text.is_empty() && text.bytes().all(letter),
    }
}

/// The proxies of a transport, checked. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Proxies(Arc<[ResolvedLayer; 2]>);

#[derive(Clone, Debug, Default)]
struct ResolvedLayer {
    rules: Vec<(Scope, Proxy)>,
    no_proxy: NoProxy,
}

/// What a layer says about a request.
enum Verdict<'a> {
    Direct,
    Nothing,
    Through(&'a Proxy),
}

impl Proxies {
    /// The proxy for a request to `uri`, or `None` if the server is to be reached directly.
    #[must_use]
    pub fn of(&self, uri: &Uri) -> Option<&Proxy> {
        if self.is_empty() {
            return None;
        }
        let host = uri.host()?;
        let https = uri.scheme() == Some(&Scheme::HTTPS);
        let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        for layer in &*self.0 {
            match layer.judge(host, port, https) {
                Verdict::Direct => return None,
                Verdict::Through(proxy) => return Some(proxy),
                Verdict::Nothing => {}
            }
        }
        None
    }

    /// Whether no request goes through a proxy.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|layer| layer.rules.is_empty())
    }

    /// Every proxy there is, so that a transport can refuse what its stack cannot do.
    pub fn iter(&self) -> impl Iterator<Item = &Proxy> {
        self.0.iter().flat_map(|layer| layer.rules.iter().map(|(_, proxy)| proxy))
    }
}

impl ResolvedLayer {
    fn judge(&self, host: &str, port: u16, https: bool) -> Verdict<'_> {
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        let longest = self
            .rules
            .iter()
            .filter_map(|(scope, proxy)| match scope {
                Scope::Host(domain) if is_within(&name, domain) => Some((domain.len(), proxy)),
                _ => None,
            })
            .max_by_key(|(length, _)| *length);
        if let Some((_, proxy)) = longest {
            return Verdict::Through(proxy);
        }
        if self.no_proxy.matches(host, port) {
            return Verdict::Direct;
        }
        let scheme = if https { Scope::Https } else { Scope::Http };
        let found = |wanted: &Scope| self.rules.iter().find(|(scope, _)| scope == wanted);
        match found(&scheme).or_else(|| found(&Scope::All)) {
            Some((_, proxy)) => Verdict::Through(proxy),
            None => Verdict::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Sent, TransportErrorKind};

    fn through(config: &ProxyConfig, uri: &str) -> Option<String> {
        let proxies = config.resolve().unwrap();
        proxies.of(&uri.parse().unwrap()).map(Proxy::to_string)
    }

    fn environment(variables: &'static [(&str, &str)]) -> ProxyConfig {
        ProxyConfig::from_variables(|name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_most_specific_setting_decides() {
        let config = ProxyConfig::new()
            .all("socks5h://all")
            .https("http://secure:8080")
            .host("Example.com", "http://example:1")
            .host("api.example.com", "http://api:2")
            .no_proxy("direct.test, api.example.com");
        let table = [
            ("http://one.test/", Some("socks5h://all:1080")),
            ("https://one.test/", Some("http://secure:8080")),
            ("https://direct.test/", None),
            ("https://example.com/", Some("http://example:1")),
            ("https://www.EXAMPLE.com/", Some("http://example:1")),
            ("http://v2.api.example.com/", Some("http://api:2")),
            ("http://notexample.com/", Some("socks5h://all:1080")),
        ];
        for (uri, expected) in table {
            assert_eq!(through(&config, uri).as_deref(), expected, "{uri}");
        }
        assert_eq!(through(&ProxyConfig::new(), "http://one.test/"), None);
        assert!(ProxyConfig::new().resolve().unwrap().is_empty());
    }

    #[test]
    fn the_last_of_two_settings_for_the_same_counts() {
        let config = ProxyConfig::new().http("http://first").http("http://second");
        assert_eq!(through(&config, "http://one.test/").as_deref(), Some("http://second:80"));
    }

    #[test]
    fn the_environment_is_read_in_both_cases() {
        let config = environment(&[
            ("HTTP_PROXY", "http://capitals:1"),
            ("https_proxy", "http://small:2"),
            ("HTTPS_PROXY", "http://capitals:3"),
            ("NO_PROXY", "direct.test"),
        ]);
        assert_eq!(through(&config, "http://one.test/").as_deref(), Some("http://capitals:1"));
        assert_eq!(through(&config, "https://one.test/").as_deref(), Some("http://small:2"));
        assert_eq!(through(&config, "https://direct.test/"), None);
        let empty = environment(&[("http_proxy", " "), ("HTTP_PROXY", ""), ("all_proxy", "all:4")]);
        assert_eq!(through(&empty, "http://one.test/").as_deref(), Some("http://all:4"));
    }

    #[test]
    fn entries_of_the_environment_that_are_no_hosts_are_ignored() {
        let given: &[_] =
            &[("all_proxy", "http://env:1"), ("no_proxy", "10.*,<local>, direct.test;x, one.test")];
        let config = environment(given);
        assert_eq!(through(&config, "http://one.test/"), None);
        assert_eq!(through(&config, "http://10.1.2.3/").as_deref(), Some("http://env:1"));
        // The same in code is a mistake, also beside such an environment.
        let error = config.no_proxy("<local>").resolve().expect_err("it is no host").to_string();
        assert!(error.contains("ProxyConfig::no_proxy: `<local>`"), "{error}");
    }

    #[test]
    fn a_header_of_a_client_is_no_setting() {
        let forged: &[_] =
            &[("REQUEST_METHOD", "GET"), ("HTTP_PROXY", "http://evil"), ("ALL_PROXY", "good:1")];
        assert_eq!(
            through(&environment(forged), "http://one.test/").as_deref(),
            Some("http://good:1")
        );
    }

    #[test]
    fn what_is_said_beats_the_environment() {
        let given: &[_] = &[("all_proxy", "http://env:1"), ("no_proxy", "direct.test")];
        let config = environment(given).https("http://said:2");
        // Not even the list of the environment takes away what was said.
        for (uri, expected) in [
            ("https://one.test/", Some("http://said:2")),
            ("https://direct.test/", Some("http://said:2")),
            ("http://one.test/", Some("http://env:1")),
            ("http://direct.test/", None),
        ] {
            assert_eq!(through(&config, uri).as_deref(), expected, "{uri}");
        }
        let config = environment(given).no_proxy("one.test");
        assert_eq!(through(&config, "http://one.test/"), None);
    }

    #[test]
    fn a_mistake_names_the_setting_and_what_was_given_without_a_password() {
        let all = |url: &str| ProxyConfig::new().all(url);
        let table = [
            (all("ftp://ann:hush@host"), "ProxyConfig::all: `ftp://***@host` has a scheme"),
            (all(""), "ProxyConfig::all: `` is no address"),
            (all("http://"), "is no address"),
            (all("http://host:99999"), "`http://host:99999` has a port that is none"),
            (all("http://host:0"), "has a port that is none"),
            (all("http://host:x"), "has a port that is none"),
            (all("http://ho st"), "is no address"),
            (all("http://host/path"), "is no address"),
            (all("http://ann:hush%0d%0ax@host"), "`http://***@host` has control characters"),
            (all("http://a%3Ann:hush@host"), "has a colon in its user"),
            (all("http://ann:%ff@host"), "not UTF-8"),
            (ProxyConfig::new().http("gopher://host"), "ProxyConfig::http: "),
            (ProxyConfig::new().https("gopher://host"), "ProxyConfig::https: "),
            (ProxyConfig::new().host("a.test", "gopher://host"), "ProxyConfig::host: "),
            (ProxyConfig::new().host("", "http://host"), "ProxyConfig::host: `` is no host"),
            (
                ProxyConfig::new().host("https://env.test/x", "http://host"),
                "ProxyConfig::host: `https://env.test/x` is no host; write its name",
            ),
            (ProxyConfig::new().host("env.test:443", "http://host"), "`env.test:443` is no host"),
            (ProxyConfig::new().host("[env.test]", "http://host"), "`[env.test]` is no host"),
            (ProxyConfig::new().host("bücher.test", "http://host"), "`bücher.test` is no host"),
            // The two the wrong way round.
            (ProxyConfig::new().host("http://ann:hush@host", "env.test"), "`http://***@host`"),
            (
                ProxyConfig::new().no_proxy("a.test,10.0.0.0/40"),
                "ProxyConfig::no_proxy: `10.0.0.0/40`",
            ),
            (
                environment(&[("HTTPS_PROXY", "ldap://host")]),
                "HTTPS_PROXY: `ldap://host` has a scheme",
            ),
            (ProxyConfig::new().no_proxy("http://ann:hush@x"), "`http://***@x` is neither"),
        ];
        for (config, expected) in table {
            let error = config.resolve().expect_err(expected);
            assert_eq!((error.kind(), error.sent()), (TransportErrorKind::Config, Sent::No));
            let shown = error.to_string();
            assert!(shown.contains(expected), "{shown}");
            assert!(!format!("{error:?} {config:?}").contains("hush"), "{shown}");
        }
    }

    #[test]
    fn no_password_is_printed() {
        let config = ProxyConfig::new().all("http://ann:hush@host:1").no_proxy("a.test");
        let proxies = config.resolve().unwrap();
        let shown = format!("{config:?} {proxies:?} {:?}", proxies.iter().next());
        assert!(!shown.contains("hush") && !shown.contains("ann"), "{shown}");
        assert!(shown.contains("http://host:1"), "{shown}");
    }

    #[test]
    fn a_host_is_named_in_any_of_the_usual_ways() {
        for host in ["env.test", ".env.test", "*.env.test", "ENV.test.", " env.test "] {
            let config = ProxyConfig::new().host(host, "http://one:1");
            let found = through(&config, "http://www.env.test/");
            assert_eq!(found.as_deref(), Some("http://one:1"), "{host}");
        }
    }

    #[test]
    fn a_host_may_be_an_address() {
        for host in ["::1", "[::1]"] {
            let config = ProxyConfig::new().host(host, "http://one:1");
            assert_eq!(
                through(&config, "http://[::1]/").as_deref(),
                Some("http://one:1"),
                "{host}"
            );
        }
    }
}
