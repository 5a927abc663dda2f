//! Faults of the server, on request.
//!
//! A rule is `WHAT:WHEN:EFFECT`; [`Fault`] has the words. [`decide`] says which of several faults
//! apply to one request, [`Fault`]'s documentation in which order.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};

use super::answers;
use super::body::ReplyBody;
use super::incoming::Incoming;
use super::purpose::Purpose;
use crate::endpoint::Pattern;

/// One thing that goes wrong, for some requests.
///
/// Made from a rule, `WHAT:WHEN:EFFECT`, or with [`answer`](Self::answer) and
/// [`page`](Self::page).
///
/// - `WHAT`: `login`, `logout`, `delegate`, `inspect` (`GET /api/sessions`), `renew`, `status`,
///   `projects`, `user-info`, `identity-token`, `api-token`, `call` (anything else), `*`, or
///   `path=/api/…`, a pattern such as `path=/api/v2/cubes/*`.
/// - `WHEN`: which of the requests that match, counted from 1: `*`, `3`, `3+` or `2-4`.
/// - `EFFECT`:
///   - `status=503`, and optionally `,retry-after=2` (seconds): this answer instead;
///   - `error=403,ERR017` and optionally `,-2147214568`: a refusal in the server's own format, with
///     this status, code and `iServerCode`;
///   - `page=200`: a web page with this status instead, as a sign-in gateway sends it;
///   - `slow=250`: milliseconds later;
///   - `expire`: the request's session has just ended;
///   - `drop-cookies`: the answer sets no cookies;
///   - `gzip`: the answer is compressed if the request accepts that, as by a gateway;
///   - `refuse`: no connection (on a socket, where the connection stands already, as
///     `reset-before`);
///   - `reset-before`: the connection breaks before the request is processed;
///   - `reset-after`: the request is processed, the connection breaks before the answer;
///   - `reset-mid-body`: the connection breaks in the middle of the answer's body;
///   - `stall`: the request is not processed and never answered;
///   - `stall-after`: it is processed and never answered;
///   - `stall-mid-body`: the answer stops in the middle of its body.
///
/// # Several faults on one request
///
/// All of them apply, as far as they can, in this order:
///
/// 1. `expire` ends the session, and `slow` begins to count; the delays of several add up.
/// 2. `refuse`, `reset-before` or `stall`: nothing else happens.
/// 3. `status`, `error` or `page`, or an answer made with [`answer`](Self::answer) or
///    [`page`](Self::page): the answer of a gateway, which does not ask for a session.
/// 4. The server checks the session, then the project.
/// 5. The server answers, or an added [endpoint](crate::Endpoint).
/// 6. `drop-cookies`, and `gzip`.
/// 7. `reset-after`, `reset-mid-body`, `stall-after` or `stall-mid-body`.
///
/// Where two exclude each other (two of step 2, of step 3 or of step 7; one of step 2 with one of
/// 3, 6 or 7), one that comes to an end (`3`, `2-4`) goes before one that does not (`*`, `3+`), and
/// otherwise the one that was given first. The other is not lost: it happens to the next request
/// that it matches.
///
/// ```
/// # mod mstr { pub use mstr_core::*; pub use mstr_fake as fake; }
/// use mstr::fake::Fault;
///
/// let fault: Fault = "login:1:status=503,retry-after=2".parse().unwrap();
/// let error = "login:1:explode".parse::<Fault>().unwrap_err();
/// assert!(error.to_string().contains("explode"));
/// ```
#[derive(Clone, Debug)]
pub struct Fault {
    what: What,
    first: u64,
    last: u64,
    effect: Effect,
    seen: u64,
    /// How often another fault has taken its place.
    owed: u64,
}

#[derive(Clone, Debug)]
enum What {
    Any,
    Path(String),
    Pattern(Pattern),
    Purpose(Purpose),
}

/// A fault of the connection, instead of a reply or after it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SocketFault {
    /// There is no connection.
    Refuse,
    /// The connection breaks before the reply.
    Reset,
    /// The connection breaks in the middle of the reply's body.
    ResetMidBody,
    /// The reply never comes.
    Stall,
    /// The reply stops in the middle of its body.
    StallMidBody,
}

