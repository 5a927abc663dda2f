//! Whether the lives of the bare machines reach every row of the machines' state tables.

#![expect(clippy::print_stdout, reason = "this is a program")]

use std::collections::BTreeSet;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;

use crate::bare::words::{Machine, Row as Seen};
use crate::excuses::EXCUSES;
use crate::ops::{Body, Call, Op, Path, Step, Whim};
use crate::plan::{CLASSES, Class, Epoch, Plan, Trouble, USERS};
use crate::run::{Driver, run};

const TABLES: [(Machine, &str); 2] = [
    (Machine::Session, include_str!("../../../docs/session-machine.md")),
    (Machine::Call, include_str!("../../../docs/call-machine.md")),
];
const NOTHING_SENT: &str = "Nothing is sent and the state stays: ";
/// How the tables sum up that a session is opened: also beside the one in use.
const OPENING: [&str; 2] = ["logging in", "awaiting credentials"];
const BESIDE: &str = "replacing the session";

/// How requests are struck where they are struck without end.
const ANSWERS: [Class; 11] = [
    Class::Slow,
    Class::Refused,
    Class::LostBefore,
    Class::LostAfter,
    Class::SilentBefore,
    Class::BadGateway,
    Class::SignInPage,
    Class::GatewayJson,
    Class::Overload,
    Class::Stripped,
    Class::Redirect,
];
const TARGETS: [&str; 9] =
    ["renew", "inspect", "status", "logout", "projects", "delegate", "login", "logout", "delegate"];

/// One input of a table's row, in one of its ways. The conditions of the row are left out.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Row {
    pub(crate) machine: Machine,
    pub(crate) state: String,
    pub(crate) what: String,
    pub(crate) how: String,
    /// One of these.
    pub(crate) next: Vec<String>,
}

impl Row {
    fn is_reached_by(&self, seen: &Seen) -> bool {
        self.machine == seen.machine
            && self.state == seen.state
            && self.what == seen.input.what
            && self.how == seen.input.how
            && self.next.iter().any(|next| next == seen.next)
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { machine, state, what, how, next } = self;
        write!(f, "{machine:?}, {state} | {what}: {how} | {}", next.join(" or "))
    }
}

/// All rows of both tables.
fn rows() -> BTreeSet<Row> {
    let mut rows = BTreeSet::new();
    for (machine, text) in TABLES {
        let mut state = String::new();
        for line in text.lines() {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            if let Some(heading) = line.strip_prefix("## ") {
                state = heading.to_lowercase();
            } else if let Some(inputs) = line.strip_prefix(NOTHING_SENT) {
                add(&mut rows, machine, &state, inputs.trim_end_matches('.'), "stays");
            } else if let [_, inputs, _, next, ..] = cells[..]
                && !matches!(inputs, "input" | "---")
            {
                add(&mut rows, machine, &state, inputs, next);
            }
        }
    }
    rows
}

fn add(rows: &mut BTreeSet<Row>, machine: Machine, state: &str, inputs: &str, next: &str) {
    let mut nexts: Vec<String> = match next {
        "stays" => vec![state.to_owned()],
        _ => next.split(" or ").map(|next| next.trim_matches('*').to_owned()).collect(),
    };
    if nexts == OPENING {
        nexts.push(BESIDE.to_owned());
    }
    for input in without_conditions(inputs).split("; ") {
        let (what, hows) = input.split_once(": ").unwrap_or((input, ""));
        for how in hows.split(", ") {
            rows.insert(Row {
                machine,
                state: state.to_owned(),
                what: what.trim().to_owned(),
                how: how.trim().to_owned(),
                next: nexts.clone(),
            });
        }
    }
}

/// What is in parentheses is a condition.
fn without_conditions(inputs: &str) -> String {
    let mut depth = 0;
    let outside = inputs.chars().filter(|char| {
        depth += i32::from(*char == '(');
        let outside = depth == 0;
        depth -= i32::from(*char == ')');
        outside
    });
    outside.collect()
}

