//! One caller, by each of the drivers: they do the same.

use std::sync::Arc;
use std::time::Duration;

use crate::laws::{Broken, Law};
use crate::ops::{Op, Step, Whim};
use crate::plan::{Class, Ending, Epoch, Plan};
use crate::run::{Driver, Life, run};

/// So many requests and outcomes are told before and after a difference.
const AROUND: usize = 6;
/// No session ends before a pause that is longer than it.
const SESSION: Duration = Duration::from_secs(30 * 60);
const STEPS: usize = 10;

/// How far the drivers may differ.
struct Allowed {
    /// Requests for these,
    purposes: &'static [&'static str],
    /// may be sent in any order among the others,
    anywhere: bool,
    #[expect(dead_code, reason = "for those who read it")]
    why: &'static str,
}

const ALLOWED: &[Allowed] = &[
    Allowed {
        purposes: &["inspect", "projects"],
        anywhere: false,
        why: "the checks of a session go side by side, and one after the other by threads",
    },
    Allowed {
        purposes: &["logout"],
        anywhere: true,
        why: "a logout in the background goes beside what follows",
    },
];

/// A login that fails leaves the question for the version that went beside it, by tasks; threads send
/// it after the login.
const LEFT_OUT: &str = "status";
/// To the millisecond depends whether a session that is lost is logged out, because it was brief, and
/// whether the server may be asked about one again. Left out where the server refuses that.
const OF_LOST: ([&str; 2], &str) = (["logout", "inspect"], "Some(401)");

/// What one driver has done: outcomes, and the requests that reached the server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Done {
    pub(crate) lines: Vec<Line>,
}

/// An entry of it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Line {
    Request { purpose: &'static str, said: String },
    Outcome(String),
}

impl Line {
    fn allowed(&self) -> Option<&'static Allowed> {
        let Self::Request { purpose, .. } = self else { return None };
        ALLOWED.iter().find(|allowed| allowed.purposes.contains(purpose))
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Request { said, .. } => write!(f, "  {said}"),
            Self::Outcome(said) => f.write_str(said),
        }
    }
}

impl Done {
    /// The same, in an order that no driver may differ in.
    fn ordered(&self) -> Vec<Line> {
        let is_compared = |line: &&Line| match line {
            Line::Request { purpose, said } => {
                *purpose != LEFT_OUT && !(OF_LOST.0.contains(purpose) && said.ends_with(OF_LOST.1))
            }
            Line::Outcome(_) => true,
        };
        let all: Vec<Line> = self.lines.iter().filter(is_compared).cloned().collect();
        let anywhere = |line: &&Line| line.allowed().is_some_and(|allowed| allowed.anywhere);
        let mut rest: Vec<Line> = all.iter().filter(anywhere).cloned().collect();
        let mut lines: Vec<Line> = all.iter().filter(|line| !anywhere(line)).cloned().collect();
        let together = |one: &Line, other: &Line| match (one.allowed(), other.allowed()) {
            (Some(one), Some(other)) => std::ptr::eq(one, other),
            _ => false,
        };
        lines.chunk_by_mut(together).for_each(<[Line]>::sort);
        // A check is asked once more where it may have crossed another one.
        lines.dedup_by(|one, other| one == other && one.allowed().is_some());
        rest.sort();
        lines.append(&mut rest);
        lines
    }
}

fn is_check(purpose: &str) -> bool {
    matches!(purpose, "inspect" | "status" | "projects")
}

/// What outlasts its caller is left by each driver in its own way: by tasks and threads it waits for the
/// next caller, and by tasks alone a login is awaited for a minute more. Likewise by tasks alone a
/// logout in the background is sent again that a kept connection lost. And where a redirect leads to
/// other JSON, the bare driver reads a list of projects in its own way.
const fn differs(class: Class) -> bool {
    matches!(class, Class::Slow | Class::SilentBefore | Class::SilentAfter | Class::Redirect)
}

/// Whether the drivers are compared by this seed.
pub(crate) const fn is_compared(seed: u64) -> bool {
    seed % 8 == 3
}

