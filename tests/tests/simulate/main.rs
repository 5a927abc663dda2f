//! The session machine against the model of the server, in one loop and in virtual time: no
//! transport, no executor.
//!
//! A network between the two delays, reorders and loses; the server has faults; callers come,
//! give up and are answered. What must hold is checked at every step by [`Simulation`].

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "this is test code")]

mod callers;
mod network;
mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use mstr_core::session::{Command, ExchangeId, Output, Purpose, Session, SessionConfig};
use mstr_core::{BaseUrl, Credentials, ErrorKind, Generation, Grant, TransportError};
use mstr_fake::{Fault, Purpose as Asked, Server};
use proptest::prelude::*;

const BASE: &str = "https://fake.example/MicroStrategyLibrary";
const FAULTS: &[&str] = &[
    "login:1:status=503,retry-after=2",
    "login:1:status=500",
    "login:1:reset-before",
    "login:1:reset-after",
    "login:1:refuse",
    "login:1:stall",
    "login:1:stall-after",
    "login:1:slow=70000",
    "login:1-2:slow=30000",
    "login:1:drop-cookies",
    "login:1:page=200",
    "login:1:page=401",
    "login:1-2:page=403",
    "login:1-4:status=401",
    "login:1-3:reset-after",
    "login:*:status=503",
    "inspect:1:status=503",
    "inspect:1:reset-mid-body",
    "inspect:1:stall",
    "inspect:*:status=500",
    "inspect:1:status=401",
    "inspect:1-5:page=401",
    "status:1:reset-before",
    "status:1:expire",
    "projects:*:status=503",
    "renew:1:expire",
    "renew:1:reset-after",
    "renew:1:stall",
    "renew:*:status=503",
    "renew:1:status=401",
    "logout:1:status=503",
    "logout:1:reset-after",
    "logout:*:stall",
    "logout:1:status=401",
    "logout:1:page=200",
    "call:1:expire",
    "call:1-3:expire",
    "call:1:status=503",
    "call:1:status=401",
    "call:1-9:page=401",
    "*:1-30:status=401",
    "call:1:slow=20000",
    "call:1:drop-cookies",
    "call:1:reset-after",
];

#[derive(Clone, Debug)]
struct Setting {
    seed: u64,
    checks: bool,
    project: bool,
    /// Credentials are asked for at each login.
    asked: bool,
    old: bool,
    rotate: bool,
    one_session: bool,
    /// Of a hundred requests, so many are lost on the way there or back.
    loss: u64,
}

#[derive(Clone, Debug)]
enum Step {
    /// One call a minute.
    Busy(u8),
    Calls(u8),
    ChangePassword,
    ExpireAll,
    Fault(usize),
    GiveUp,
    Logout,
    Pass(Duration),
    Renew,
    Reset,
}

/// How many scenarios are tried, by `PROPTEST_CASES` if that is set.
fn scenarios() -> u32 {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default().cases,
        None => 700,
    }
}