/// The plan of a seed, and for two of three more of what happens seldom: callers that interrupt each
/// other, and requests that are struck without end.
pub(crate) fn plan(seed: u64) -> Plan {
    let mut plan = Plan::new(seed);
    if seed.is_multiple_of(3) {
        return plan;
    }
    let mut rng = Rng::with_seed(!seed);
    let more = rng.usize(..5);
    plan.classes.extend(rng.choose_multiple(CLASSES, more));
    let (kinds, most) = (rng.usize(1..=4), ANSWERS.len());
    let classes = rng.choose_multiple(ANSWERS, kinds.min(most));
    plan.classes.extend(&classes);
    let calm = *rng.choice(&[0, 1, 60, 1_000]).unwrap_or(&0);
    let strength = *rng.choice(&[30, 60, 100]).unwrap_or(&60);
    let only = rng.choice(TARGETS).filter(|_| rng.bool());
    let epoch = |lasts, strength| Epoch {
        lasts: Duration::from_secs(lasts),
        strength,
        classes: classes.clone(),
        only,
    };
    plan.epochs = vec![epoch(calm, 0), epoch(40_000, strength)];
    plan.classes.extend([Class::Resets, Class::Closes, Class::Lends]);
    if rng.u8(..4) == 0 {
        // A server that forgets sessions, and says so in all ways.
        plan.classes.extend([Class::Scattered, Class::PasswordChanges, Class::BadGateway]);
        plan.epochs.iter_mut().for_each(|epoch| epoch.classes.push(Class::BadGateway));
        if rng.bool() {
            plan.classes.insert(Class::Rotation);
        }
    }
    if only == Some("logout") && rng.bool() {
        // A first session is left for another one.
        plan.classes.insert(Class::OldVersion);
        plan.checks = true;
    }
    let doubts = rng.u8(..5) < 2;
    for step in plan.callers.iter_mut().flatten() {
        if rng.bool() {
            step.pause = Duration::from_millis(rng.u64(..if doubts { 4_000 } else { 400 }));
        }
        step.op = match (rng.u8(..26), step.op) {
            (0..=2, _) => Op::Reset(rng.bool().then(|| rng.usize(..USERS.len()))),
            (3 | 4, _) => Op::Renew,
            (5 | 6, _) => Op::Open,
            (7 | 8, _) => Op::Close,
            (9..=12, Op::Call(call)) => Op::Delegate(call),
            (_, op) => op,
        };
        if rng.u8(..if matches!(step.op, Op::Delegate(_)) { 2 } else { 6 }) == 0 {
            step.whim = Whim::TimesOut(Duration::from_millis(rng.u64(1..1_000)));
        }
    }
    if doubts {
        doubt(&mut plan, &mut rng);
    } else if rng.u8(..6) == 0 {
        cross(&mut plan, &mut rng);
    }
    plan
}

/// Renewals and questions cross answers, with new cookies or without, and are refused in all ways.
fn cross(plan: &mut Plan, rng: &mut Rng) {
    plan.forgetful = true;
    plan.classes = [Class::Scattered, Class::PasswordChanges].into();
    if rng.bool() {
        plan.classes.insert(Class::Rotation);
    }
    let classes = vec![Class::BadGateway, Class::BadGateway, Class::SignInPage];
    plan.classes.extend(&classes);
    let only = *rng.choice(&[Some("renew"), Some("inspect"), None]).unwrap_or(&None);
    let epoch = |lasts, strength| Epoch {
        lasts: Duration::from_secs(lasts),
        strength,
        classes: classes.clone(),
        only,
    };
    plan.epochs = vec![epoch(1, 0), epoch(40_000, 50)];
    for step in plan.callers.iter_mut().flatten() {
        step.pause = Duration::from_millis(rng.u64(..300));
        step.whim = Whim::None;
        step.op = match step.op {
            Op::Call(call) if rng.u8(..3) > 0 => Op::Call(call),
            _ => Op::Renew,
        };
    }
}

