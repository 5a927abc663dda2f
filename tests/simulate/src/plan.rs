//! What one seed stands for: a server, a client, what goes wrong and when, and what callers do.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use fastrand::Rng;

use crate::ops::{Body, Call, Op, Path, Step, Whim};

/// A kind of trouble. A seed has some of them only, so that deep faults are not hidden behind shallow
/// ones.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Class {
    // Of the network, for each request.
    Slow,
    Refused,
    KeptCloses,
    LostBefore,
    LostAfter,
    SilentBefore,
    SilentAfter,
    CutBody,
    BadGateway,
    SignInPage,
    GatewayJson,
    Overload,
    Stripped,
    Redirect,
    DropsCookies,
    // Of the server.
    Restarts,
    Rotation,
    Scattered,
    SessionLimit,
    PasswordChanges,
    Namesakes,
    Gzip,
    OldVersion,
    RefusedType,
    // Of the program.
    Cancels,
    Unpolled,
    Resets,
    Closes,
    Lends,
    Provider,
    Front,
    Hurry,
    // Of time.
    Leaps,
    LongPauses,
}

pub(crate) const CLASSES: [Class; 34] = [
    Class::Slow,
    Class::Refused,
    Class::KeptCloses,
    Class::LostBefore,
    Class::LostAfter,
    Class::SilentBefore,
    Class::SilentAfter,
    Class::CutBody,
    Class::BadGateway,
    Class::SignInPage,
    Class::GatewayJson,
    Class::Overload,
    Class::Stripped,
    Class::Redirect,
    Class::DropsCookies,
    Class::Restarts,
    Class::Rotation,
    Class::Scattered,
    Class::SessionLimit,
    Class::PasswordChanges,
    Class::Namesakes,
    Class::Gzip,
    Class::OldVersion,
    Class::RefusedType,
    Class::Cancels,
    Class::Unpolled,
    Class::Resets,
    Class::Closes,
    Class::Lends,
    Class::Provider,
    Class::Front,
    Class::Hurry,
    Class::Leaps,
    Class::LongPauses,
];
/// The first ones, which happen to single requests.
const OF_REQUESTS: usize = 15;

/// How requests fare for a while.
#[derive(Clone, Debug)]
pub(crate) struct Epoch {
    pub(crate) lasts: Duration,
    /// Of a hundred requests, so many are struck.
    pub(crate) strength: u64,
    pub(crate) classes: Vec<Class>,
    /// Requests for this only.
    pub(crate) only: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Trouble {
    Restart,
    /// The password of the first user is another one.
    NewPassword,
    OldPassword,
}

/// The way a connection ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ending {
    Close,
    Drop,
    /// Its callers have the last handles, and go when they have done what they do.
    Abandon,
}

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// The whole story is wanted.
    pub(crate) told: bool,
    pub(crate) classes: BTreeSet<Class>,
    /// A server that knows its sessions sometimes says that it does not.
    pub(crate) forgetful: bool,
    pub(crate) session_timeout: Duration,
    pub(crate) checks: bool,
    pub(crate) project: Option<&'static str>,
    /// The limits of a call; `None` is the default.
    pub(crate) total: Option<Duration>,
    pub(crate) attempt: Option<Duration>,
    pub(crate) epochs: Vec<Epoch>,
    pub(crate) troubles: Vec<(Duration, Trouble)>,
    pub(crate) callers: Vec<Vec<Step>>,
    pub(crate) ending: Ending,
    /// The drivers are compared: no two things happen at once.
    pub(crate) compared: bool,
}

/// A project that every server lists.
pub(crate) const PROJECT: &str = "MicroStrategy Tutorial";
pub(crate) const USERS: [&str; 2] = ["alice", "bob"];