fn settings() -> impl Strategy<Value = Setting> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let rare = (prop::bool::weighted(0.2), prop::bool::weighted(0.2));
    (any::<u64>(), flags, rare, prop_oneof![Just(0), Just(5), Just(25)]).prop_map(
        |(seed, (checks, project, asked, old), (rotate, one_session), loss)| Setting {
            seed,
            checks,
            project,
            asked,
            old,
            rotate,
            one_session,
            loss,
        },
    )
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (1_u8..5).prop_map(Step::Calls),
        1 => (1_u8..25).prop_map(Step::Busy),
        1 => Just(Step::ChangePassword),
        2 => Just(Step::ExpireAll),
        3 => (0..FAULTS.len()).prop_map(Step::Fault),
        1 => Just(Step::GiveUp),
        1 => Just(Step::Renew),
        1 => Just(Step::Reset),
        6 => (0_u64..2_000).prop_map(|ms| Step::Pass(Duration::from_millis(ms))),
        3 => (1_u64..120).prop_map(|seconds| Step::Pass(Duration::from_secs(seconds))),
        1 => (300_u64..9_000).prop_map(|seconds| Step::Pass(Duration::from_secs(seconds))),
    ];
    let faults = prop::collection::vec((0..FAULTS.len()).prop_map(Step::Fault), 0..3);
    let ending = prop::option::weighted(0.3, Just(Step::Logout));
    let after = prop::collection::vec((1_u8..4).prop_map(Step::Calls), 0..2);
    (faults, prop::collection::vec(step, 1..40), ending, after).prop_map(
        |(mut all, steps, ending, after)| {
            all.extend(steps);
            if let Some(logout) = ending {
                all.push(logout);
                all.extend(after);
            }
            all
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: scenarios(),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn scenarios_break_no_rule(setting in settings(), steps in steps()) {
        Simulation::run(&setting, &steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 60,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn equal_inputs_have_equal_outcomes(setting in settings(), steps in steps()) {
        prop_assert_eq!(Simulation::run(&setting, &steps), Simulation::run(&setting, &steps));
    }
}

#[test]
fn simulation_of_a_dead_session_and_five_callers_has_one_login() {
    // One scenario with known counts: a dead session, five callers, one login.
    let setting = Setting {
        seed: 3,
        checks: true,
        project: true,
        asked: false,
        old: false,
        rotate: false,
        one_session: false,
        loss: 0,
    };
    let mut simulation = Simulation::new(&setting);
    for step in [Step::Calls(3), Step::Pass(Duration::from_secs(5)), Step::ExpireAll] {
        simulation.step(&step);
    }
    simulation.step(&Step::Calls(5));
    simulation.drain();
    assert_eq!(simulation.server.journal().count(Asked::Login), 2);
    assert!(simulation.server.journal().count(Asked::Call) >= 8);
    assert!(simulation.outcomes.iter().all(|outcome| *outcome == Ended::Answered(StatusCode::OK)));
    simulation.finish();
    assert_eq!(simulation.server.open_sessions(), 0);
}

#[test]
fn a_session_whose_opening_answer_is_lost_is_counted() {
    let setting = Setting {
        seed: 1,
        checks: false,
        project: false,
        asked: false,
        old: false,
        rotate: false,
        one_session: false,
        loss: 0,
    };
    let mut simulation = Simulation::new(&setting);
    simulation.server.add_fault("login:1:reset-after".parse().unwrap());
    simulation.step(&Step::Calls(1));
    simulation.drain();
    simulation.close();
    assert_eq!(simulation.server.open_sessions(), 1, "no client can log this one out");
    assert_eq!(simulation.left_open(), 1);
}

/// Numbers that differ and repeat from run to run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit
    }
}

type Answer = Result<Response<Bytes>, TransportError>;

/// A request on its way to the server, or its answer on the way back.
struct Flight {
    what: What,
    due: Option<Instant>,
    leg: Leg,
}

enum What {
    Call {
        caller: usize,
        grant: Grant,
        sent_at: Instant,
    },
    Own {
        id: ExchangeId,
        purpose: Purpose,
        deadline: Instant,
        /// It may be under way beside another one.
        excused: bool,
        token: String,
        password: Option<String>,
    },
}

enum Leg {
    There(Request<Bytes>),
    Back(Answer),
}

enum Caller {
    Ended,
    /// Waits for access; has been sent so many times.
    Wants(u32),
    Sent(u32),
    /// Was refused without the server's word; the session asks about itself.
    Asks(Box<Refusal>),
    /// Pauses; afterwards it says that this session is gone, if any.
    Pauses {
        revoke: Option<Generation>,
        at: Instant,
        sends: u32,
    },
}

struct Refusal {
    grant: Grant,
    response: Response<Bytes>,
    sent_at: Instant,
    sends: u32,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ended {
    Answered(StatusCode),
    Failed(ErrorKind),
    GaveUp,
    Interrupted,
}

/// A session as the wire saw it, whether or not the machine heard of it.
#[derive(Default)]
struct Seen {
    cookies: BTreeSet<String>,
    current: String,
    /// Why it may stay open.
    excuse: Option<&'static str>,
}

struct Simulation {
    start: Instant,
    now: Instant,
    chance: Chance,
    loss: u64,
    session: Session,
    server: Server,
    flights: Vec<Flight>,
    callers: Vec<Caller>,
    outcomes: Vec<Ended>,
    seen: BTreeMap<String, Seen>,
    /// Passwords the machine knows to be refused.
    refused: BTreeSet<String>,
    /// How often each exchange was sent.
    sends: BTreeMap<ExchangeId, u32>,
    /// When each password was submitted without an answer of the server's, since the last one.
    unanswered: BTreeMap<String, Vec<Instant>>,
    password: u32,
    known_password: u32,
    asked: bool,
    asking: Option<(ExchangeId, Instant)>,
    renewal_asked_for: bool,
    /// When a renewal was refused last, perhaps because it crossed an answer with another cookie.
    renewal_refused: Option<Instant>,
    /// When the newest request that succeeded was sent, and in which session.
    used: Option<(Generation, Instant)>,
    idle_timeout: Duration,
    generation: u64,
    rotating: bool,
}

impl Simulation {
    fn run(setting: &Setting, steps: &[Step]) -> Vec<String> {
        let mut simulation = Self::new(setting);
        for step in steps {
            simulation.step(step);
        }
        simulation.finish();
        let start = simulation.start;
        simulation.server.journal().entries().iter().map(|entry| entry.to_json(start)).collect()
    }

    fn new(setting: &Setting) -> Self {
        #[expect(clippy::disallowed_methods, reason = "an arbitrary origin; it never moves")]
        let start = Instant::now();
        let mut server = Server::builder().user("alice", &password(0)).seed(setting.seed);
        server = server.rotate_jsessionid(setting.rotate);
        if setting.old {
            server = server.server_version("11.3.0960.00001");
        }
        if setting.one_session {
            server = server.max_sessions_per_user(1);
        }
        let mut config = SessionConfig::new(BaseUrl::parse(BASE).unwrap())
            .checks(setting.checks)
            .seed(setting.seed);
        if setting.project {
            config = config.project("MicroStrategy Tutorial");
        }
        let credentials = (!setting.asked).then(|| Credentials::standard("alice", password(0)));
        let seconds = if setting.checks { 600 } else { 300 };
        Self {
            start,
            now: start,
            chance: Chance(setting.seed),
            loss: setting.loss,
            session: Session::new(config, credentials).unwrap(),
            server: server.build(),
            flights: Vec::new(),
            callers: Vec::new(),
            outcomes: Vec::new(),
            seen: BTreeMap::new(),
            refused: BTreeSet::new(),
            sends: BTreeMap::new(),
            unanswered: BTreeMap::new(),
            password: 0,
            known_password: 0,
            asked: setting.asked,
            asking: None,
            renewal_asked_for: false,
            renewal_refused: None,
            used: None,
            idle_timeout: Duration::from_secs(seconds),
            generation: 0,
            rotating: setting.rotate,
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Busy(minutes) => {
                for _ in 0..*minutes {
                    self.callers.push(Caller::Wants(0));
                    self.pass(Duration::from_secs(60));
                }
            }
            Step::Calls(number) => {
                self.callers.extend((0..*number).map(|_| Caller::Wants(0)));
            }
            Step::ChangePassword => {
                self.password += 1;
                self.server.set_password("alice", &password(self.password));
            }
            Step::ExpireAll => self.server.expire_all_sessions(),
            Step::Fault(index) => {
                self.server.add_fault(FAULTS[*index].parse::<Fault>().unwrap());
            }
            Step::GiveUp => self.give_up(),
            Step::Logout => {
                let command = Command::Logout { even_if_borrowed: false };
                self.session.handle(command, self.now);
            }
            Step::Pass(duration) => {
                self.pass(*duration);
            }
            Step::Renew => {
                self.renewal_asked_for = true;
                self.session.handle(Command::Renew, self.now);
            }
            Step::Reset => self.reset(),
        }
        self.settle();
    }

    fn give_up(&mut self) {
        let waiting = |caller: &&mut Caller| !matches!(caller, Caller::Ended);
        if let Some(caller) = self.callers.iter_mut().find(waiting) {
            *caller = Caller::Ended;
            self.outcomes.push(Ended::GaveUp);
        }
    }

    /// A session that is given up is no longer renewed, whatever is still under way.
    fn excuse_renewals(&mut self) {
        for flight in &mut self.flights {
            if let What::Own { purpose: Purpose::Renew, excused, .. } = &mut flight.what {
                *excused = true;
            }
        }
    }

    fn reset(&mut self) {
        self.known_password = self.password;
        self.refused.clear();
        self.unanswered.clear();
        for flight in &mut self.flights {
            if let What::Own { excused, .. } = &mut flight.what {
                *excused = true;
            }
        }
        let credentials =
            (!self.asked).then(|| Credentials::standard("alice", password(self.password)));
        self.session.handle(Command::Reset(credentials), self.now);
    }

    /// Lets time pass, with everything that is due in it.
    fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.settle();
        while let Some(next) = self.next_event().filter(|next| *next <= end) {
            self.happen(next);
        }
        self.now = end;
        self.session.handle_timeout(self.now);
        self.settle();
    }

    /// Goes on until nothing is under way any more.
    fn drain(&mut self) {
        self.settle();
        for _ in 0..100_000 {
            let Some(next) = self.next_event() else {
                let waits = |caller: &Caller| !matches!(caller, Caller::Ended);
                assert!(!self.callers.iter().any(waits), "a caller waits for ever");
                return;
            };
            self.happen(next);
        }
        panic!("it never comes to rest: {}", self.session.describe());
    }

    fn next_event(&mut self) -> Option<Instant> {
        let flights = self.flights.iter().filter_map(|flight| flight.due);
        let revoking = self.callers.iter().filter_map(|caller| match caller {
            Caller::Pauses { at, .. } => Some(*at),
            _ => None,
        });
        let machine = match self.session.poll_output() {
            Output::Wait(deadline) => deadline,
            other => panic!("an output is left after all were taken: {other:?}"),
        };
        let asking = self.asking.map(|(_, at)| at);
        flights.chain(revoking).chain(machine).chain(asking).min()
    }

    fn happen(&mut self, at: Instant) {
        self.now = self.now.max(at);
        let now = self.now;
        if let Some((id, _)) = self.asking.filter(|(_, due)| *due <= now) {
            self.asking = None;
            let supplied = Credentials::standard("alice", password(self.known_password));
            self.session.supply_credentials(id, Ok(supplied), now);
        }
        let due = |flight: &Flight| flight.due.is_some_and(|due| due <= now);
        while let Some(index) = self.flights.iter().position(due) {
            let flight = self.flights.remove(index);
            match flight.leg {
                Leg::There(request) => self.arrive(flight.what, request),
                Leg::Back(answer) => self.deliver(flight.what, answer),
            }
            self.settle();
        }
        for index in 0..self.callers.len() {
            let Caller::Pauses { revoke, at, sends } = self.callers[index] else { continue };
            if at > now {
                continue;
            }
            if let Some(generation) = revoke {
                self.excuse_renewals();
                self.session.revoke(generation, now);
            }
            self.callers[index] = Caller::Wants(sends);
        }
        self.session.handle_timeout(now);
        self.settle();
    }
}

fn password(number: u32) -> String {
    format!("pass-word-{number}")
}
