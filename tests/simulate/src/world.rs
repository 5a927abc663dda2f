//! The server, the network in front of it, and the observer who knows the laws.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::response::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use mstr_core::{Error, Sent, TransportError, TransportErrorKind};
use mstr_fake::{Answer as Reply, Endpoint, Fault, ReplyBody, Server};

use crate::compare::{Done, Line};
use crate::laws::Law;
use crate::observer::Observer;
use crate::ops::{Op, Outcome};
use crate::plan::{Class, Plan, Trouble, USERS};
use crate::sending::Sending;

pub(crate) const AUTHORITY: &str = "library.example";
pub(crate) const BASE: &str = "https://library.example/MicroStrategyLibrary";
pub(crate) const ELSEWHERE: &str = "https://elsewhere.example/file";
/// How long the session's own exchanges may take.
pub(crate) const EXCHANGE: Duration = Duration::from_secs(60);

/// The cookie of a gateway's error or redirect.
pub(crate) const OF_AN_ERROR: &str = "of-an-error";

/// What arrives at the client.
pub(crate) type Answer = Result<(Parts, Bytes, Breaks), TransportError>;

/// Whether a body ends before its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Breaks {
    Never,
    Off,
    /// Nothing more comes.
    Silent,
}

/// Clones share it.
#[derive(Clone)]
pub(crate) struct World(Arc<Mutex<State>>);

pub(crate) struct State {
    pub(crate) plan: Arc<Plan>,
    pub(crate) server: Server,
    pub(crate) observer: Observer,
    pub(crate) start: Instant,
    /// What has happened, if that is wanted.
    pub(crate) story: Option<Vec<String>>,
    /// Outcomes, and how many requests had reached the server then.
    outcomes: Vec<(usize, String)>,
    parcels: BTreeMap<u64, Parcel>,
    due: BTreeSet<(Instant, u64)>,
    next: u64,
    counts: BTreeMap<&'static str, u64>,
    troubles: usize,
    /// The password of the first user.
    pub(crate) password: String,
    /// From then on requests fare well.
    healed: bool,
}

struct Parcel {
    sending: Sending,
    stage: Stage,
}

enum Stage {
    There(Box<Request<Bytes>>, Strikes),
    Back(Instant, Box<Answer>),
    Never,
}

/// What strikes one request, and in which of its ways: the same for each driver.
type Strikes = (Option<Class>, u64);

/// Whether an answer has come.
pub(crate) enum Arrival {
    Here(Box<Answer>),
    /// Not before then; never if there is none.
    Later(Option<Instant>),
}

/// The purpose of a request, by its method and path.
pub(crate) fn purpose(method: &Method, path: &str) -> &'static str {
    let path = path.strip_prefix("/MicroStrategyLibrary").unwrap_or(path);
    match path {
        "/api/auth/login" => "login",
        "/api/auth/logout" => "logout",
        "/api/auth/delegate" => "delegate",
        "/api/auth/identityToken" => "identity-token",
        "/api/sessions" if *method == Method::PUT => "renew",
        "/api/sessions" => "inspect",
        "/api/sessions/userInfo" => "user-info",
        "/api/status" => "status",
        "/api/projects" => "projects",
        _ => "call",
    }
}

/// The number of a call, in its path.
pub(crate) fn call_of(path: &str) -> Option<u32> {
    path.rsplit_once("/api/calls/").and_then(|(_, id)| id.parse().ok())
}