#[derive(Clone, Debug)]
pub(super) enum Effect {
    Answer { status: StatusCode, content_type: String, body: Bytes },
    Cookie(HeaderValue),
    Expire,
    Gzip,
    NoCookies,
    Refuse,
    ResetAfter,
    ResetBefore,
    ResetMidBody,
    Slow(Duration),
    Stall,
    StallAfter,
    StallMidBody,
    Status { status: StatusCode, retry_after: Option<u64> },
}

/// Where in the life of a request an effect has its place.
#[derive(Clone, Copy)]
enum Step {
    /// Goes with everything.
    Beside,
    /// The request is not processed.
    Instead,
    /// A gateway answers in the server's place.
    Answer,
    Cookies,
    Afterwards,
}

/// The words for effects, as the error for another word lists them.
const WORDS: [&str; 14] = [
    "status=N",
    "error=N,CODE",
    "page=N",
    "slow=MS",
    "expire",
    "drop-cookies",
    "gzip",
    "refuse",
    "reset-before",
    "reset-after",
    "reset-mid-body",
    "stall",
    "stall-after",
    "stall-mid-body",
];

/// The ticket of a refusal that was asked for.
const FAULT_TICKET: &str = "0123456789abcdef0123456789abcdef";

impl Fault {
    /// Answers every request to `path` (below the base path) with this instead. No session is asked
    /// for: to test other calls, add an [endpoint](crate::Endpoint).
    #[must_use]
    pub fn answer(path: &str, status: u16, content_type: &str, body: &str) -> Self {
        Self::always(What::Path(path.to_owned()), answer(status, content_type, body))
    }

    /// Answers every request for `purpose` with a web page instead.
    #[must_use]
    pub fn page(purpose: Purpose, status: u16, html: &str) -> Self {
        Self::always(What::Purpose(purpose), answer(status, "text/html;charset=utf-8", html))
    }

    /// Adds a `Set-Cookie` with these bytes to every answer to a request for `purpose`, as the server
    /// and what stands in front of it do: several of one name for several paths, long ones, some that
    /// are not ASCII, deletions. Its place in the order of faults is that of `drop-cookies`, which it
    /// outlives.
    ///
    /// # Panics
    ///
    /// If no header can carry the bytes.
    #[must_use]
    #[track_caller]
    pub fn set_cookie(purpose: Purpose, line: &[u8]) -> Self {
        match HeaderValue::from_bytes(line) {
            Ok(line) => Self::always(What::Purpose(purpose), Effect::Cookie(line)),
            Err(_) => panic!("no header can carry this cookie"),
        }
    }

    /// Limits a fault to the first request that matches.
    #[must_use]
    pub const fn once(mut self) -> Self {
        self.last = self.first;
        self
    }

    const fn always(what: What, effect: Effect) -> Self {
        Self { what, first: 1, last: u64::MAX, effect, seen: 0, owed: 0 }
    }

    const fn has_an_end(&self) -> bool {
        self.last < u64::MAX
    }

    /// Counts this request, and says whether this fault should happen to it.
    fn is_due(&mut self, incoming: &Incoming) -> bool {
        let matches = match &self.what {
            What::Any => true,
            What::Path(path) => incoming.path.as_deref() == Some(path),
            What::Pattern(pattern) => {
                incoming.path.as_deref().is_some_and(|path| pattern.captures(path).is_some())
            }
            What::Purpose(purpose) => incoming.purpose == *purpose,
        };
        if !matches {
            return false;
        }
        self.seen += 1;
        if (self.first..=self.last).contains(&self.seen) {
            return true;
        }
        let made_up_for = self.owed > 0;
        self.owed -= u64::from(made_up_for);
        made_up_for
    }
}

