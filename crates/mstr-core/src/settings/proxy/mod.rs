//! The proxy settings of a transport.

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

/// The proxy settings of a transport. By default, all servers are reached directly.
///
/// ```
/// # use mstr_core as mstr;
/// use mstr::{Connection, ProxyConfig};
///
/// let proxy = ProxyConfig::from_env() // HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY
///     .https("http://user:password@proxy.example.com:3128") // overrides HTTPS_PROXY
///     .no_proxy("intranet.example.com, 10.0.0.0/8");
/// // For the default transport. Transports have a method `proxy` of their own.
/// let builder = Connection::builder("https://env.example.com/MicroStrategyLibrary")
///     .proxy(proxy);
/// # drop(builder);
/// ```
///
/// An address is `scheme://user:password@host:port`, percent-encoded where necessary. Without a scheme
/// it is `http`. The scheme says how the proxy is spoken to:
///
/// | scheme | default port | the proxy sees of https | names are looked up by |
/// |---|---|---|---|
/// | `http` | 80 | host and port | the proxy |
/// | `https` | 443 | host and port | the proxy |
/// | `socks5` | 1080 | address and port | this machine |
/// | `socks5h` | 1080 | host and port | the proxy |
///
/// Requests to https servers go through a tunnel (`CONNECT`). Requests to http servers are readable for
/// the proxy.
///
/// If several settings fit, the first of these decides: [`host`](Self::host), then
/// [`no_proxy`](Self::no_proxy), then [`http`](Self::http) and [`https`](Self::https), then
/// [`all`](Self::all). Settings of the program override those of the environment, which only
/// [`from_env`](Self::from_env) reads.
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
    /// The name of the setting, for errors: `ProxyConfig::https`, `HTTPS_PROXY`.
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

    /// Reads the environment variables `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`, or the
    /// same in capitals if those are not set or empty. Further settings override them.
    ///
    /// An entry of `no_proxy` that is not a host, such as `10.*` or `<local>`, is ignored with a warning
    /// in the log.
    ///
    /// `HTTP_PROXY` in capitals is ignored if `REQUEST_METHOD` is set: in a CGI program it holds the
    /// `Proxy` header of a client.
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

    /// Sets the proxy for all requests for which no other setting decides.
    #[must_use]
    pub fn all(self, url: impl Into<String>) -> Self {
        self.rule("all", Scope::All, url.into())
    }

    /// Sets the proxy for requests to http servers.
    #[must_use]
    pub fn http(self, url: impl Into<String>) -> Self {
        self.rule("http", Scope::Http, url.into())
    }

    /// Sets the proxy for requests to https servers.
    #[must_use]
    pub fn https(self, url: impl Into<String>) -> Self {
        self.rule("https", Scope::Https, url.into())
    }

    /// Sets the proxy for requests to `host` and all names below it. `host` is a name or an address as
    /// in a URL. If several hosts fit, the longest name decides.
    #[must_use]
    pub fn host(self, host: impl AsRef<str>, url: impl Into<String>) -> Self {
        let host = host.as_ref().trim();
        let host = host.strip_prefix("*.").unwrap_or(host).trim_matches('.').to_ascii_lowercase();
        // As it stands in a URL.
        let bare = host.parse::<Ipv6Addr>().is_ok();
        let host = if bare { format!("[{host}]") } else { host };
        self.rule("host", Scope::Host(host), url.into())
    }

    /// Sets the hosts that are reached directly, in the format of `NO_PROXY`. Entries are separated by
    /// commas or spaces:
    ///
    /// | entry | hosts |
    /// |---|---|
    /// | `example.com` | this name and all names below it |
    /// | `10.0.0.1`, `10.0.0.0/8` | this address, this network |
    /// | `example.com:8080` | the same, for this port only |
    /// | `*` | all hosts |
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

    /// Checks all settings. For transports.
    ///
    /// ```
    /// # use mstr_core as mstr;
    /// use mstr::ProxyConfig;
    ///
    /// let proxies = ProxyConfig::new()
    ///     .all("http://proxy.example.com:3128")
    ///     .no_proxy("intranet.example.com, 10.0.0.0/8")
    ///     .resolve()?;
    /// assert!(proxies.of(&"https://env.example.net/".parse()?).is_some());
    /// assert!(proxies.of(&"https://lib.intranet.example.com/".parse()?).is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Config`](crate::TransportErrorKind::Config), with the setting, its value without the password,
    /// and the problem.
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
    /// Checks the rules, and calls `odd` with each entry of a list of hosts that is not a host.
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
                    "{}: `{}` is not a host; write its name or address, without scheme and port",
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

/// Whether this can be the host of a URL. A setting for any other text would have no effect.
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

/// The decision of a layer about a request.
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

    /// Whether a proxy among them is shown a password.
    #[must_use]
    pub fn have_password(&self) -> bool {
        self.iter().any(|proxy| proxy.credentials().is_some())
    }

    /// All proxies, so that a transport can refuse those that its HTTP stack cannot use.
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
        let error = config.no_proxy("<local>").resolve().expect_err("it is not a host").to_string();
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
            (all(""), "ProxyConfig::all: `` is not the address"),
            (all("http://"), "is not the address"),
            (all("http://host:99999"), "`http://host:99999` has an invalid port"),
            (all("http://host:0"), "has an invalid port"),
            (all("http://host:x"), "has an invalid port"),
            (all("http://ho st"), "is not the address"),
            (all("http://host/path"), "is not the address"),
            (all("http://ann:hush%0d%0ax@host"), "`http://***@host` has control characters"),
            (all("http://a%3Ann:hush@host"), "has a colon in its user"),
            (all("http://ann:%ff@host"), "not UTF-8"),
            (ProxyConfig::new().http("gopher://host"), "ProxyConfig::http: "),
            (ProxyConfig::new().https("gopher://host"), "ProxyConfig::https: "),
            (ProxyConfig::new().host("a.test", "gopher://host"), "ProxyConfig::host: "),
            (ProxyConfig::new().host("", "http://host"), "ProxyConfig::host: `` is not a host"),
            (
                ProxyConfig::new().host("https://env.test/x", "http://host"),
                "ProxyConfig::host: `https://env.test/x` is not a host; write its name",
            ),
            (
                ProxyConfig::new().host("env.test:443", "http://host"),
                "`env.test:443` is not a host",
            ),
            (ProxyConfig::new().host("[env.test]", "http://host"), "`[env.test]` is not a host"),
            (ProxyConfig::new().host("bücher.test", "http://host"), "`bücher.test` is not a host"),
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
