//! A session as a value that another machine can go on with. With `wire` and `secret` the only
//! module that reads secrets in clear.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::base_url::BaseUrl;
use super::cookies::{Cookie, CookieJar};
use super::project::Project;
use super::secret::AuthToken;
use super::wire;
use crate::error::{Error, ErrorKind};
use crate::generation::Generation;

/// The form that [`SessionRecord::expose_bytes`] writes.
const VERSION: u32 = 2;
/// The form whose cookies have a name and a value only.
const WITHOUT_PATHS: u32 = 1;
/// There is always a next one.
const LAST_GENERATION: u64 = u64::MAX / 2;
/// Room for names, numbers and a project without its texts.
const OVERHEAD: usize = 512;
/// And for the names of a cookie's parts.
const COOKIE_OVERHEAD: usize = 16;
/// A control character takes six bytes in JSON.
const WORST_ESCAPE: usize = 6;

/// A live session: its token, its cookies, and what has to be known to use it elsewhere.
///
/// A program that has it acts as this user. It cannot be printed or serialised;
/// [`expose_bytes`](Self::expose_bytes) is the one way out, under a name that shows what it does.
///
/// ```compile_fail
/// # mod mstr { pub mod core { pub use mstr_core::*; } }
/// fn store(record: &mstr::core::session::SessionRecord) {
///     serde_json::to_string(record);
/// }
/// ```
#[derive(Clone)]
pub struct SessionRecord {
    pub(crate) base: BaseUrl,
    pub(crate) generation: Generation,
    pub(crate) token: AuthToken,
    pub(crate) jar: CookieJar,
    pub(crate) idle_timeout: Duration,
    pub(crate) borrowed: bool,
    /// The server replaces the session's cookie with every answer.
    pub(crate) exchanges: bool,
    /// The project the session was opened for.
    pub(crate) project: Option<Project>,
}

#[derive(Serialize)]
struct Written<'a> {
    version: u32,
    base: &'a str,
    generation: u64,
    token: &'a str,
    cookies: Vec<WrittenCookie>,
    idle_seconds: u64,
    borrowed: bool,
    exchanges: bool,
    project: Option<&'a Project>,
}