/// The faults of this request, in the order in which they were given.
pub(super) fn decide(faults: &mut [Fault], incoming: &Incoming) -> Vec<Effect> {
    let mut due: Vec<(usize, &mut Fault)> = Vec::new();
    for (index, fault) in faults.iter_mut().enumerate() {
        if fault.is_due(incoming) {
            due.push((index, fault));
        }
    }
    due.sort_by_key(|(index, fault)| (!fault.has_an_end(), *index));
    let mut applied: Vec<(usize, Effect)> = Vec::new();
    for (index, fault) in due {
        if applied.iter().any(|(_, other)| other.excludes(&fault.effect)) {
            // One without an end has its turn when the other's is over.
            fault.owed += u64::from(fault.has_an_end());
        } else {
            applied.push((index, fault.effect.clone()));
        }
    }
    applied.sort_by_key(|(index, _)| *index);
    applied.into_iter().map(|(_, effect)| effect).collect()
}

fn answer(status: u16, content_type: &str, body: &str) -> Effect {
    Effect::Answer {
        status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        content_type: content_type.to_owned(),
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

impl Effect {
    /// The name in rules and in the journal.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Answer { .. } => "answer",
            Self::Cookie(_) => "set-cookie",
            Self::Expire => "expire",
            Self::Gzip => "gzip",
            Self::NoCookies => "drop-cookies",
            Self::Refuse => "refuse",
            Self::ResetAfter => "reset-after",
            Self::ResetBefore => "reset-before",
            Self::ResetMidBody => "reset-mid-body",
            Self::Slow(_) => "slow",
            Self::Stall => "stall",
            Self::StallAfter => "stall-after",
            Self::StallMidBody => "stall-mid-body",
            Self::Status { .. } => "status",
        }
    }

    /// Whether both cannot happen to one request.
    const fn excludes(&self, other: &Self) -> bool {
        let (first, second) = (self.step(), other.step());
        match (first, second) {
            (Step::Beside, _) | (_, Step::Beside) => false,
            (Step::Instead, _) | (_, Step::Instead) => true,
            (Step::Answer, Step::Answer) | (Step::Afterwards, Step::Afterwards) => true,
            _ => false,
        }
    }

    const fn step(&self) -> Step {
        match self {
            Self::Expire | Self::Gzip | Self::Slow(_) => Step::Beside,
            Self::Refuse | Self::ResetBefore | Self::Stall => Step::Instead,
            Self::Answer { .. } | Self::Status { .. } => Step::Answer,
            Self::Cookie(_) | Self::NoCookies => Step::Cookies,
            Self::ResetAfter | Self::ResetMidBody | Self::StallAfter | Self::StallMidBody => {
                Step::Afterwards
            }
        }
    }

    /// What happens before the request is processed, which it then is not.
    pub(super) const fn instead(&self) -> Option<SocketFault> {
        match self {
            Self::Refuse => Some(SocketFault::Refuse),
            Self::ResetBefore => Some(SocketFault::Reset),
            Self::Stall => Some(SocketFault::Stall),
            _ => None,
        }
    }

    /// What happens after it has been processed.
    pub(super) const fn afterwards(&self) -> Option<SocketFault> {
        match self {
            Self::ResetAfter => Some(SocketFault::Reset),
            Self::ResetMidBody => Some(SocketFault::ResetMidBody),
            Self::StallAfter => Some(SocketFault::Stall),
            Self::StallMidBody => Some(SocketFault::StallMidBody),
            _ => None,
        }
    }

    /// The answer that replaces the server's own.
    pub(super) fn answer(&self) -> Option<Response<ReplyBody>> {
        match self {
            Self::Answer { status, content_type, body } => {
                let mut response = answers::empty(*status);
                if let Ok(content_type) = HeaderValue::from_str(content_type) {
                    response.headers_mut().insert(CONTENT_TYPE, content_type);
                }
                *response.body_mut() = ReplyBody::Bytes(body.clone());
                Some(response)
            }
            Self::Status { status, retry_after } => {
                // An answer of a gateway in front of the server, not of the server.
                let body = format!("<html><body>{status}</body></html>");
                let mut response = answers::with_body(*status, "text/html", body);
                if let Some(seconds) = retry_after {
                    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(*seconds));
                }
                Some(response)
            }
            _ => None,
        }
    }
}

/// Why a rule could not be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ParseFaultError(String);

impl fmt::Display for ParseFaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ParseFaultError {}

