//! Whether it adds up: what the callers were told, what was sent, what the server has done.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use http::Method;
use mstr_fake::{Entry, Purpose};

use crate::callers::{Call, Outcome};
use crate::plan::{ATTEMPTS, Kind, TOTAL};
use crate::watched::Seen;
use crate::world::World;

/// How much later than its deadline a call may come back: two processors have many threads to run.
pub(crate) const MARGIN: Duration = Duration::from_millis(500);
/// Requests that do not count as attempts: a request that a kept connection gave back, and one that is
/// sent again in a new session.
const UNCOUNTED: usize = 2;

/// How the calls went, in numbers.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) answered: usize,
    pub(crate) cancelled: usize,
    pub(crate) failed: BTreeMap<String, usize>,
    /// Failed or cancelled, and carried out by the server.
    pub(crate) unknown: usize,
    pub(crate) slowest: Duration,
}

/// The server's record of one call.
#[derive(Clone, Copy, Debug, Default)]
struct Arrivals {
    arrived: usize,
    carried_out: usize,
}

/// Compares call by call. `again` is how often the transport may repeat a read by itself.
pub(crate) fn calls(
    world: &World,
    seen: &Seen,
    calls: &[Call],
    again: usize,
    complaints: &mut Vec<String>,
) -> Totals {
    let mut totals = Totals::default();
    let mut arrivals = arrivals(world);
    for call in calls {
        let Arrivals { arrived, carried_out } =
            arrivals.remove(&(call.plan.kind, call.plan.number)).unwrap_or_default();
        let sent = seen.sent(call.plan.number);
        let mut wrong = Vec::new();
        let least = match &call.outcome {
            Outcome::Answered(complaint) => {
                totals.answered += 1;
                wrong.extend(complaint.clone());
                1
            }
            Outcome::Cancelled => {
                totals.cancelled += 1;
                totals.unknown += usize::from(carried_out > 0);
                0
            }
            Outcome::Failed(error) => {
                *totals.failed.entry(format!("{:?}", error.kind())).or_default() += 1;
                totals.unknown += usize::from(carried_out > 0);
                let attempts = error.attempts() as usize;
                // Those of a login are not the call's.
                if error.operation() == Some("call") && attempts != sent {
                    wrong.push(format!("it says that it was tried {attempts} times"));
                }
                0
            }
        };
        let most = match call.plan.kind {
            Kind::Get => sent * (1 + again),
            Kind::Post => sent.min(1),
        };
        if carried_out < least || carried_out > most {
            wrong.push(format!("it was carried out {carried_out} times, not {least} to {most}"));
        }
        if arrived > sent * (1 + if call.plan.kind == Kind::Get { again } else { 0 }) {
            wrong.push("more has arrived than was sent".into());
        }
        if sent > ATTEMPTS as usize + UNCOUNTED {
            wrong.push("it was tried too often".into());
        }
        totals.slowest = totals.slowest.max(call.took);
        if call.took > TOTAL + MARGIN {
            wrong.push(format!("it took {:?} of {TOTAL:?}", call.took));
        }
        for wrong in wrong {
            complaints.push(format!(
                "{wrong}: sent {sent} times, arrived {arrived} times; {:?} after {:?}: {:?}",
                call.plan, call.took, call.outcome
            ));
        }
    }
    for ((kind, number), arrivals) in arrivals {
        complaints.push(format!("no caller made the {kind:?} {number}: {arrivals:?}"));
    }
    totals
}

fn arrivals(world: &World) -> BTreeMap<(Kind, u64), Arrivals> {
    world.server.server(|server| {
        let mut all: BTreeMap<(Kind, u64), Arrivals> = BTreeMap::new();
        for entry in server.journal().entries() {
            let number = entry.path.strip_prefix("/api/chaos/");
            let number = number.and_then(|number| number.split('?').next()?.parse().ok());
            let Some(number) = number else { continue };
            let kind = if entry.method == Method::POST { Kind::Post } else { Kind::Get };
            let arrivals = all.entry((kind, number)).or_default();
            arrivals.arrived += 1;
            arrivals.carried_out += usize::from(is_success(entry));
        }
        all
    })
}

/// The fate of the sessions.
#[derive(Clone, Debug)]
pub(crate) struct Sessions {
    pub(crate) opened: usize,
    /// Sessions whose token never reached a client, so that no client could end them.
    pub(crate) lost: usize,
    /// Still alive.
    pub(crate) left: usize,
    complaint: Option<String>,
}

impl Sessions {
    /// Looks at the server. Later there may be fewer.
    pub(crate) fn look(world: &World, seen: &Seen) -> Self {
        world.server.server(|server| {
            let entries = server.journal().entries();
            let expired = world.expiries().last().copied().unwrap_or(0);
            let opened: Vec<(usize, usize)> = entries
                .iter()
                .enumerate()
                .filter(|(_, entry)| entry.opened)
                .filter_map(|(place, entry)| Some((place, entry.session?)))
                .collect();
            let ended: BTreeSet<usize> = entries
                .iter()
                .filter(|entry| entry.purpose == Purpose::Logout && is_success(entry))
                .filter_map(|entry| entry.session)
                .collect();
            let left: Vec<(usize, usize)> = opened
                .iter()
                .copied()
                .filter(|(place, session)| *place >= expired && !ended.contains(session))
                .collect();
            let lost = opened.len().saturating_sub(seen.tokens());
            let used = left.iter().find(|(place, session)| {
                entries[place + 1..].iter().any(|entry| entry.session == Some(*session))
            });
            let open = server.open_sessions();
            let complaint = match used {
                Some((_, session)) => Some(format!("session {session} was used and is left")),
                None if left.len() != open => {
                    Some(format!("{open} sessions are open, and {} by the journal", left.len()))
                }
                None if left.len() > lost => Some(format!(
                    "{} sessions are left, and only {lost} answers to logins were lost",
                    left.len()
                )),
                None => None,
            };
            Self { opened: opened.len(), lost, left: left.len(), complaint }
        })
    }

    /// The violations, if any.
    pub(crate) fn complaint(&self) -> Option<&str> {
        self.complaint.as_deref()
    }
}

/// Events that must not have happened.
pub(crate) fn oracles(world: &World, seen: &Seen, complaints: &mut Vec<String>) {
    let half = seen.half_logins();
    if half > 0 {
        complaints.push(format!("{half} logins were answered with half a head"));
    }
    world.server.server(|server| {
        let journal = server.journal();
        let mixed = journal.mismatched_cookie_and_token();
        if mixed > 0 {
            complaints.push(format!("{mixed} requests mixed the cookies of two sessions"));
        }
        let again = server.logins_after_rejection();
        if again > 0 {
            complaints.push(format!("{again} logins repeated what had been refused"));
        }
    });
}

fn is_success(entry: &Entry) -> bool {
    entry.status.is_some_and(|status| status.is_success())
}
