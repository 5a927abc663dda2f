//! The address of the server, and the URLs that belong to it.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use bytes::Bytes;
use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};
use percent_encoding::utf8_percent_encode;

use super::segments::{NOT_IN_A_TARGET, has_dot_segment, is_plain, library_path, resolved};
use crate::environment::config;
use crate::error::{Error, ErrorKind};
use crate::shown::{is_scheme, without_parameters, without_secrets};

/// The longest address there is, which is what the crate `http` can hold.
const LONGEST_ADDRESS: usize = u16::MAX as usize - 1;
/// The longest base URL: servers and gateways accept no longer request lines, and it leaves room
/// for every path below it.
const LONGEST_BASE: usize = 8_000;

/// Names beyond ASCII travel in another form (RFC 5891), which browsers show when it is copied.
const PUNYCODE: &str = "its host is not ASCII: write it in punycode, as xn--…";

/// The address of a Strategy Library, for example `https://env.example.com/MicroStrategyLibrary`.
///
/// An address can be copied from a browser or the API explorer. A trailing `/`, `/api`, `/api/…`,
/// `/app`, `/app/…`, `;jsessionid=…`, `#/home` or `?…` is cut off. A host called `api.…` or a path like
/// `/apiary` is left alone.
#[derive(Clone, Eq, PartialEq)]
pub struct BaseUrl {
    /// Scheme, authority and path without a trailing slash.
    prefix: Box<str>,
    /// Length of scheme and authority within `prefix`.
    origin: usize,
    /// The same two, as every request's address has them.
    scheme: Scheme,
    authority: Authority,
}

/// A parsed request address.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) uri: Uri,
    pub(crate) same_origin: bool,
}

impl BaseUrl {
    /// Reads an address.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config) if it is not an `http` or `https` URL with a host, has a segment
    /// `.` or `..`, or has an `@`, because a password may stand before it.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let given = text.trim();
        // Wherever it stands: a password may hold what would end the part of users and hosts. The
        // text is not shown.
        if given.contains('@') {
            return Err(config(
                "the base URL carries user information before \"@\": give the credentials to \
                 the builder instead, and write %40 for an \"@\" of the path"
                    .into(),
            ));
        }
        let refuse =
            |why: &str| config(format!("\"{}\" is not a base URL: {why}", without_secrets(given)));
        let Some((scheme, rest)) = given.split_once("://") else {
            return Err(refuse("it must start with https:// or http://"));
        };
        let scheme = scheme.to_ascii_lowercase();
        if scheme != "https" && scheme != "http" {
            return Err(refuse("only https and http are supported"));
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.is_empty() {
            return Err(refuse("the host is missing"));
        }
        let path = rest[authority.len()..].split(['?', '#']).next().unwrap_or_default();
        if has_dot_segment(path) {
            return Err(refuse("write the path that \".\" and \"..\" stand for"));
        }
        if !authority.is_ascii() {
            return Err(refuse(PUNYCODE));
        }
        let authority = without_parameters(authority).to_ascii_lowercase();
        let mut prefix = format!("{scheme}://{authority}");
        let origin = prefix.len();
        for segment in library_path(path) {
            prefix.push('/');
            prefix.extend(utf8_percent_encode(segment, NOT_IN_A_TARGET));
        }
        if prefix.len() > LONGEST_BASE {
            let length = prefix.len();
            return Err(config(format!(
                "the base URL has {length} characters, of which servers accept {LONGEST_BASE}"
            )));
        }
        let uri: Uri = prefix
            .parse()
            .map_err(|error: http::uri::InvalidUri| refuse("it is malformed").with_source(error))?;
        let host = uri.host().unwrap_or_default();
        if host.is_empty() {
            return Err(refuse("the host is missing"));
        }
        if has_odd_port(&uri) {
            return Err(refuse("the port is not a number from 0 to 65535"));
        }
        let parts = uri.into_parts();
        // Of its own: that of the parts keeps the whole address.
        let (Some(scheme), Ok(authority)) = (parts.scheme, Authority::try_from(&*authority)) else {
            return Err(refuse("the host is missing"));
        };
        Ok(Self { prefix: prefix.into(), origin, scheme, authority })
    }

