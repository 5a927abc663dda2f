//! The cookies of one session, which go to one origin only.
//!
//! Sticky load balancers re-set their cookies with every response, and a token without its
//! cookies is refused, so all cookies are kept and sent back. Path and domain tell cookies of one
//! name apart and order them; they withhold none, and `Secure` is not consulted: every request of a
//! session goes to the origin that set them. Gateways rewrite paths and leave those of the cookies
//! as they are, and a `Secure` cookie set behind a terminating proxy would be lost together with the
//! session.

use std::time::Instant;

use http::header::{HeaderMap, HeaderValue};
use zeroize::Zeroizing;

use super::set_cookie::{Fate, Place, SetCookie, SetCookies};
use crate::timeouts::later;

/// No session needs more; a server that sets thousands is not allowed to fill the memory.
const LIMIT: usize = 64;
/// Of name and value of one cookie, in bytes.
const LONGEST_COOKIE: usize = 4 * 1024;
/// Of the whole header. Tomcat refuses a request whose head has more than 8 KiB, the logout included;
/// the rest is for the other headers.
const LONGEST_HEADER: usize = 7 * 1024;
/// The length of the separators between a name, a value and the next name.
const BETWEEN: usize = 3;

/// The cookie of the servlet container, which names the session.
const SESSION_COOKIE: &[u8] = b"JSESSIONID";
/// Those that the server alone sets; the rest may be a load balancer's.
const SERVERS_OWN: [&[u8]; 2] = [SESSION_COOKIE, b"iSession"];

#[derive(Clone, Default)]
pub(crate) struct CookieJar {
    /// The longer path first, then in the order they were first set.
    cookies: Vec<Cookie>,
    /// The name of one that there was no room for.
    ignored: Option<Box<[u8]>>,
}

#[derive(Clone)]
pub(crate) struct Cookie {
    pub(crate) name: Box<[u8]>,
    pub(crate) value: Zeroizing<Box<[u8]>>,
    /// Its own, or that of the request that was answered with it. Empty if it is not known.
    pub(crate) path: Box<[u8]>,
    pub(crate) has_own_path: bool,
    /// In lower case; `None` for the server's own host.
    pub(crate) domain: Option<Box<[u8]>>,
    pub(crate) expires: Option<Instant>,
}

/// The change that a response has made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stored {
    Nothing,
    /// Some cookie, and not that of the session.
    Something,
    /// The session's own cookie has another value than before.
    SessionCookie,
}

/// The session's own cookie before it was changed; the outer `None` if it was not.
type Before = Option<Option<Zeroizing<Box<[u8]>>>>;

impl Cookie {
    /// One that came from no response: of an unknown path.
    pub(crate) fn new(name: &[u8], value: &[u8]) -> Self {
        Self {
            name: name.into(),
            value: Zeroizing::new(value.into()),
            path: Box::default(),
            has_own_path: false,
            domain: None,
            expires: None,
        }
    }

    fn length(&self) -> usize {
        self.name.len() + self.value.len() + BETWEEN
    }

    fn is_servers_own(&self) -> bool {
        SERVERS_OWN.contains(&&*self.name)
    }

    /// Whether `set`, in the answer to a request to `place`, is about this cookie.
    ///
    /// Without a path of its own it is about the one that has the default path of its request, as
    /// browsers have it. All of a name that have no path of their own are one: they are set with
    /// the answers to requests to anywhere, and each is sent to everywhere.
    fn is_meant(&self, set: &SetCookie<'_>, place: &Place<'_>) -> bool {
        if *self.name != *set.name {
            return false;
        }
        if self.path.is_empty() {
            return true;
        }
        let domain = match (&self.domain, place.domain(set)) {
            (Some(own), Some(domain)) => own.eq_ignore_ascii_case(domain),
            (own, domain) => own.is_none() && domain.is_none(),
        };
        domain
            && match set.path {
                // One that had no path of its own is the same, now said in full.
                Some(path) => *self.path == *path || !self.has_own_path,
                None => !self.has_own_path || place.is(&self.path),
            }
    }
}