fn mixed(one: u64, other: u64) -> u64 {
    let mut mixed = one ^ other.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

impl World {
    pub(crate) fn new(plan: &Arc<Plan>, start: Instant) -> Self {
        let mut server = server(plan);
        if plan.has(Class::Namesakes) {
            let line = b"JSESSIONID=of-the-gateway; Path=/MicroStrategyLibrary/api";
            server.add_fault(Fault::set_cookie(mstr_fake::Purpose::Call, line));
        }
        if plan.has(Class::Gzip)
            && let Ok(fault) = "*:*:gzip".parse()
        {
            server.add_fault(fault);
        }
        Self(Arc::new(Mutex::new(State {
            observer: Observer::new(plan),
            plan: Arc::clone(plan),
            server,
            start,
            story: plan.told.then(Vec::new),
            outcomes: Vec::new(),
            parcels: BTreeMap::new(),
            due: BTreeSet::new(),
            next: 0,
            counts: BTreeMap::new(),
            troubles: 0,
            password: password(USERS[0]),
            healed: false,
        })))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request leaves the client.
    pub(crate) fn depart(&self, request: Request<Bytes>, now: Instant) -> u64 {
        self.state().depart(request, now)
    }

    pub(crate) fn arrival(&self, parcel: u64, now: Instant) -> Arrival {
        self.state().arrival(parcel, now)
    }

    /// The client has stopped waiting.
    pub(crate) fn abandon(&self, parcel: u64, now: Instant) {
        self.state().abandon(parcel, now);
    }

    /// Adds to the story, if it is wanted.
    pub(crate) fn tell(&self, now: Instant, what: impl FnOnce() -> String) {
        self.state().tell(now, what);
    }

    /// Says that a law was broken. The first one counts.
    pub(crate) fn broken(&self, law: Law, said: impl Into<String>) {
        self.state().observer.broken(law, said);
    }

    pub(crate) fn is_healed(&self) -> bool {
        self.state().healed
    }
}

impl State {
    fn tell(&mut self, now: Instant, what: impl FnOnce() -> String) {
        let at = (now - self.start).as_secs_f64();
        if let Some(story) = &mut self.story {
            story.push(format!("{at:10.3} {}", what()));
        }
    }

    /// Keeps what a caller is told, for comparisons.
    pub(crate) fn note_outcome(&mut self, op: Op, result: &Result<Outcome, Error>) {
        if self.plan.compared {
            let told = match result {
                Ok(outcome) => format!("{outcome:?}"),
                Err(error) => format!("{:?}", error.kind()),
            };
            self.outcomes.push((self.server.journal().len(), format!("{op:?}: {told}")));
        }
    }

    /// The requests that reached the server, and the outcomes.
    pub(crate) fn done(&mut self) -> Done {
        let mut lines = Vec::new();
        let mut outcomes = std::mem::take(&mut self.outcomes).into_iter().peekable();
        for (index, entry) in self.server.journal().entries().iter().enumerate() {
            while let Some((_, told)) = outcomes.next_if(|(requests, _)| *requests <= index) {
                lines.push(Line::Outcome(told));
            }
            let status = entry.status.map(|status| status.as_u16());
            let said = format!("{} {} {status:?}", entry.method, entry.path);
            lines.push(Line::Request { purpose: purpose(&entry.method, &entry.path), said });
        }
        lines.extend(outcomes.map(|(_, told)| Line::Outcome(told)));
        Done { lines }
    }

    fn depart(&mut self, request: Request<Bytes>, now: Instant) -> u64 {
        self.settle(now);
        let id = self.next;
        self.next += 1;
        let purpose = purpose(request.method(), request.uri().path());
        let nth = self.counts.entry(purpose).or_default();
        *nth += 1;
        let chance = mixed(self.plan.seed ^ *nth, purpose.bytes().map(u64::from).sum());
        let strikes = self.strikes(purpose, chance, now);
        let way = mixed(chance, 1) >> 8;
        let alive = self.alive(now);
        let sending = self.observer.departs(&request, purpose, id, &alive, now);
        let slow = match strikes {
            Some(Class::Slow) => chance % 95_000,
            _ => [1, 3, 20, 60, 150, 400][usize::try_from(chance >> 20).unwrap_or(0) % 6],
        };
        let arrives = now + Duration::from_millis(slow / 2);
        let said = format!("  {id} {} {} {strikes:?}", request.method(), request.uri().path());
        let submits = sending.submits();
        self.tell(now, || said + &submits);
        self.parcels
            .insert(id, Parcel { sending, stage: Stage::There(Box::new(request), (strikes, way)) });
        self.due.insert((arrives, id));
        id
    }

    /// What happens to a request that is sent now.
    fn strikes(&self, purpose: &str, chance: u64, now: Instant) -> Option<Class> {
        if self.healed {
            return None;
        }
        let mut passed = now - self.start;
        let epoch = self.plan.epochs.iter().find(|epoch| {
            let found = passed < epoch.lasts;
            passed = passed.saturating_sub(epoch.lasts);
            found
        })?;
        let struck = chance % 100 < epoch.strength && epoch.only.is_none_or(|only| only == purpose);
        let place = usize::try_from(chance >> 32).unwrap_or(0) % epoch.classes.len().max(1);
        epoch.classes.get(place).copied().filter(|_| struck)
    }

    /// The sessions that are alive now.
    pub(crate) fn alive(&mut self, now: Instant) -> Vec<String> {
        self.settle(now);
        self.server.handle_timeout(now);
        self.server.open_tokens()
    }

    /// Lets everything happen that is due.
    pub(crate) fn settle(&mut self, now: Instant) {
        loop {
            let parcel = self.due.first().copied().filter(|(at, _)| *at <= now);
            let trouble = self.plan.troubles.get(self.troubles).copied();
            let trouble = trouble.map(|(at, what)| (self.start + at, what));
            let trouble = trouble.filter(|(at, _)| *at <= now && !self.healed);
            match (parcel, trouble) {
                (parcel, Some((at, what))) if parcel.is_none_or(|(due, _)| at <= due) => {
                    self.troubles += 1;
                    self.tell(at, || format!("{what:?}"));
                    self.happens(what);
                }
                (Some((at, id)), _) => {
                    self.due.remove(&(at, id));
                    self.arrives(id, at);
                }
                (None, _) => return,
            }
        }
    }

    fn happens(&mut self, what: Trouble) {
        match what {
            Trouble::Restart => self.server.expire_all_sessions(),
            Trouble::NewPassword => self.change_password("a-new-password".to_owned()),
            Trouble::OldPassword => self.change_password(password(USERS[0])),
        }
    }

    fn change_password(&mut self, to: String) {
        self.server.set_password(USERS[0], &to);
        self.password = to;
    }

    /// A request arrives where it goes.
    fn arrives(&mut self, id: u64, at: Instant) {
        let Some(parcel) = self.parcels.get_mut(&id) else { return };
        let stage = std::mem::replace(&mut parcel.stage, Stage::Never);
        let Stage::There(request, (strikes, way)) = stage else { return };
        let purpose = purpose(request.method(), request.uri().path());
        let elsewhere = request.uri().authority().is_none_or(|it| it.as_str() != AUTHORITY);
        let fails = |kind, sent| Err(TransportError::new(kind).with_sent(sent));
        let in_its_place = match strikes {
            Some(Class::BadGateway) if way % 2 == 1 => {
                Some(in_its_name(&self.plan, purpose, way >> 1))
            }
            strikes => strikes.and_then(|class| in_its_place(class, way)),
        };
        let answer = if elsewhere {
            Ok((Response::new(()).into_parts().0, Bytes::from_static(b"a file"), Breaks::Never))
        } else if let Some(answer) = in_its_place {
            Ok(answer)
        } else {
            match strikes {
                Some(Class::Refused) if way % 4 == 0 => fails(TransportErrorKind::Tls, Sent::No),
                // It takes too long to connect.
                Some(Class::Refused) if way % 8 == 1 => {
                    fails(TransportErrorKind::Timeout, Sent::No)
                }
                Some(Class::Refused) => fails(TransportErrorKind::Connect, Sent::No),
                Some(Class::KeptCloses) => fails(TransportErrorKind::Interrupted, Sent::No),
                Some(Class::LostBefore) => fails(TransportErrorKind::Interrupted, Sent::Maybe),
                Some(Class::SilentBefore) => return,
                _ => {
                    let reply = self.server.handle(*request, at);
                    parcel.sending.acted(&reply.response, &mut self.observer);
                    match strikes {
                        Some(Class::LostAfter) => {
                            fails(TransportErrorKind::Interrupted, Sent::Maybe)
                        }
                        Some(Class::SilentAfter) => return,
                        _ => Ok(struck(reply.response, strikes, way)),
                    }
                }
            }
        };
        let back = Duration::from_millis(way % 90);
        let back = if strikes == Some(Class::Slow) { back * 400 } else { back };
        parcel.stage = Stage::Back(at + back, Box::new(answer));
    }

    fn arrival(&mut self, id: u64, now: Instant) -> Arrival {
        self.settle(now);
        let Some(parcel) = self.parcels.get_mut(&id) else { return Arrival::Later(None) };
        match &parcel.stage {
            Stage::Back(at, _) if *at <= now => {}
            Stage::Back(at, _) => return Arrival::Later(Some(*at)),
            Stage::Never => return Arrival::Later(None),
            Stage::There(..) => {
                let due = self.due.iter().find(|(_, other)| *other == id).map(|(at, _)| *at);
                return Arrival::Later(due);
            }
        }
        let Some(Parcel { sending, stage: Stage::Back(_, answer) }) = self.parcels.remove(&id)
        else {
            return Arrival::Later(None);
        };
        let alive = self.alive(now);
        self.observer.delivers(sending, &answer, &alive, now);
        self.tell(now, || match &*answer {
            Ok((parts, _, breaks)) => format!("  {id} is answered: {} {breaks:?}", parts.status),
            Err(error) => format!("  {id} fails: {error}"),
        });
        Arrival::Here(answer)
    }

    fn abandon(&mut self, id: u64, now: Instant) {
        self.settle(now);
        let Some(parcel) = self.parcels.get_mut(&id) else { return };
        self.observer.abandons(&mut parcel.sending, now);
        let leaves = matches!(&parcel.stage, Stage::There(_, (_, way)) if way % 2 == 0);
        self.tell(now, || format!("  {id} is given up"));
        // Some requests are on their way already, and some are not.
        if leaves {
            return;
        }
        self.parcels.remove(&id);
        self.due.retain(|(_, other)| *other != id);
    }

    /// The faults are over.
    pub(crate) fn heal(&mut self, now: Instant) {
        self.settle(now);
        self.healed = true;
        self.change_password(password(USERS[0]));
    }
}

pub(crate) fn password(user: &str) -> String {
    format!("password-of-{user}")
}

fn server(plan: &Plan) -> Server {
    let mut builder = Server::builder()
        .seed(plan.seed)
        .session_timeout(plan.session_timeout)
        .http_session_timeout(plan.session_timeout * 2)
        .rotate_jsessionid(plan.has(Class::Rotation));
    for user in USERS {
        builder = builder.user(user, &password(user));
    }
    for method in ["GET", "POST", "PUT", "DELETE"] {
        let Ok(method) = method.parse::<Method>() else { continue };
        let endpoint = Endpoint::new(method, "/api/calls/{id}", |request| {
            Reply::json(&serde_json::json!({ "id": request.parameter("id") }))
        });
        if let Ok(endpoint) = endpoint {
            builder = builder.add_endpoint(endpoint);
        }
    }
    if plan.has(Class::Scattered) && !plan.forgetful {
        builder = builder.nodes_without_stickiness(2);
    }
    if plan.has(Class::SessionLimit) {
        builder = builder.max_sessions_per_user(2);
    }
    if plan.has(Class::OldVersion) {
        builder = builder.server_version("11.3.0100.00010");
    }
    if plan.has(Class::RefusedType) {
        builder = builder.reject_application_type(76, "constraint violations: 76");
    }
    builder.build()
}

/// The answer of a gateway, which lets nothing through.
fn in_its_place(class: Class, chance: u64) -> Option<(Parts, Bytes, Breaks)> {
    let page = "<html><body>gateway</body></html>";
    let (status, kind, body, header) = match class {
        Class::BadGateway => ([502, 504, 500][chance as usize % 3], "text/html", page, None),
        Class::SignInPage => ([200, 401, 403][chance as usize % 3], "text/html", page, None),
        Class::GatewayJson => (
            [401, 403, 404][chance as usize % 3],
            "application/json",
            r#"{"message":"Unauthorized"}"#,
            None,
        ),
        Class::Overload => {
            let wait = ["2", "90", "Fri, 31 Dec 2021 23:59:59 GMT"][chance as usize % 3];
            ([503, 429][chance as usize % 2], "text/html", page, Some(("retry-after", wait)))
        }
        Class::Redirect => {
            let here = "https://library.example/MicroStrategyLibrary/api/status";
            let (status, place) = [
                (302, Some(ELSEWHERE)),
                (302, Some(here)),
                (303, Some(here)),
                (307, Some(here)),
                (302, None),
            ][chance as usize % 5];
            (status, "text/html", "", place.map(|place| ("location", place)))
        }
        _ => return None,
    };
    let mut response = Response::builder().status(status).header("content-type", kind);
    if let Some((name, value)) = header {
        response = response.header(name, value);
    }
    // Gateways keep sessions of their own.
    let value = if status >= 400 { OF_AN_ERROR } else { "of-the-gateway" };
    // Those of an error may have the server's own path, because they are not to be kept.
    let own = status >= 400 && chance.is_multiple_of(2);
    let path = if own { "/MicroStrategyLibrary" } else { "/" };
    response = response.header("set-cookie", format!("JSESSIONID={value}; Path={path}"));
    let (parts, ()) = response.body(()).ok()?.into_parts();
    Some((parts, Bytes::from_static(body.as_bytes()), Breaks::Never))
}

/// The answer of a server in trouble, in its own words.
fn in_its_name(plan: &Plan, purpose: &str, chance: u64) -> (Parts, Bytes, Breaks) {
    let opens = matches!(purpose, "login" | "delegate");
    // A server that knows no session of another one.
    let forgets = plan.has(Class::Scattered) && !opens;
    let changes = plan.has(Class::PasswordChanges);
    let answers = [
        (true, 500, r#"{"code":"ERR001","message":"no"}"#),
        (true, 500, r#"{"code":"ERR001","iServerCode":-2147072486,"message":"no"}"#),
        // It is final for a login, until the credentials are reset.
        (purpose != "login" || changes, 403, r#"{"code":"ERR014","message":"no"}"#),
        (forgets && changes, 401, r#"{"code":"ERR003","message":"no"}"#),
        (forgets || opens, 401, r#"{"code":"ERR009","message":"no"}"#),
        (opens || purpose == "call", 400, r#"{"code":"ERR007","message":"constraint violations"}"#),
        (purpose == "status", 200, r#"{"iServerVersion":"10.4.0000.0001"}"#),
        (purpose == "projects", 200, "[]"),
    ];
    let count = answers.iter().filter(|(may, ..)| *may).count();
    let mut possible = answers.iter().filter(|(may, ..)| *may);
    let (_, status, body) = possible.nth(chance as usize % count).unwrap_or(&answers[0]);
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(*status).unwrap_or_default();
    (response.into_parts().0, Bytes::from_static(body.as_bytes()), Breaks::Never)
}

/// The server's answer after what has happened to it on its way.
fn struck(
    response: Response<ReplyBody>,
    strikes: Option<Class>,
    chance: u64,
) -> (Parts, Bytes, Breaks) {
    let (mut parts, body) = response.into_parts();
    let mut body = match body {
        ReplyBody::Bytes(bytes) => bytes,
        ReplyBody::Generated(length) => {
            ReplyBody::generate(0, usize::try_from(length).unwrap_or(0))
        }
        ReplyBody::Trickle(pieces, _) => pieces.concat().into(),
        _ => Bytes::new(),
    };
    let mut breaks = Breaks::Never;
    match strikes {
        Some(Class::Stripped) if parts.status.as_u16() >= 400 => body = Bytes::new(),
        Some(Class::DropsCookies) => drop(parts.headers.remove("set-cookie")),
        Some(Class::CutBody) => {
            body.truncate(body.len() / 2);
            breaks = if chance.is_multiple_of(2) { Breaks::Off } else { Breaks::Silent };
        }
        _ => {}
    }
    (parts, body, breaks)
}

/// What the server itself says in an answer.
pub(crate) fn says(answer: &Answer, code: &str) -> bool {
    let Ok((parts, body, _)) = answer else { return false };
    let mut plain = Vec::new();
    if parts.headers.contains_key("content-encoding") {
        // As much as there is.
        drop(GzDecoder::new(&body[..]).read_to_end(&mut plain));
    } else {
        plain.extend_from_slice(body);
    }
    says_in(&plain, code)
}

pub(crate) fn says_in(bytes: &[u8], what: &str) -> bool {
    bytes.windows(what.len()).any(|window| window == what.as_bytes())
}

/// How long the answer asks to wait. A date of the past asks for nothing.
pub(crate) fn retry_after(answer: &Answer) -> Option<Duration> {
    let (parts, ..) = answer.as_ref().ok()?;
    let seconds = parts.headers.get("retry-after")?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Whether the server says it, and not something in front of it.
pub(crate) fn is_own(answer: &Answer) -> bool {
    let opened = answer.as_ref().is_ok_and(|(parts, ..)| token(&parts.headers).is_some());
    opened || says(answer, "\"ERR")
}

pub(crate) fn is_page(answer: &Answer) -> bool {
    let kind = answer.as_ref().ok().and_then(|(parts, ..)| parts.headers.get("content-type"));
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"))
}

pub(crate) fn is_success(answer: &Answer) -> bool {
    answer.as_ref().is_ok_and(|(parts, ..)| parts.status.is_success())
}

pub(crate) fn status(answer: &Answer) -> Option<StatusCode> {
    answer.as_ref().ok().map(|(parts, ..)| parts.status)
}

/// The session's token in a message.
pub(crate) fn token(headers: &HeaderMap) -> Option<String> {
    Some(headers.get("x-mstr-authtoken")?.to_str().ok()?.to_owned())
}