    /// The address, without a trailing slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.prefix
    }

    /// Scheme, host and port.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.prefix[..self.origin]
    }

    /// The path, without a trailing slash.
    pub(crate) fn folder(&self) -> &str {
        &self.prefix[self.origin..]
    }

    /// The host, with the brackets of an IPv6 address.
    pub(crate) fn host(&self) -> &str {
        self.authority.host()
    }

    /// Whether the address is `https`.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.prefix.starts_with("https:")
    }

    /// Whether requests stay on this machine: the host is `localhost` or a loopback address. A name
    /// below `localhost` does not count, because a name server may resolve it to any machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let authority = self.origin().split_once("://").map_or("", |(_, authority)| authority);
        let host = match authority.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or_default(),
            None => authority.split(':').next().unwrap_or_default(),
        };
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// Whether both are the same server: the port may be left out where it is the usual one.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        let path = |base: &Self| base.prefix[base.origin..].to_owned();
        let origin = other.origin().parse::<Uri>();
        origin.is_ok_and(|origin| self.is_same_origin(&origin)) && path(self) == path(other)
    }

    /// Refuses to send credentials in clear over a network.
    pub(crate) fn check_secure(&self, allow_insecure: bool) -> Result<(), Error> {
        if self.is_https() || self.is_loopback() || allow_insecure {
            return Ok(());
        }
        Err(config(format!(
            "{self} is plain http, so the credentials would cross the network in clear: use \
             https, or call allow_insecure_http()"
        )))
    }

    /// The address of `path`, which is relative to the base, or an absolute URL.
    pub(crate) fn target(&self, path: &str, query: &str) -> Result<Target, Error> {
        if is_plain(path) {
            return self.below(path, path, query);
        }
        // What begins with a slash begins no other address.
        let rooted = path.starts_with('/');
        if !rooted && has_http_scheme(path) {
            return self.absolute(path, query);
        }
        if path.starts_with("//") {
            return Err(usage(format!(
                "\"{}\" names a host without a scheme: give a path that starts with one slash, or \
                 a complete URL",
                without_secrets(path)
            )));
        }
        if !rooted && is_broken_url(path) {
            return Err(usage(format!(
                "\"{}\" begins like a URL and is none: write https:// or http:// before the host",
                without_secrets(path)
            )));
        }
        let path = without_fragment(path);
        if has_dot_segment(path) {
            return Err(dot_segment(path));
        }
        let encoded: Cow<'_, str> = utf8_percent_encode(path, NOT_IN_A_TARGET).into();
        self.below(path, &encoded, query)
    }

    /// The address of a path below the base, given as it is sent.
    fn below(&self, path: &str, encoded: &str, query: &str) -> Result<Target, Error> {
        let folder = &self.prefix[self.origin..];
        // An address is never without a path, even if it is only the query that is given.
        let slash = !encoded.starts_with('/') && (folder.is_empty() || !encoded.starts_with('?'));
        // Filled exactly: what is made of it then needs no second allocation.
        let length = folder.len() + usize::from(slash) + encoded.len();
        let separated = usize::from(!query.is_empty());
        let mut text = String::with_capacity(length + separated + query.len());
        text.push_str(folder);
        if slash {
            text.push('/');
        }
        text.push_str(encoded);
        push_query(&mut text, query);
        let length = self.origin + text.len();
        if length > LONGEST_ADDRESS {
            return Err(usage(format!(
                "the address has {length} characters, and at most {LONGEST_ADDRESS} can be sent: \
                 does something belong into the body?"
            )));
        }
        let invalid = || {
            let shown = without_secrets(path);
            usage(format!("\"{shown}\" is not a valid path below {self}"))
        };
        let path_and_query = PathAndQuery::from_maybe_shared(Bytes::from(text))
            .map_err(|error| invalid().with_source(error))?;
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path_and_query);
        let uri = Uri::from_parts(parts).map_err(|error| invalid().with_source(error))?;
        Ok(Target { uri, same_origin: true })
    }

    fn absolute(&self, url: &str, query: &str) -> Result<Target, Error> {
        let host = url.split_once("://").map_or("", |(_, rest)| rest).split(['/', '?', '#']).next();
        if host.is_some_and(|host| !host.is_ascii()) {
            let shown = without_secrets(url);
            return Err(usage(format!("\"{shown}\" is not a valid address: {PUNYCODE}")));
        }
        let mut text = utf8_percent_encode(without_fragment(url), NOT_IN_A_TARGET).to_string();
        push_query(&mut text, query);
        let uri = parse_uri(text)?;
        let same_origin = self.is_same_origin(&uri);
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        // What stands before it elsewhere may be a user, and a password that has a "/" in it: then a
        // colon stands where a port would.
        let elsewhere = !same_origin && authority.contains(':') && url.contains('@');
        if authority.contains('@') || elsewhere {
            return Err(usage(
                "the URL carries user information before \"@\": write %40 for any other \"@\""
                    .into(),
            ));
        }
        if has_odd_port(&uri) {
            let shown = without_secrets(url);
            return Err(usage(format!("\"{shown}\" has a port that is not a number up to 65535")));
        }
        if has_dot_segment(uri.path()) {
            return Err(dot_segment(url));
        }
        Ok(Target { uri, same_origin })
    }

    fn is_same_origin(&self, other: &Uri) -> bool {
        let default_port = if self.is_https() { 443 } else { 80 };
        let port = self.authority.port_u16().unwrap_or(default_port);
        other.scheme() == Some(&self.scheme)
            && other.host().is_some_and(|host| host.eq_ignore_ascii_case(self.authority.host()))
            && other.port_u16().unwrap_or(default_port) == port
    }

    /// The address a `Location` header points to, seen from `from`. Its segments `.` and `..` are
    /// resolved (RFC 3986, section 5.2): HTTP stacks differ in whether they do that.
    pub(crate) fn redirect(&self, from: &Uri, location: &str) -> Result<Target, Error> {
        let location = without_fragment(location.trim());
        let scheme = from.scheme_str().unwrap_or("https");
        let complete = has_http_scheme(location).then(|| location.to_owned());
        let beside = || location.strip_prefix("//").map(|rest| format!("{scheme}://{rest}"));
        if let Some(url) = complete.or_else(beside) {
            let host = url.find("://").map_or(0, |end| end + 3);
            let end = url[host..].find(['/', '?']).map_or(url.len(), |end| host + end);
            let (origin, path) = url.split_at(end);
            return self.absolute(&format!("{origin}{}", resolved(path)), "");
        }
        let authority = from.authority().map_or("", |authority| authority.as_str());
        let path = if location.starts_with('/') {
            location.to_owned()
        } else if location.starts_with('?') {
            format!("{}{location}", from.path())
        } else {
            let folder = from.path().rfind('/').map_or("", |end| &from.path()[..end]);
            format!("{folder}/{location}")
        };
        self.absolute(&format!("{scheme}://{authority}{}", resolved(&path)), "")
    }
}