impl FromStr for Fault {
    type Err = ParseFaultError;

    fn from_str(rule: &str) -> Result<Self, ParseFaultError> {
        let refuse = |why: String| ParseFaultError(format!("the fault rule \"{rule}\": {why}"));
        let mut parts = rule.splitn(3, ':');
        let (Some(what), Some(when), Some(effect)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(refuse("it has the form WHAT:WHEN:EFFECT".into()));
        };
        let what = parse_what(what).map_err(&refuse)?;
        let (first, last) = parse_when(when).map_err(&refuse)?;
        let effect = parse_effect(effect).map_err(&refuse)?;
        Ok(Self { what, first, last, effect, seen: 0, owed: 0 })
    }
}

fn parse_what(text: &str) -> Result<What, String> {
    if text == "*" {
        return Ok(What::Any);
    }
    if let Some(path) = text.strip_prefix("path=") {
        if !path.starts_with('/') {
            return Err(format!("the path \"{path}\" must begin with /"));
        }
        if path.contains(['*', '{']) {
            return Pattern::parse(path).map(What::Pattern);
        }
        return Ok(What::Path(path.to_owned()));
    }
    let purpose = Purpose::ALL.into_iter().find(|purpose| purpose.name() == text);
    purpose.map(What::Purpose).ok_or_else(|| {
        let names: Vec<&str> = Purpose::ALL.iter().map(|purpose| purpose.name()).collect();
        format!("\"{text}\" is not one of *, path=/…, {}", names.join(", "))
    })
}

fn parse_when(text: &str) -> Result<(u64, u64), String> {
    let number = |text: &str| match text.parse::<u64>() {
        Ok(0) | Err(_) => Err(format!("\"{text}\" is not a number from 1 on, nor *, N+ or N-M")),
        Ok(number) => Ok(number),
    };
    if text == "*" {
        return Ok((1, u64::MAX));
    }
    if let Some(first) = text.strip_suffix('+') {
        return Ok((number(first)?, u64::MAX));
    }
    match text.split_once('-') {
        Some((first, last)) => {
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return Err(format!("\"{text}\" ends before it begins"));
            }
            Ok((first, last))
        }
        None => number(text).map(|only| (only, only)),
    }
}