/// A gateway refuses calls, and the server is asked again and again whether the session lives.
fn doubt(plan: &mut Plan, rng: &mut Rng) {
    let refuses = [Class::SignInPage, Class::GatewayJson, Class::Stripped];
    // It does not live, and a proxy strips what says so.
    let lost = rng.u8(..3) > 0;
    let stripped = *rng.choice(&[85, 100]).unwrap_or(&100);
    let beside = match rng.u8(..4) {
        0 | 1 => Class::Slow,
        2 => Class::BadGateway,
        _ => *rng.choice(&ANSWERS).unwrap_or(&Class::Slow),
    };
    if lost {
        plan.classes.extend([Class::Restarts, Class::PasswordChanges, beside]);
        plan.troubles.insert(0, (Duration::from_millis(1_900), Trouble::Restart));
        plan.troubles.sort_by_key(|(at, _)| *at);
    }
    if rng.bool() {
        plan.classes.insert(Class::Provider);
    }
    for epoch in &mut plan.epochs {
        epoch.classes.extend(refuses);
        epoch.only = None;
        if lost {
            epoch.classes = vec![Class::Stripped, beside];
            // What is not stripped says it.
            epoch.strength = epoch.strength.min(1) * stripped;
        }
        if epoch.strength == 0 {
            epoch.lasts = Duration::from_secs(2);
        }
    }
    plan.classes.extend(refuses);
    let pause = Duration::from_millis(1);
    plan.callers.insert(0, vec![Step { pause, op: Op::Open, whim: Whim::None }]);
    let callers = 1_000..1_000 + rng.u32(1..4) * 100;
    plan.callers.extend(callers.step_by(100).map(|first| {
        let last = first + rng.u32(6..20);
        (first..last)
            .map(|id| {
                let op = match rng.u8(..10) {
                    // By then the session may be about to be replaced.
                    0 | 1 if id + 8 > last => Op::Reset(rng.bool().then_some(0)),
                    2 if id + 8 > last => Op::Renew,
                    3 if id + 8 > last => Op::Close,
                    _ => Op::Call(Call { id, ..CALL }),
                };
                let pause = Duration::from_millis(rng.u64(..2_500));
                Step { pause, op, whim: Whim::None }
            })
            .collect()
    }));
}

const CALL: Call = Call {
    id: 0,
    method: "GET",
    body: Body::None,
    path: Path::Echo,
    idempotent: Some(false),
    total: None,
    own_project: false,
};

/// Lives the seeds, and tells which rows were not reached.
pub(crate) fn search(seeds: Range<u64>, jobs: u64) -> ExitCode {
    let next = AtomicU64::new(seeds.start);
    let found = Mutex::new((BTreeSet::new(), false));
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let life = run(&Arc::new(plan(seed)), Driver::Bare);
                    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                    found.0.extend(life.seen);
                    if let Some(broken) = life.verdict {
                        println!("{seed}: {} {}", broken.law, broken.said);
                        found.1 = true;
                    }
                }
            });
        }
    });
    let (seen, broken) = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    let complete = tell(&seen);
    if complete && !broken { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether every row was reached, or has an excuse.
fn tell(seen: &BTreeSet<Seen>) -> bool {
    let rows = rows();
    let (reached, missed): (Vec<_>, Vec<_>) =
        rows.iter().partition(|row| seen.iter().any(|seen| row.is_reached_by(seen)));
    let (excused, missing): (Vec<_>, Vec<_>) =
        missed.into_iter().partition(|row| EXCUSES.iter().any(|excuse| excuse.is_for(row)));
    for row in &missing {
        println!("not reached: {row}");
    }
    for excuse in EXCUSES {
        if !excused.iter().any(|row| excuse.is_for(row)) {
            println!("an excuse for nothing: {excuse:?}");
        }
    }
    println!("{} rows: {} reached, {} excused", rows.len(), reached.len(), excused.len());
    missing.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_table_are_read_without_their_conditions() {
        let inputs =
            "login answered: 503, 429 (an attempt is left, or two); the deadline passes (late)";
        let mut rows = BTreeSet::new();
        add(&mut rows, Machine::Session, "logging in", inputs, "*idle* or *refused*");
        let read: Vec<String> = rows.iter().map(ToString::to_string).collect();
        let row = |input: &str| format!("Session, logging in | {input} | idle or refused");
        let expected =
            ["login answered: 429", "login answered: 503", "the deadline passes: "].map(row);
        assert_eq!(read, expected);
    }

    #[test]
    fn rows_of_both_documents_are_read() {
        for machine in [Machine::Session, Machine::Call] {
            assert!(rows().iter().filter(|row| row.machine == machine).count() > 50);
        }
    }
}