fn has_http_scheme(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| is_scheme(scheme))
}

/// Whether the place of the port has something else.
fn has_odd_port(uri: &Uri) -> bool {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let port = authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
    port.is_some() && uri.port_u16().is_none()
}

/// Whether a path is a URL that is misspelled: `https:/host`, `https//host`.
fn is_broken_url(path: &str) -> bool {
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    let (name, colon) = first.split_once(':').map_or((first, false), |(name, _)| (name, true));
    let is_http = name.eq_ignore_ascii_case("http") || name.eq_ignore_ascii_case("https");
    is_http && (colon || rest.starts_with('/'))
}

fn dot_segment(path: &str) -> Error {
    usage(format!(
        "\"{}\" has a segment \".\" or \"..\", which could lead out of the base URL: write the \
         path it stands for",
        without_secrets(path)
    ))
}

fn without_fragment(text: &str) -> &str {
    text.split('#').next().unwrap_or_default()
}

fn push_query(text: &mut String, query: &str) {
    if !query.is_empty() {
        text.push(if text.contains('?') { '&' } else { '?' });
        text.push_str(query);
    }
}

fn parse_uri(text: String) -> Result<Uri, Error> {
    let shown = without_secrets(&text).into_owned();
    let uri = Uri::try_from(text)
        .map_err(|error| usage(format!("\"{shown}\" is not a valid address")).with_source(error))?;
    match uri.scheme_str() {
        Some("http" | "https") => Ok(uri),
        _ => Err(usage(format!("\"{shown}\" is neither http nor https"))),
    }
}