impl CookieJar {
    /// Takes over what a response sets, to a request to `place`. A cookie that it sets twice has
    /// changed once. The response may not be the `server`'s own: what stands in front of it may set
    /// cookies by the same names.
    pub(crate) fn store(
        &mut self,
        set: &SetCookies<'_>,
        place: &Place<'_>,
        server: bool,
        now: Instant,
    ) -> Stored {
        let mut before = Before::None;
        let mut changed = false;
        for cookie in set.iter().filter(|set| server || !SERVERS_OWN.contains(&set.name)) {
            changed |= self.store_one(cookie, place, now, &mut before);
        }
        if let Some(Some(before)) = before
            && self.session_cookie(place).is_some_and(|after| before != *after)
        {
            return Stored::SessionCookie;
        }
        if changed { Stored::Something } else { Stored::Nothing }
    }

    /// That of the server's own path, where it always is with this server, or else of the longest:
    /// something in front of the server may set one of this name for a part of it.
    fn session_cookie(&self, place: &Place<'_>) -> Option<&Zeroizing<Box<[u8]>>> {
        let mut named = self.cookies.iter().filter(|it| *it.name == *SESSION_COOKIE);
        let longest = named.next()?;
        let own = std::iter::once(longest).chain(named).find(|it| place.is_base(&it.path));
        Some(&own.unwrap_or(longest).value)
    }

    fn store_one(
        &mut self,
        set: &SetCookie<'_>,
        place: &Place<'_>,
        now: Instant,
        before: &mut Before,
    ) -> bool {
        // Of several, the one at exactly this place.
        let meant = |exact: bool| {
            self.cookies.iter().position(|it| {
                it.is_meant(set, place) && (!exact || set.path.is_some() || place.is(&it.path))
            })
        };
        let index = meant(true).or_else(|| meant(false));
        let expires = match set.fate {
            Fate::For(time) => Some(later(now, time)),
            Fate::Deleted | Fate::WithTheSession => None,
        };
        if let (Some(index), true) = (index, set.fate != Fate::Deleted)
            && let Some(held) = self.cookies.get_mut(index)
            && **held.value == *set.value
            && !held.path.is_empty()
        {
            // Most answers set what is there already.
            held.expires = expires;
            return false;
        }
        if set.name == SESSION_COOKIE && before.is_none() {
            *before = Some(self.session_cookie(place).cloned());
        }
        let held = index.map(|index| self.cookies.remove(index));
        if set.fate == Fate::Deleted {
            return held.is_some();
        }
        let (path, has_own_path) = match (&held, set.path) {
            (_, Some(path)) => (path.into(), true),
            (Some(held), None) if held.has_own_path => (held.path.clone(), true),
            _ => (place.path().into(), false),
        };
        let domain = place.domain(set).map(|domain| domain.to_ascii_lowercase().into());
        let new =
            Cookie { path, has_own_path, domain, expires, ..Cookie::new(set.name, set.value) };
        match (self.put(index, new), held, index) {
            (false, Some(held), Some(index)) => {
                // Where nothing is kept, nothing has made room either.
                self.cookies.insert(index.min(self.cookies.len()), held);
                false
            }
            (kept, ..) => kept,
        }
    }

    /// Adds a cookie in its order, or where it was; whether there is room for it.
    fn put(&mut self, index: Option<usize>, cookie: Cookie) -> bool {
        let long = cookie.name.len() + cookie.value.len() > LONGEST_COOKIE;
        if long || !self.make_room(&cookie) {
            self.ignored.get_or_insert(cookie.name);
            return false;
        }
        let end = self.cookies.partition_point(|it| it.path.len() >= cookie.path.len());
        let same = |index: &usize| {
            if *index > self.cookies.len() {
                return false;
            }
            let before = index.checked_sub(1).and_then(|index| self.cookies.get(index));
            before.is_none_or(|it| it.path.len() >= cookie.path.len())
                && self.cookies.get(*index).is_none_or(|it| it.path.len() <= cookie.path.len())
        };
        let index = index.filter(same).unwrap_or(end);
        // There are few, and they are kept for as long as the session.
        self.cookies.reserve_exact(1);
        self.cookies.insert(index, cookie);
        true
    }