fn parse_effect(text: &str) -> Result<Effect, String> {
    let mut words = text.split(',');
    let main = words.next().unwrap_or_default();
    let (name, value) = match main.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (main, None),
    };
    let unknown = || format!("\"{main}\" is not one of {}", WORDS.join(", "));
    if !WORDS.iter().any(|word| word.split('=').next() == Some(name)) {
        return Err(unknown());
    }
    let number = || {
        let value = value.ok_or_else(|| format!("{name} needs a number: {name}=N"))?;
        value.parse::<u64>().map_err(|_| format!("\"{value}\" is not a number"))
    };
    let status = || {
        let number = number()?;
        let status = u16::try_from(number).ok().and_then(|code| StatusCode::from_u16(code).ok());
        // Informational answers are not final.
        status
            .filter(|status| !status.is_informational())
            .ok_or_else(|| format!("{number} is no HTTP status from 200 to 999"))
    };
    let effect = match (name, value) {
        ("status", _) => {
            let mut retry_after = None;
            if let Some(word) = words.next() {
                let seconds = word.strip_prefix("retry-after=").and_then(|text| text.parse().ok());
                retry_after = Some(seconds.ok_or_else(|| {
                    format!("\"{word}\" is not understood: retry-after=SECONDS may follow")
                })?);
            }
            Effect::Status { status: status()?, retry_after }
        }
        ("error", _) => {
            let code = words.next().filter(|code| !code.is_empty());
            let code = code.ok_or("error needs a code: error=STATUS,CODE")?;
            let iserver_code = match words.next() {
                Some(word) => {
                    Some(word.parse().map_err(|_| format!("\"{word}\" is not an iServerCode"))?)
                }
                None => None,
            };
            let body = answers::error_body(code, "as asked for", FAULT_TICKET, iserver_code);
            answer(status()?.as_u16(), answers::ERROR_TYPE, &body.to_string())
        }
        ("page", _) => {
            let page = "<!DOCTYPE html><html><body>Please sign in</body></html>";
            answer(status()?.as_u16(), "text/html;charset=utf-8", page)
        }
        ("slow", _) => Effect::Slow(Duration::from_millis(number()?)),
        ("expire", None) => Effect::Expire,
        ("drop-cookies", None) => Effect::NoCookies,
        ("gzip", None) => Effect::Gzip,
        ("refuse", None) => Effect::Refuse,
        ("reset-before", None) => Effect::ResetBefore,
        ("reset-after", None) => Effect::ResetAfter,
        ("reset-mid-body", None) => Effect::ResetMidBody,
        ("stall", None) => Effect::Stall,
        ("stall-after", None) => Effect::StallAfter,
        ("stall-mid-body", None) => Effect::StallMidBody,
        _ => return Err(unknown()),
    };
    match words.next() {
        Some(rest) => Err(format!("\"{rest}\" is not understood")),
        None => Ok(effect),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A rule with each word.
    const RULES: [&str; 17] = [
        "login:*:status=503,retry-after=2",
        "logout:1:reset-before",
        "delegate:2+:reset-after",
        "inspect:2-4:reset-mid-body",
        "renew:*:stall",
        "status:*:stall-after",
        "projects:*:stall-mid-body",
        "user-info:*:slow=250",
        "identity-token:*:expire",
        "api-token:*:drop-cookies",
        "call:*:refuse",
        "call:*:gzip",
        "*:*:page=200",
        "call:*:error=403,ERR017,-2147214568",
        "call:*:error=404,ERR004",
        "path=/api/echo:*:status=500",
        "path=/api/v2/cubes/{id}:*:expire",
    ];

    /// The name before `=`, in a word or in the effect of a rule.
    fn name(word: &str) -> &str {
        let effect = word.rsplit(':').next().unwrap_or_default();
        effect.split(['=', ',']).next().unwrap_or_default()
    }

    #[test]
    fn every_word_of_a_rule_is_understood() {
        for rule in RULES {
            let fault = rule.parse::<Fault>().unwrap();
            let answers = ["error", "page"].contains(&name(rule));
            let expected = if answers { "answer" } else { name(rule) };
            assert_eq!(fault.effect.name(), expected, "{rule}");
        }
    }

    #[test]
    fn every_word_is_listed_documented_and_tried() {
        let own = include_str!("faults.rs");
        let documented: Vec<&str> = own
            .lines()
            .filter_map(|line| line.strip_prefix("///   - `"))
            .filter_map(|line| line.split(['`', '=', ',']).next())
            .collect();
        assert_eq!(documented, WORDS.map(name), "the documentation of `Fault`, and `WORDS`");
        let tried = |word: &&str| RULES.iter().any(|rule| name(rule) == name(word));
        let untried: Vec<&str> = WORDS.into_iter().filter(|word| !tried(word)).collect();
        assert!(untried.is_empty(), "no rule in this test has {untried:?}");
    }

    #[test]
    fn a_wrong_rule_says_which_part_is_wrong() {
        for (rule, named) in [
            ("", "WHAT:WHEN:EFFECT"),
            ("login:1", "WHAT:WHEN:EFFECT"),
            ("lgoin:1:stall", "lgoin"),
            ("path=api:1:stall", "must begin with /"),
            ("path=/api/cube-*:1:stall", "cube-*"),
            ("login:0:stall", "\"0\""),
            ("login:x:stall", "\"x\""),
            ("login:4-2:stall", "ends before"),
            ("login:1:status", "status=N"),
            ("login:1:status=99", "99"),
            ("login:1:status=100", "100"),
            ("login:1:status=70000", "70000"),
            ("login:1:status=503,after=1", "retry-after"),
            ("login:1:stall=3", "stall=3"),
            ("login:1:stall,twice", "twice"),
            ("login:1:slow=fast", "fast"),
            ("call:1:error=403", "error=STATUS,CODE"),
            ("call:1:error=403,ERR017,x", "\"x\" is not an iServerCode"),
        ] {
            let error = rule.parse::<Fault>().unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