fn usage(message: String) -> Error {
    Error::new(ErrorKind::Usage, message)
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.prefix)
    }
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BaseUrl({})", self.prefix)
    }
}

impl AsRef<str> for BaseUrl {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl FromStr for BaseUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_copy_from_a_browser_is_understood() {
        let library = "https://env.example.com/MicroStrategyLibrary";
        for given in [
            "https://env.example.com/MicroStrategyLibrary",
            "https://env.example.com/MicroStrategyLibrary/",
            "https://env.example.com/MicroStrategyLibrary//",
            " https://env.example.com/MicroStrategyLibrary ",
            "https://env.example.com/MicroStrategyLibrary/api",
            "https://env.example.com/MicroStrategyLibrary/api/",
            "https://env.example.com/MicroStrategyLibrary/API/v2/objects",
            "https://env.example.com/MicroStrategyLibrary/api-docs/index.html",
            "https://env.example.com/MicroStrategyLibrary/app",
            "https://env.example.com/MicroStrategyLibrary/app/B7CA92F0/K53",
            "https://env.example.com/MicroStrategyLibrary/auth/ui/loginPage",
            "https://env.example.com/MicroStrategyLibrary/auth/ui/loginPage?loginMode=1#x",
            "https://env.example.com/MicroStrategyLibrary/static/dossier/index.html",
            "https://env.example.com/MicroStrategyLibrary#/home",
            "https://env.example.com/MicroStrategyLibrary?a=1",
            "https://env.example.com/MicroStrategyLibrary;jsessionid=0A1B",
            "https://env.example.com/MicroStrategyLibrary;jsessionid=0A1B/app",
            "HTTPS://ENV.example.com/MicroStrategyLibrary",
        ] {
            assert_eq!(BaseUrl::parse(given).expect(given).as_str(), library, "{given}");
        }
        for (given, expected) in [
            ("https://api.example.com/Lib", "https://api.example.com/Lib"),
            ("https://x.com/apiary/Lib", "https://x.com/apiary/Lib"),
            ("https://x.com/application/api", "https://x.com/application"),
            ("https://x.com", "https://x.com"),
            ("https://x.com/api", "https://x.com"),
            (
                "https://x.com/api/MicroStrategyLibrary/api/v2",
                "https://x.com/api/MicroStrategyLibrary",
            ),
            ("https://x.com/api/StrategyLibrary/api", "https://x.com/api/StrategyLibrary"),
            ("https://x.com/auth/ui/loginPage", "https://x.com"),
            ("https://x.com/auth/Lib/auth/ui", "https://x.com/auth/Lib"),
            ("https://x.com/static/Lib", "https://x.com/static/Lib"),
            ("http://[::1]:8080/Lib", "http://[::1]:8080/Lib"),
        ] {
            assert_eq!(BaseUrl::parse(given).expect(given).as_str(), expected, "{given}");
        }
    }