/// A cookie's bytes as letters: each byte is the letter of that number.
#[derive(Serialize)]
struct WrittenCookie {
    name: String,
    value: Zeroizing<String>,
    path: String,
    has_own_path: bool,
    domain: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ReadCookie {
    Pair(String, Zeroizing<String>),
    Whole {
        name: String,
        value: Zeroizing<String>,
        path: String,
        has_own_path: bool,
        domain: Option<String>,
    },
}

#[derive(Deserialize)]
struct Read {
    version: u32,
    base: String,
    generation: u64,
    token: Zeroizing<String>,
    cookies: Vec<ReadCookie>,
    idle_seconds: u64,
    borrowed: bool,
    exchanges: bool,
    project: Option<Project>,
}

impl SessionRecord {
    /// Reads what [`expose_bytes`](Self::expose_bytes) has written.
    ///
    /// # Errors
    ///
    /// [`Decode`](ErrorKind::Decode) if it is anything else, with the place but without the text.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let refuse = |why: String| {
            Error::new(ErrorKind::Decode, format!("this is not a record of a session: {why}"))
        };
        // The error itself would show what it found.
        let read: Read = serde_json::from_slice(bytes).map_err(|error| {
            refuse(format!("wrong in line {}, column {}", error.line(), error.column()))
        })?;
        if !(WITHOUT_PATHS..=VERSION).contains(&read.version) {
            let known = format!(
                "its version is {}, and {WITHOUT_PATHS} to {VERSION} are known here",
                read.version
            );
            return Err(refuse(known));
        }
        let token = AuthToken::new(read.token.as_str());
        if token.is_empty() || wire::token_header(&token).is_none() {
            return Err(refuse("its token is invalid".into()));
        }
        if read.generation > LAST_GENERATION {
            return Err(refuse(format!("its generation is {}", read.generation)));
        }
        // The text there came from a base URL, which has no secret in it.
        let base = BaseUrl::parse(&read.base)
            .map_err(|error| refuse("its server has no address".into()).with_source(error))?;
        let mut jar = CookieJar::default();
        let pairs = read.version == WITHOUT_PATHS;
        let kept = read.cookies.iter().all(|cookie| {
            cookie.is_pair() == pairs && cookie.cookie().is_some_and(|cookie| jar.insert(cookie))
        });
        if !kept || jar.header().is_some() == read.cookies.is_empty() {
            return Err(refuse("its cookies cannot be sent".into()));
        }
        Ok(Self {
            base,
            generation: Generation::from_number(read.generation),
            token,
            jar,
            idle_timeout: Duration::from_secs(read.idle_seconds),
            borrowed: read.borrowed,
            exchanges: read.exchanges,
            project: read.project,
        })
    }

    /// The session in clear, for a place that keeps secrets. The bytes are wiped on drop. How long a
    /// cookie lives is not written: elsewhere it lives as long as the session.
    #[must_use]
    pub fn expose_bytes(&self) -> ExposedRecord {
        let cookies: Vec<WrittenCookie> = self.jar.iter().map(WrittenCookie::of).collect();
        let text = |cookie: &WrittenCookie| {
            let domain = cookie.domain.as_ref().map_or(0, String::len);
            cookie.name.len() + cookie.value.len() + cookie.path.len() + domain + COOKIE_OVERHEAD
        };
        let project = self.project.as_ref();
        let described = project.map_or(0, |project| {
            project.name.len() + project.alias.len() + project.description.len()
        });
        let secret = self.token.expose().len() + cookies.iter().map(text).sum::<usize>();
        let length = OVERHEAD + self.base.as_str().len() + WORST_ESCAPE * (secret + described);
        // A buffer that grows leaves copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(length));
        let written = Written {
            version: VERSION,
            base: self.base.as_str(),
            generation: self.generation.number(),
            token: self.token.expose(),
            cookies,
            idle_seconds: self.idle_timeout.as_secs(),
            borrowed: self.borrowed,
            exchanges: self.exchanges,
            project,
        };
        // Texts and numbers in memory: there is nothing that could fail.
        drop(serde_json::to_writer(&mut *bytes, &written));
        ExposedRecord(bytes)
    }

    /// The same session as one that is borrowed: an adopting machine does not log it out, and does
    /// not replace it when it ends.
    #[must_use]
    pub const fn as_borrowed(mut self) -> Self {
        self.borrowed = true;
        self
    }

    /// Where the server is.
    #[must_use]
    pub const fn base_url(&self) -> &BaseUrl {
        &self.base
    }

    /// Which session this was where it was recorded.
    #[must_use]
    pub const fn generation(&self) -> Generation {
        self.generation
    }

    /// How long the server lets it be idle.
    #[must_use]
    pub const fn idle_timeout(&self) -> Duration {
        self.idle_timeout
    }

    /// Whether the session is borrowed, so that its owner decides when it ends.
    #[must_use]
    pub const fn is_borrowed(&self) -> bool {
        self.borrowed
    }
}

impl WrittenCookie {
    fn of(cookie: &Cookie) -> Self {
        Self {
            name: letters(&cookie.name),
            value: Zeroizing::new(letters(&cookie.value)),
            path: letters(&cookie.path),
            has_own_path: cookie.has_own_path,
            domain: cookie.domain.as_deref().map(letters),
        }
    }
}

impl ReadCookie {
    const fn is_pair(&self) -> bool {
        matches!(self, Self::Pair(..))
    }

    /// `None` if it has letters that are not bytes, or has no name.
    fn cookie(&self) -> Option<Cookie> {
        let (Self::Pair(name, value) | Self::Whole { name, value, .. }) = self;
        let mut cookie = Cookie::new(&bytes(name)?, &Zeroizing::new(bytes(value)?));
        if let Self::Whole { path, has_own_path, domain, .. } = self {
            cookie.path = bytes(path)?.into();
            cookie.has_own_path = *has_own_path;
            cookie.domain = match domain {
                Some(domain) => Some(bytes(domain)?.into()),
                None => None,
            };
        }
        (!cookie.name.is_empty()).then_some(cookie)
    }
}

/// In a buffer that does not grow: growing leaves copies behind.
fn letters(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    text.extend(bytes.iter().map(|byte| char::from(*byte)));
    text
}

fn bytes(letters: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(letters.len());
    for letter in letters.chars() {
        bytes.push(u8::try_from(letter).ok()?);
    }
    Some(bytes)
}