impl Plan {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let calm = rng.u8(..100) < 8;
        // Nothing happens to single requests: what fails then has no such excuse.
        let quiet = rng.u8(..100) < 15;
        let density = *rng.choice(&[12, 25, 40]).unwrap_or(&25);
        let classes: BTreeSet<Class> = CLASSES
            .into_iter()
            .filter(|class| !quiet || !CLASSES[..OF_REQUESTS].contains(class))
            .filter(|class| {
                // Some servers hardly let anything else be seen.
                let rare = matches!(class, Class::Scattered | Class::SessionLimit);
                rng.u8(..100) < if rare { density / 4 } else { density } && !calm
            })
            .collect();
        let has = |class| classes.contains(&class);
        let session_timeout = Duration::from_secs(*rng.choice(&[120, 600, 1_800]).unwrap_or(&600));
        let troubled: Vec<Class> =
            CLASSES[..OF_REQUESTS].iter().copied().filter(|class| has(*class)).collect();
        let callers = rng.usize(1..=5);
        let mut id = 0;
        let ending = *rng
            .choice(&[Ending::Close, Ending::Close, Ending::Close, Ending::Drop, Ending::Abandon])
            .unwrap_or(&Ending::Close);
        let mut callers: Vec<Vec<Step>> = (0..callers)
            .map(|_| {
                let steps = rng.usize(1..=9);
                (0..steps).map(|_| step(&mut rng, &classes, &mut id)).collect()
            })
            .collect();
        if ending == Ending::Abandon && rng.bool() {
            goes_in_a_hurry(&mut rng, &mut callers);
        }
        let crowd = has(Class::Hurry) && rng.u8(..3) == 0;
        if crowd {
            comes_together(&mut rng, &mut callers, &mut id);
        }
        Self {
            seed,
            told: false,
            forgetful: false,
            session_timeout,
            checks: rng.u8(..10) < 7,
            project: (rng.u8(..10) < 4).then_some(PROJECT),
            total: has(Class::Hurry)
                .then(|| Duration::from_millis(rng.u64(200..40_000)))
                .filter(|_| rng.bool() && !crowd),
            attempt: has(Class::Hurry)
                .then(|| Duration::from_millis(rng.u64(100..20_000)))
                .filter(|_| rng.bool() && !crowd),
            epochs: epochs(&mut rng, &troubled),
            troubles: troubles(&mut rng, &classes),
            callers,
            ending,
            compared: false,
            classes,
        }
    }

    pub(crate) fn has(&self, class: Class) -> bool {
        self.classes.contains(&class)
    }

    /// Whether nothing happens for which a session that has been opened would not be used.
    pub(crate) fn keeps_what_it_opens(&self) -> bool {
        let replaces = [
            Class::Restarts,
            Class::Rotation,
            Class::Scattered,
            Class::SessionLimit,
            Class::PasswordChanges,
            Class::Namesakes,
            Class::OldVersion,
            Class::RefusedType,
            Class::Resets,
            Class::Lends,
        ];
        // What is dropped by its last caller is not closed.
        let closes = self.ending == Ending::Close;
        closes && !self.is_struck() && !replaces.iter().any(|class| self.has(*class))
    }

    /// Whether the credential provider does not return now and then.
    pub(crate) fn has_provider_that_hangs(&self) -> bool {
        self.has(Class::Provider) && self.seed % 8 > 5
    }

    /// Whether anything may happen that a call has to fail for.
    pub(crate) fn is_disturbed(&self) -> bool {
        let disturbs = [
            Class::Restarts,
            Class::PasswordChanges,
            Class::Scattered,
            Class::SessionLimit,
            Class::Rotation,
            Class::Unpolled,
            Class::Leaps,
            Class::Resets,
            Class::Lends,
        ];
        // Without checks nothing is known of the time after which sessions end.
        self.is_struck() || !self.checks || disturbs.iter().any(|class| self.has(*class))
    }

    /// Whether something may happen to a single request.
    pub(crate) fn is_struck(&self) -> bool {
        self.epochs.iter().any(|epoch| epoch.strength > 0)
    }
}

/// The last caller goes in the middle of something, a login perhaps.
fn goes_in_a_hurry(rng: &mut Rng, callers: &mut Vec<Vec<Step>>) {
    callers.truncate(1);
    for steps in callers {
        steps.truncate(rng.usize(1..3));
        let Some(last) = steps.last_mut() else { continue };
        let soon = Duration::from_millis(rng.u64(1..600));
        last.whim = Whim::TimesOut(soon);
        // Threads have no whims.
        if let Op::Call(call) = &mut last.op {
            call.total = Some(soon);
        }
    }
}

/// All come at once and for one call each; the first has hardly any time.
fn comes_together(rng: &mut Rng, callers: &mut Vec<Vec<Step>>, id: &mut u32) {
    let classes = BTreeSet::new();
    callers.clear();
    for number in 0..rng.u64(2..5) {
        let call = Call { path: Path::Echo, ..call(rng, &classes, id) };
        let total = (number == 0).then(|| Duration::from_millis(rng.u64(50..700)));
        let pause = Duration::from_millis(number * rng.u64(0..80));
        let op = Op::Call(Call { total, ..call });
        callers.push(vec![Step { pause, op, whim: Whim::None }]);
    }
}

fn epochs(rng: &mut Rng, troubled: &[Class]) -> Vec<Epoch> {
    const TARGETS: [&str; 9] = [
        "login",
        "inspect",
        "status",
        "renew",
        "logout",
        "call",
        "projects",
        "user-info",
        "delegate",
    ];
    (0..rng.usize(1..8))
        .map(|_| {
            let longest = *rng.choice(&[5_u64, 60, 1_200, 20_000]).unwrap_or(&60);
            let strength = *rng.choice(&[0, 3, 20, 60, 100]).unwrap_or(&0);
            let mut classes = troubled.to_vec();
            rng.shuffle(&mut classes);
            classes.truncate(rng.usize(1..4));
            let only = rng.bool().then(|| *rng.choice(&TARGETS).unwrap_or(&"call"));
            Epoch {
                lasts: Duration::from_secs(rng.u64(1..=longest)),
                strength: if classes.is_empty() { 0 } else { strength },
                classes,
                only,
            }
        })
        .collect()
}