/// A life of one caller in which the drivers have no reason to differ: nothing depends on how long
/// something takes.
pub(crate) fn plan(seed: u64) -> Plan {
    let plan = Plan::new(seed);
    let pause = |step: &Step| match step.pause.as_secs() {
        0..600 => Duration::from_millis(step.pause.as_millis() as u64 % 3_000),
        _ => SESSION * 3,
    };
    let steps = plan.callers.iter().flatten();
    // Tasks know the version of the server before a login has succeeded.
    let steps = steps.filter(|step| !matches!(step.op, Op::Leap(_) | Op::Server)).take(STEPS);
    let steps = steps.enumerate().flat_map(|(index, step)| {
        let op = match step.op {
            Op::Call(call) => Op::Call(crate::ops::Call { total: None, ..call }),
            Op::Delegate(call) => Op::Delegate(crate::ops::Call { total: None, ..call }),
            // The bare driver tells in its own way of a list that cannot be read.
            Op::Select => Op::Projects,
            op => op,
        };
        let restarts = plan.has(Class::Restarts) && index % 3 == 2;
        let restart = Step { pause: Duration::from_secs(1), op: Op::Restart, whim: Whim::None };
        let step = Step { pause: pause(step), op, whim: Whim::None };
        restarts.then_some(restart).into_iter().chain([step])
    });
    let struck = plan.epochs.iter().find(|epoch| epoch.strength > 0);
    let epoch = struck.map(|epoch| {
        let in_session = matches!(epoch.only, Some("call" | "user-info"));
        let of_logouts = epoch.only.is_none_or(|only| only == "logout");
        let kept = |class: &&Class| {
            let lost = of_logouts && **class == Class::KeptCloses;
            // Waits of the server and bodies that fall silent outlast a caller together.
            let waits = epoch.classes.contains(&Class::Overload) && **class == Class::CutBody;
            let lost = lost || (waits && !in_session);
            (in_session || !differs(**class)) && **class != Class::Redirect && !lost
        };
        let classes: Vec<Class> = epoch.classes.iter().filter(kept).copied().collect();
        let strength = if classes.is_empty() { 0 } else { epoch.strength };
        Epoch { lasts: Duration::from_secs(1 << 32), strength, classes, only: epoch.only }
    });
    // What becomes of one check decides whether threads send the next: checks that may fail are not made.
    let may_fail = epoch.as_ref().is_some_and(|epoch| epoch.only.is_none_or(is_check))
        || plan.has(Class::Rotation);
    // Where each request goes to another server, every answer depends on the order of all.
    // Tasks may know that a server is old before a login has succeeded.
    let differs = [Class::Scattered, Class::OldVersion, Class::RefusedType];
    let classes = plan.classes.iter().copied().filter(|class| !differs.contains(class)).collect();
    Plan {
        classes,
        checks: plan.checks && !may_fail,
        callers: vec![steps.collect()],
        epochs: epoch.into_iter().collect(),
        troubles: Vec::new(),
        total: None,
        attempt: None,
        session_timeout: SESSION,
        ending: Ending::Close,
        compared: true,
        ..plan
    }
}

/// What differs, if anything does.
pub(crate) fn compare(plan: &Plan) -> Option<Broken> {
    let plan = Arc::new(plan.clone());
    let lives: Vec<(Driver, Life)> =
        Driver::ALL.iter().map(|driver| (*driver, run(&plan, *driver))).collect();
    let mut verdicts = lives.iter().filter_map(|(_, life)| life.verdict.clone());
    if let Some(broken) = verdicts.next() {
        return Some(broken);
    }
    let (first, others) = lives.split_first()?;
    others.iter().find_map(|other| difference(first, other))
}

fn difference(one: &(Driver, Life), other: &(Driver, Life)) -> Option<Broken> {
    let (of_one, of_other) = (one.1.done.ordered(), other.1.done.ordered());
    let same = of_one.iter().zip(&of_other).take_while(|(one, other)| one == other).count();
    if same == of_one.len() && same == of_other.len() {
        return None;
    }
    let mut said = format!("after {same} lines");
    for (driver, lines) in [(one.0, of_one), (other.0, of_other)] {
        said += &format!("\n{driver}:\n");
        let around = lines.iter().skip(same.saturating_sub(AROUND)).take(2 * AROUND);
        around.for_each(|line| said += &format!("  {line}\n"));
    }
    Some(Broken { law: Law::Same, said })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_of_checks_is_no_difference_and_that_of_calls_is_one() {
        let done = |purposes: [&'static str; 3]| {
            let line = |purpose| Line::Request { purpose, said: purpose.to_owned() };
            Done { lines: purposes.map(line).into() }.ordered()
        };
        assert_eq!(done(["login", "projects", "inspect"]), done(["login", "inspect", "projects"]));
        assert_eq!(done(["logout", "login", "call"]), done(["login", "call", "logout"]));
        assert_ne!(done(["login", "inspect", "call"]), done(["login", "call", "inspect"]));
        assert_ne!(done(["login", "call", "renew"]), done(["login", "renew", "call"]));
    }
}