    /// Whether there is room. The server's own cookies take that of others.
    fn make_room(&mut self, new: &Cookie) -> bool {
        let fits = |cookies: &[Cookie]| {
            let length: usize = cookies.iter().map(Cookie::length).sum();
            cookies.len() < LIMIT && length + new.length() <= LONGEST_HEADER
        };
        if !new.is_servers_own() {
            return fits(&self.cookies);
        }
        // The others go only if that is enough.
        let own = self.cookies.iter().filter(|it| it.is_servers_own());
        let (count, length) =
            own.fold((0, 0), |(count, length), it| (count + 1, length + it.length()));
        if count >= LIMIT || length + new.length() > LONGEST_HEADER {
            return false;
        }
        while !fits(&self.cookies) {
            let Some(last) = self.cookies.iter().rposition(|it| !it.is_servers_own()) else {
                return false;
            };
            self.ignored = Some(self.cookies.remove(last).name);
        }
        true
    }

    /// Adds a cookie that did not come from a response; whether there is room for it.
    pub(crate) fn insert(&mut self, cookie: Cookie) -> bool {
        self.put(None, cookie)
    }

    /// Drops what has lived for as long as it was to live; whether there was something.
    pub(crate) fn expire(&mut self, now: Instant) -> bool {
        let before = self.cookies.len();
        self.cookies.retain(|it| it.expires.is_none_or(|at| now < at));
        self.cookies.len() < before
    }

    /// The name of a cookie that there was no room for, since this was asked the last time.
    pub(crate) const fn take_ignored(&mut self) -> Option<Box<[u8]>> {
        self.ignored.take()
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &Cookie> {
        self.cookies.iter()
    }

    /// The `Cookie` header, marked sensitive; `None` without cookies.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        if self.cookies.is_empty() {
            return None;
        }
        let length = self.cookies.iter().map(Cookie::length).sum();
        let mut text = Zeroizing::new(Vec::with_capacity(length));
        for (index, cookie) in self.cookies.iter().enumerate() {
            if index > 0 {
                text.extend_from_slice(b"; ");
            }
            text.extend_from_slice(&cookie.name);
            text.push(b'=');
            text.extend_from_slice(&cookie.value);
        }
        let mut header = HeaderValue::from_bytes(&text).ok()?;
        header.set_sensitive(true);
        Some(header)
    }
}