    #[test]
    fn what_cannot_work_is_refused_with_a_reason() {
        for (given, reason) in [
            ("", "https://"),
            ("127.0.0.1", "https://"),
            ("ftp://x.com", "only https"),
            ("https://", "host is missing"),
            ("https:///MicroStrategyLibrary", "host is missing"),
            ("https://x y.com/", "malformed"),
            ("https://x.com:99999/Lib", "port"),
            ("https://bücher.example/Lib", "punycode"),
        ] {
            let error = BaseUrl::parse(given).expect_err(given);
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(reason), "{given}: {error}");
        }
        let long = BaseUrl::parse(&format!("https://x.com/{}", "a".repeat(9_000)));
        assert!(long.expect_err("too long").to_string().contains("9014 characters"));
    }

    #[test]
    fn base_url_with_a_password_anywhere_is_refused_and_not_shown() {
        for given in [
            "https://alice:hush@x.com/Lib",
            "https:/alice:hush@x.com",
            "https:///alice:hush@x.com",
            "https//alice:hush@x.com",
            "alice:hush@x.com",
            "https://alice:hush/x@x.com",
            "https://alice:12/hush@x.com",
            "https://alice:12#hush@x.com",
            "https://alice:12?hush@x.com",
            "https://alice:hush#x@x.com",
            "https://alice:hush?x@x.com",
            "https://alice:x@hush@x.com",
            "https://alice:hush",
            "https://alice:hush%40x.com",
            "https://alice:12%2Fhush%40x.com",
        ] {
            let error = BaseUrl::parse(given).expect_err(given);
            assert_eq!(error.kind(), ErrorKind::Config, "{given}");
            let mut shown = format!("{error} {error:?}");
            if let Some(source) = std::error::Error::source(&error) {
                shown += &format!("{source} {source:?}");
            }
            assert!(!shown.contains("hush"), "{given}: {shown}");
        }
    }

    #[test]
    fn path_with_a_password_in_it_is_refused_or_not_shown() {
        let base = BaseUrl::parse("https://x.com/Lib").expect("a URL");
        for path in [
            "https:/alice:hush@host",
            "HTTPS:/alice:hush@host",
            "https:///alice:hush@host",
            "https//alice:hush@host",
            "https://alice:hush@host",
            "https://alice:12/hush@host",
            "https://alice:hush",
            "//alice:hush@host",
            "http:alice:hush@host",
            "/a/..;jsessionid=hush/b?c=hush",
        ] {
            let error = base.target(path, "").expect_err(path);
            assert_eq!(error.kind(), ErrorKind::Usage, "{path}");
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("hush"), "{path}: {shown}");
        }
        // An object's name may have one.
        for path in ["/api/users/ann@example.com", "https://x.com:443/api/users/ann@example.com"] {
            assert!(base.target(path, "").expect(path).same_origin);
        }
    }

    #[test]
    fn path_that_leads_up_is_refused_in_every_spelling() {
        let base = BaseUrl::parse("https://x.com/Lib").expect("a URL");
        let origins = ["", "https://x.com/Lib", "https://elsewhere.example"];
        for segment in [
            "..",
            ".",
            "%2e%2E",
            ".%2e",
            "%2e.",
            "%2E",
            "..;",
            "..;x=1",
            "%2e%2e;x",
            "..%3Bx",
            "a%2f..",
            "a%2F%2e%2e%2Fb",
            "a%5c..%5Cb",
            "a\\..\\b",
            "%252e%252E",
            "%25252e.",
            "..%252f",
        ] {
            for origin in origins {
                for path in [format!("{origin}/a/{segment}/b"), format!("{origin}/{segment}")] {
                    let error = base.target(&path, "").expect_err(&path);
                    assert_eq!(error.kind(), ErrorKind::Usage, "{path}");
                    assert!(error.to_string().contains("\"..\""), "{path}: {error}");
                }
            }
            let url = format!("https://x.com/a/{segment}/Lib");
            assert_eq!(BaseUrl::parse(&url).expect_err(&url).kind(), ErrorKind::Config);
        }
    }

    #[test]
    fn credentials_over_plain_http_stay_on_this_machine() {
        for local in ["http://localhost:1/L", "http://127.0.0.9/L", "http://[::1]:5/L"] {
            BaseUrl::parse(local).expect(local).check_secure(false).expect(local);
        }
        for remote in ["http://127.0.0.1.example.com/L", "http://env.localhost/L"] {
            let remote = BaseUrl::parse(remote).expect("a URL");
            assert_eq!(remote.check_secure(false).expect_err("clear").kind(), ErrorKind::Config);
            remote.check_secure(true).expect("allowed explicitly");
        }
    }

    #[test]
    fn a_path_is_relative_to_the_base_and_an_absolute_url_is_compared_by_origin() {
        let base = BaseUrl::parse("https://x.com/Lib").expect("a URL");
        let relative = |path, query| base.target(path, query).expect(path).uri.to_string();
        assert_eq!(relative("/api/echo", ""), "https://x.com/Lib/api/echo");
        assert_eq!(relative("api/echo", "a=1"), "https://x.com/Lib/api/echo?a=1");
        assert_eq!(relative("/api/a%2Fb?x=1+2", "a=1"), "https://x.com/Lib/api/a%2Fb?x=1+2&a=1");
        assert_eq!(relative("/api/Büro 1#top", ""), "https://x.com/Lib/api/B%C3%BCro%201");

        let same = |url| base.target(url, "").expect(url).same_origin;
        assert!(same("https://x.com/other"));
        assert!(same("https://X.com:443/other"));
        assert!(!same("https://x.com:8443/other"));
        assert!(!same("http://x.com/other"));
        assert!(!same("https://x.com.evil.example/"));
        let long = "a".repeat(70_000);
        for bad in ["//evil.example/", "file:///etc/passwd", "https://u:p@x.com/", &long] {
            assert_eq!(base.target(bad, "").expect_err(bad).kind(), ErrorKind::Usage);
        }
        let root = BaseUrl::parse("https://x.com").expect("a URL");
        assert_eq!(root.target("?a=1", "").expect("a query").uri, "https://x.com/?a=1");
    }

    #[test]
    fn a_redirect_is_resolved_against_where_it_came_from() {
        let base = BaseUrl::parse("https://x.com/Lib").expect("a URL");
        let from: Uri = "https://x.com/Lib/api/a/b?q=1".parse().expect("a URL");
        let to = |location| base.redirect(&from, location).expect(location);
        assert_eq!(to("/Lib/api/c").uri, "https://x.com/Lib/api/c");
        assert_eq!(to("c").uri, "https://x.com/Lib/api/a/c");
        assert_eq!(to("?q=2").uri, "https://x.com/Lib/api/a/b?q=2");
        assert_eq!(to("../c?q=../d").uri, "https://x.com/Lib/api/c?q=../d");
        assert_eq!(to("./c/.").uri, "https://x.com/Lib/api/a/c/");
        assert_eq!(to("../../../../../c/..").uri, "https://x.com/");
        assert_eq!(to("https://x.com/Lib/../c#d").uri, "https://x.com/c");
        assert_eq!(to("//x.com/Lib/./c").uri, "https://x.com/Lib/c");
        for encoded in ["%2e%2e/c", "/Lib/..;/c", "https://x.com/a%2f..%2fb", "//u:p@x.com/"] {
            base.redirect(&from, encoded).expect_err(encoded);
        }
        assert!(!to("//evil.example/x").same_origin);
        assert!(!to("http://x.com/Lib/api/c").same_origin);
    }
}