impl fmt::Debug for SessionRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionRecord")
            .field("base_url", &self.base)
            .field("generation", &self.generation.number())
            .field("idle_timeout", &self.idle_timeout)
            .field("borrowed", &self.borrowed)
            .finish_non_exhaustive()
    }
}

/// A [`SessionRecord`] in clear. Wiped from memory on drop.
pub struct ExposedRecord(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for ExposedRecord {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for ExposedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExposedRecord")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> SessionRecord {
        let mut jar = CookieJar::default();
        for (name, value, path) in [
            ("JSESSIONID", &b"one\"quoted\""[..], "/L"),
            ("AWSALB", b"a==", "/"),
            ("name", b"\xe9", ""),
        ] {
            let cookie = Cookie {
                path: path.as_bytes().into(),
                has_own_path: path.len() > 1,
                domain: (path == "/").then(|| b"example.com"[..].into()),
                ..Cookie::new(name.as_bytes(), value)
            };
            assert!(jar.insert(cookie));
        }
        SessionRecord {
            base: BaseUrl::parse("https://env.example.com/L").expect("a URL"),
            generation: Generation::from_number(7),
            token: AuthToken::new("hunter2"),
            jar,
            idle_timeout: Duration::from_secs(600),
            borrowed: false,
            exchanges: true,
            project: None,
        }
    }

    #[test]
    fn record_is_read_as_it_was_written() {
        let bytes = record().as_borrowed().expose_bytes();
        let read = SessionRecord::from_bytes(bytes.as_ref()).expect("its own form");
        assert_eq!(read.base_url().as_str(), "https://env.example.com/L");
        assert_eq!(read.generation().number(), 7);
        assert_eq!(read.token.expose(), "hunter2");
        assert_eq!(read.idle_timeout(), Duration::from_secs(600));
        assert!(read.is_borrowed());
        assert_eq!(read.jar.header(), record().jar.header());
        assert_eq!(read.expose_bytes().as_ref(), bytes.as_ref());
    }

    #[test]
    fn record_of_the_form_without_paths_is_read() {
        let old = r#"{"version":1,"base":"https://env.example.com/L","generation":7,
            "token":"hunter2","cookies":[["JSESSIONID","one"],["AWSALB","a"]],"idle_seconds":600,
            "borrowed":false,"exchanges":false,"project":null}"#;
        let read = SessionRecord::from_bytes(old.as_bytes()).expect("the old form");
        assert_eq!(read.jar.header().expect("cookies"), "JSESSIONID=one; AWSALB=a");
        let mixed = old.replace("\"version\":1", "\"version\":2");
        assert!(SessionRecord::from_bytes(mixed.as_bytes()).is_err());
    }

    #[test]
    fn record_s_buffer_never_grows() {
        let mut long = record();
        long.token = AuthToken::new("\u{1}".repeat(1_000));
        let bytes = long.expose_bytes();
        assert!(bytes.0.len() > 6_000 && bytes.0.capacity() < 8_000, "{}", bytes.0.capacity());
    }

    #[test]
    fn record_that_cannot_be_read_says_where_and_shows_nothing() {
        let good = record().expose_bytes();
        let text = std::str::from_utf8(good.as_ref()).expect("JSON");
        for (bad, said) in [
            ("{\"token\":\"hunter2\"}".to_owned(), "line 1"),
            (text.replace("\"version\":2", "\"version\":9"), "version is 9"),
            (text.replace("hunter2", ""), "token is invalid"),
            (text.replace("hunter2", "hunter2\\n"), "token is invalid"),
            (text.replace("a==", "hunter2\\n"), "cookies cannot be sent"),
            (text.replace(":7", &format!(":{}", u64::MAX)), "generation is"),
            (text.replace("https://", ""), "server has no address"),
            (text.replace("600", "\"hunter2\""), "line 1"),
            (String::new(), "line 1"),
        ] {
            let error = SessionRecord::from_bytes(bad.as_bytes()).expect_err("not one");
            assert_eq!(error.kind(), ErrorKind::Decode);
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(said) && !shown.contains("hunter2"), "{shown}");
        }
    }

    #[test]
    fn record_shows_no_secret() {
        let shown = format!("{:?} {:?}", record(), record().expose_bytes());
        assert!(!shown.contains("hunter2") && !shown.contains("one"), "{shown}");
    }
}