/// The cookies of an answer to a login, of which there are none before.
pub(crate) fn first_cookies(headers: &HeaderMap, place: &Place<'_>, now: Instant) -> CookieJar {
    let mut jar = CookieJar::default();
    jar.store(&SetCookies::read(headers), place, true, now);
    jar
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::header::SET_COOKIE;

    use super::*;
    use crate::protocol::BaseUrl;

    struct Rig {
        jar: CookieJar,
        base: BaseUrl,
        now: Instant,
    }

    impl Rig {
        fn new() -> Self {
            let base = BaseUrl::parse("https://env.example.com/L").expect("a URL");
            #[expect(clippy::disallowed_methods, reason = "an arbitrary origin for virtual time")]
            let now = Instant::now();
            Self { jar: CookieJar::default(), base, now }
        }

        fn set_at(&mut self, path: &str, lines: &[&str]) -> Stored {
            let mut headers = HeaderMap::new();
            for line in lines {
                let line = HeaderValue::from_bytes(line.as_bytes()).expect("a header");
                headers.append(SET_COOKIE, line);
            }
            let place = Place::new(&self.base, path);
            self.jar.store(&SetCookies::read(&headers), &place, true, self.now)
        }

        fn set(&mut self, lines: &[&str]) -> Stored {
            self.set_at("/api/auth/login", lines)
        }

        fn sent(&self) -> String {
            let header = self.jar.header();
            header.map_or_else(String::new, |it| String::from_utf8_lossy(it.as_bytes()).into())
        }
    }

    #[test]
    fn cookies_are_kept_replaced_and_deleted() {
        let mut rig = Rig::new();
        let stored = rig.set(&[
            "JSESSIONID=one; Path=/L; Secure; HttpOnly",
            "iSession=token; Path=/L",
            "AWSALB=a==; Expires=Tue, 01 Dec 2026 00:00:00 GMT; Path=/",
        ]);
        assert_eq!(stored, Stored::Something);
        assert_eq!(rig.sent(), "JSESSIONID=one; iSession=token; AWSALB=a==");
        assert_eq!(rig.set(&["JSESSIONID=one; Path=/L"]), Stored::Nothing);
        let balanced = rig.set(&["AWSALB=a2==; Path=/"]);
        assert_eq!(balanced, Stored::Something, "it says nothing about the session");
        let exchanged = rig.set(&["AWSALB=b==; Path=/", "JSESSIONID=two; Path=/L"]);
        assert_eq!(exchanged, Stored::SessionCookie);
        assert_eq!(rig.sent(), "JSESSIONID=two; iSession=token; AWSALB=b==");
        let twice = ["JSESSIONID=three; Path=/L", "JSESSIONID=two; Path=/L"];
        assert_ne!(rig.set(&twice), Stored::SessionCookie, "it ends as it was");
        rig.set(&["AWSALB=; Max-Age=0; Path=/"]);
        rig.set(&["iSession=; Expires=Thu, 01-Jan-1970 00:00:10 GMT; Path=/L"]);
        assert_eq!(rig.sent(), "JSESSIONID=two");
    }

    #[test]
    fn cookies_of_one_name_are_all_sent_and_that_of_the_server_s_path_is_the_session_s_own() {
        let mut rig = Rig::new();
        rig.set(&["JSESSIONID=portal; Path=/", "JSESSIONID=library; Path=/L"]);
        assert_eq!(rig.sent(), "JSESSIONID=library; JSESSIONID=portal");
        assert_eq!(rig.set(&["JSESSIONID=portal2; Path=/"]), Stored::Something);
        assert_eq!(rig.set(&["JSESSIONID=library2; Path=/L"]), Stored::SessionCookie);
        // Of a gateway, for a part of the server.
        assert_eq!(rig.set(&["JSESSIONID=part; Path=/L/api"]), Stored::Something);
        assert_eq!(rig.set(&["JSESSIONID=library3; Path=/L"]), Stored::SessionCookie);
        rig.set(&["JSESSIONID=; Max-Age=0; Path=/L/api", "JSESSIONID=library2; Path=/L"]);
        rig.set(&["JSESSIONID=; Max-Age=0; Path=/"]);
        assert_eq!(rig.sent(), "JSESSIONID=library2");
        // Neither is another domain's.
        rig.set(&["JSESSIONID=wide; Path=/L; Domain=.Example.com"]);
        assert_eq!(rig.sent(), "JSESSIONID=library2; JSESSIONID=wide");
        rig.set(&["JSESSIONID=; Max-Age=0; Path=/L; Domain=example.com"]);
        assert_eq!(
            rig.set(&["JSESSIONID=x; Path=/L; Domain=env.example.com"]),
            Stored::SessionCookie
        );
        assert_eq!(rig.sent(), "JSESSIONID=x", "its own host is no other domain");
    }

    #[test]
    fn cookies_without_a_path_are_those_of_the_request_s_folder_and_one_of_a_name() {
        let mut rig = Rig::new();
        rig.set(&["a=1; Path=/L/api/auth", "b=1; Path=/L", "c=1"]);
        for deletion in ["a=; Max-Age=0", "b=; Max-Age=0"] {
            rig.set(&[deletion]);
        }
        assert_eq!(rig.sent(), "c=1; b=1", "a was at the request's folder, b was not");
        // It is sent everywhere, so it is replaced from everywhere.
        for path in ["/api/v2/cubes/C", "https://env.example.com/L/api/x?y=/z"] {
            assert_eq!(rig.set_at(path, &["c=2; path=relative"]), Stored::Something);
            assert_eq!(rig.set(&["c=1; Path="]), Stored::Something);
        }
        assert_eq!(rig.sent(), "c=1; b=1");
        rig.set_at("/api/sessions", &["c=; Max-Age=0"]);
        assert_eq!(rig.sent(), "b=1");
        rig.set_at("https://env.example.com/x", &["d=1; Path=/"]);
        rig.set_at("https://env.example.com/x", &["d=; Max-Age=0"]);
        assert_eq!(rig.sent(), "b=1");
    }

    #[test]
    fn cookie_with_an_age_is_sent_for_so_long() {
        let mut rig = Rig::new();
        rig.set(&["a=1; Max-Age=60", "b=1"]);
        assert!(!rig.jar.expire(rig.now + Duration::from_secs(59)));
        rig.now += Duration::from_secs(59);
        assert_eq!(rig.set(&["a=1; Max-Age=60"]), Stored::Nothing, "it lives longer");
        assert!(!rig.jar.expire(rig.now + Duration::from_secs(59)));
        assert!(rig.jar.expire(rig.now + Duration::from_secs(60)));
        assert_eq!(rig.sent(), "b=1");
    }

    #[test]
    fn cookie_that_is_not_ascii_travels_as_it_came() {
        let mut rig = Rig::new();
        let mut headers = HeaderMap::new();
        let line = HeaderValue::from_bytes(b"name=\xe9 \xff; Path=/L").expect("a header");
        headers.append(SET_COOKIE, line);
        let place = Place::new(&rig.base, "/api/x");
        rig.jar.store(&SetCookies::read(&headers), &place, true, rig.now);
        assert_eq!(rig.jar.header().expect("one").as_bytes(), b"name=\xe9 \xff");
    }

    #[test]
    fn cookies_that_are_too_long_are_ignored_and_the_server_s_own_are_kept() {
        let mut rig = Rig::new();
        assert_eq!(rig.set(&["a=1"]), Stored::Something);
        let long = format!("a={}", "x".repeat(LONGEST_COOKIE));
        assert_eq!(rig.set(&[&long]), Stored::Nothing);
        assert_eq!(rig.sent(), "a=1");
        assert_eq!(rig.jar.take_ignored().as_deref(), Some(&b"a"[..]));
        for index in 0..100 {
            rig.set(&[&format!("c{index}={}", "x".repeat(1_000))]);
        }
        assert!(rig.jar.take_ignored().is_some());
        let own = format!("JSESSIONID={}; Path=/L", "j".repeat(900));
        rig.set(&[&own]);
        assert!(rig.sent().len() <= LONGEST_HEADER && rig.sent().contains("JSESSIONID="));
        assert!(rig.jar.take_ignored().is_some(), "another had to go");
    }

    #[test]
    fn malformed_and_excessive_cookies_are_harmless() {
        let mut rig = Rig::new();
        assert_eq!(rig.set(&["", "=x", ";;;", "novalue"]), Stored::Nothing);
        for index in 0..1_000 {
            rig.set(&[&format!("c{index}=v")]);
        }
        assert_eq!(rig.jar.cookies.len(), LIMIT);
    }

    #[test]
    fn the_header_is_sensitive() {
        let mut jar = CookieJar::default();
        assert!(jar.insert(Cookie::new(b"a", b"b")));
        assert!(jar.header().expect("a cookie").is_sensitive());
    }

    #[test]
    fn cookies_of_the_server_that_do_not_fit_together_take_the_room_of_no_other() {
        let mut rig = Rig::new();
        let long = "x".repeat(3_900);
        rig.set_at(
            "/api/auth/login",
            &["lb=1", &format!("JSESSIONID={long}; Path=/L"), "iSession=a; Path=/L"],
        );
        let before = rig.sent();
        assert_eq!(before.split("; ").count(), 3);
        // Nor does what was removed for it come back at a place that is there no more.
        rig.set_at("/api/auth/login", &[&format!("iSession={long}; Path=/L")]);
        assert!(rig.sent() == before);
    }
}
