//! The cookies of one session, which go to one origin only.
//!
//! Sticky load balancers re-set their cookies with every response, and a token without its
//! cookies is refused, so all cookies are kept and sent back. `Path`, `Domain` and `Secure` are
//! not consulted: every request of a session goes to the origin that set them, and a `Secure`
//! cookie set behind a terminating proxy would otherwise be lost together with the session.

use cookie::Cookie;
use http::header::{HeaderMap, HeaderValue, SET_COOKIE};
use zeroize::Zeroizing;

/// An expiry before this year means "delete". No clock is needed: servers delete with 1970.
const FIRST_YEAR_OF_A_LIVE_COOKIE: i32 = 2_000;

/// No session needs more; a server that sets thousands is not allowed to fill the memory.
const LIMIT: usize = 64;

/// The cookie of the servlet container, which names the session.
const SESSION_COOKIE: &str = "JSESSIONID";
/// Those that the server alone sets; the rest may be a load balancer's.
const SERVERS_OWN: [&str; 2] = [SESSION_COOKIE, "iSession"];

#[derive(Clone, Default)]
pub(crate) struct CookieJar {
    /// In the order they were first set.
    cookies: Vec<(String, Zeroizing<String>)>,
}

/// What a response has changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stored {
    Nothing,
    /// Some cookie, and not that of the session.
    Something,
    /// The session's own cookie has another value than before.
    SessionCookie,
}

impl CookieJar {
    /// Takes over what a response of the server's sets. A cookie that it sets twice has changed once.
    pub(crate) fn store(&mut self, headers: &HeaderMap) -> Stored {
        self.store_from(headers, true)
    }

    /// The same, of a response that may not be the `server`'s own: what stands in front of it may
    /// set cookies by the same names.
    pub(crate) fn store_from(&mut self, headers: &HeaderMap, server: bool) -> Stored {
        let before = self.session_cookie().cloned();
        let mut changed = false;
        for value in headers.get_all(SET_COOKIE) {
            // Bytes beyond ASCII are not allowed in cookies; such a line is skipped.
            if let Some(cookie) = value.to_str().ok().and_then(|text| Cookie::parse(text).ok())
                && (server || !SERVERS_OWN.contains(&cookie.name()))
            {
                changed |= self.store_one(&cookie);
            }
        }
        match (before, self.session_cookie()) {
            (Some(before), Some(after)) if before != *after => Stored::SessionCookie,
            _ if changed => Stored::Something,
            _ => Stored::Nothing,
        }
    }

    fn session_cookie(&self) -> Option<&Zeroizing<String>> {
        self.cookies.iter().find(|(name, _)| name == SESSION_COOKIE).map(|(_, value)| value)
    }

    fn store_one(&mut self, cookie: &Cookie<'_>) -> bool {
        let existing = self.cookies.iter().position(|(name, _)| name == cookie.name());
        match (existing, is_deletion(cookie)) {
            (None, true) => false,
            (Some(index), true) => {
                self.cookies.remove(index);
                true
            }
            (Some(index), false) => {
                let held = &mut self.cookies[index].1;
                let differs = held.as_str() != cookie.value();
                if differs {
                    *held = Zeroizing::new(cookie.value().to_owned());
                }
                differs
            }
            (None, false) if self.cookies.len() >= LIMIT || cookie.name().is_empty() => false,
            (None, false) => {
                let value = Zeroizing::new(cookie.value().to_owned());
                self.cookies.push((cookie.name().to_owned(), value));
                true
            }
        }
    }

    /// Adds a cookie that did not come from a response.
    pub(crate) fn insert(&mut self, name: &str, value: &str) {
        self.store_one(&Cookie::new(name, value));
    }

    /// Names and values, in the order they were first set.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.cookies.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The `Cookie` header, marked sensitive; `None` without cookies.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        if self.cookies.is_empty() {
            return None;
        }
        let length = self.cookies.iter().map(|(name, value)| name.len() + value.len() + 3).sum();
        let mut text = Zeroizing::new(String::with_capacity(length));
        for (index, (name, value)) in self.cookies.iter().enumerate() {
            if index > 0 {
                text.push_str("; ");
            }
            text.push_str(name);
            text.push('=');
            text.push_str(value);
        }
        let mut header = HeaderValue::from_str(&text).ok()?;
        header.set_sensitive(true);
        Some(header)
    }
}

fn is_deletion(cookie: &Cookie<'_>) -> bool {
    cookie.max_age().is_some_and(|age| !age.is_positive())
        || (cookie.max_age().is_none()
            && cookie
                .expires_datetime()
                .is_some_and(|date| date.year() < FIRST_YEAR_OF_A_LIVE_COOKIE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(jar: &mut CookieJar, lines: &[&str]) -> Stored {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(SET_COOKIE, HeaderValue::from_str(line).expect("a header"));
        }
        jar.store(&headers)
    }

    fn rendered(jar: &CookieJar) -> String {
        jar.header().map(|value| value.to_str().expect("text").to_owned()).unwrap_or_default()
    }

    #[test]
    fn every_cookie_is_kept_replaced_and_expired() {
        let mut jar = CookieJar::default();
        let stored = set(
            &mut jar,
            &[
                "JSESSIONID=one; Path=/MicroStrategyLibrary; Secure; HttpOnly",
                "iSession=token; Path=/MicroStrategyLibrary",
                "AWSALB=a==; Expires=Tue, 01 Dec 2026 00:00:00 GMT; Path=/",
            ],
        );
        assert_eq!(stored, Stored::Something);
        assert_eq!(rendered(&jar), "JSESSIONID=one; iSession=token; AWSALB=a==");

        assert_eq!(set(&mut jar, &["JSESSIONID=one"]), Stored::Nothing);
        let balanced = set(&mut jar, &["AWSALB=a2=="]);
        assert_eq!(balanced, Stored::Something, "it says nothing about the session");
        let exchanged = set(&mut jar, &["AWSALB=b==", "JSESSIONID=two"]);
        assert_eq!(exchanged, Stored::SessionCookie);
        assert_eq!(rendered(&jar), "JSESSIONID=two; iSession=token; AWSALB=b==");
        let twice = ["JSESSIONID=three", "JSESSIONID=two"];
        assert_ne!(set(&mut jar, &twice), Stored::SessionCookie, "it ends as it was");

        set(&mut jar, &["AWSALB=; Max-Age=0"]);
        set(&mut jar, &["iSession=; Expires=Thu, 01 Jan 1970 00:00:00 GMT"]);
        assert_eq!(rendered(&jar), "JSESSIONID=two");
    }

    #[test]
    fn malformed_and_excessive_cookies_are_harmless() {
        let mut jar = CookieJar::default();
        assert_eq!(set(&mut jar, &["", "=x", ";;;", "novalue"]), Stored::Nothing);
        for index in 0..1_000 {
            jar.insert(&format!("c{index}"), "v");
        }
        assert_eq!(jar.cookies.len(), LIMIT);
    }

    #[test]
    fn the_header_is_sensitive() {
        let mut jar = CookieJar::default();
        jar.insert("a", "b");
        assert!(jar.header().expect("a cookie").is_sensitive());
    }
}