fn troubles(rng: &mut Rng, classes: &BTreeSet<Class>) -> Vec<(Duration, Trouble)> {
    let mut troubles = Vec::new();
    if classes.contains(&Class::Restarts) {
        for _ in 0..rng.usize(1..6) {
            troubles.push((moment(rng), Trouble::Restart));
        }
    }
    if classes.contains(&Class::PasswordChanges) {
        troubles.push((moment(rng), Trouble::NewPassword));
        if rng.bool() {
            troubles.push((moment(rng), Trouble::OldPassword));
        }
    }
    troubles.sort_by_key(|(at, _)| *at);
    troubles
}

/// Most things happen early.
fn moment(rng: &mut Rng) -> Duration {
    let longest = *rng.choice(&[2_000_u64, 30_000, 600_000, 40_000_000]).unwrap_or(&2_000);
    Duration::from_millis(rng.u64(0..longest))
}

fn pause(rng: &mut Rng, long: bool) -> Duration {
    let longest = match rng.u8(..20) {
        0..=8 => 300,
        9..=13 => 4_000,
        14..=16 => 70_000,
        17 | 18 => 1_900_000,
        _ if long => 30_000_000,
        _ => 700_000,
    };
    Duration::from_millis(rng.u64(0..longest))
}

fn step(rng: &mut Rng, classes: &BTreeSet<Class>, id: &mut u32) -> Step {
    let has = |class| classes.contains(&class);
    let op = match rng.u8(..40) {
        0..=21 => Op::Call(call(rng, classes, id)),
        22 => Op::Open,
        23 | 24 => Op::Renew,
        25 | 26 => Op::User,
        27 | 28 => Op::Status,
        29 => Op::Projects,
        30 => Op::Server,
        31 => Op::Select,
        32 | 33 if has(Class::Resets) => Op::Reset(rng.bool().then(|| rng.usize(..USERS.len()))),
        34 if has(Class::Closes) => Op::Close,
        35 | 36 if has(Class::Lends) => Op::Delegate(call(rng, classes, id)),
        37 if has(Class::Leaps) => Op::Leap(Duration::from_secs(rng.u64(1..200_000))),
        _ => Op::Call(call(rng, classes, id)),
    };
    let whim = match rng.u8(..10) {
        0 | 1 if has(Class::Cancels) => Whim::Drops { polls: rng.u32(1..6) },
        2 if has(Class::Cancels) => Whim::TimesOut(Duration::from_millis(rng.u64(1..3_000))),
        3 | 4 if has(Class::Unpolled) => {
            let hold = Duration::from_millis(rng.u64(1..90_000));
            Whim::Rests { polls: rng.u32(1..6), hold, resumes: rng.bool() }
        }
        _ => Whim::None,
    };
    Step { pause: pause(rng, has(Class::LongPauses)), op, whim }
}

fn call(rng: &mut Rng, classes: &BTreeSet<Class>, id: &mut u32) -> Call {
    *id += 1;
    let path = match rng.u8(..20) {
        0 => Path::Missing,
        1 => Path::Public,
        2 => Path::Elsewhere,
        _ => Path::Echo,
    };
    let method = *rng.choice(&["GET", "GET", "POST", "POST", "PUT", "DELETE"]).unwrap_or(&"GET");
    let body = if method == "GET" {
        Body::None
    } else {
        *rng.choice(&[Body::None, Body::Bytes, Body::Once, Body::Made]).unwrap_or(&Body::None)
    };
    let total = classes.contains(&Class::Hurry) && rng.bool();
    Call {
        id: *id,
        method: if path == Path::Public { "GET" } else { method },
        body: if path == Path::Public { Body::None } else { body },
        path,
        idempotent: (rng.u8(..8) == 0).then(|| rng.bool()),
        // Some go while others wait for the same login.
        total: total.then(|| {
            let longest = if rng.bool() { 1_500 } else { 100_000 };
            Duration::from_millis(rng.u64(50..longest))
        }),
        own_project: rng.u8(..10) == 0,
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "classes: {:?}", self.classes)?;
        writeln!(
            f,
            "sessions last {:?}; checks: {}; project: {:?}; total: {:?}; attempt: {:?}; ending: {:?}",
            self.session_timeout, self.checks, self.project, self.total, self.attempt, self.ending
        )?;
        for epoch in &self.epochs {
            let Epoch { lasts, strength, classes, only } = epoch;
            writeln!(f, "for {lasts:?}: {strength} of 100 of {only:?} by {classes:?}")?;
        }
        for (at, trouble) in &self.troubles {
            writeln!(f, "after {at:?}: {trouble:?}")?;
        }
        for (number, steps) in self.callers.iter().enumerate() {
            writeln!(f, "caller {number}:")?;
            for Step { pause, op, whim } in steps {
                writeln!(f, "  after {pause:?}: {op:?}, {whim:?}")?;
            }
        }
        Ok(())
    }
}
