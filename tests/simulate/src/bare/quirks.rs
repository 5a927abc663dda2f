//! What the drivers of the library never do, and a driver by hand may: it shares sessions through a
//! store, limits calls in flight, and is given what cannot be used.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use http::{HeaderMap, HeaderValue};
use mstr_core::session::{Command, SessionRecord};
use mstr_core::{Credentials, Error};

use super::core::{Core, Found, State};
use super::words;
use crate::plan::{Class, Plan};
use crate::world::{BASE, World};

/// Clones share the chance.
#[derive(Clone)]
pub(super) struct Quirks {
    chance: Option<Arc<Mutex<Rng>>>,
    front: bool,
    shares: bool,
    limits: bool,
}

impl Quirks {
    pub(super) fn new(plan: &Plan, quirky: bool) -> Self {
        let mut rng = Rng::with_seed(!plan.seed);
        let (shares, limits) = (rng.bool() && quirky, rng.bool() && quirky);
        let chance = quirky.then(|| Arc::new(Mutex::new(rng)));
        Self { chance, front: plan.has(Class::Front), shares, limits }
    }

    /// Once in so many times, if at all.
    fn once_in(&self, times: u32) -> bool {
        self.chance.as_ref().is_some_and(|chance| {
            chance.lock().unwrap_or_else(PoisonError::into_inner).u32(..times) == 0
        })
    }

    fn one_of<const N: usize, T>(&self, choices: [T; N]) -> Option<T> {
        let mut choices = Vec::from(choices);
        let chance = self.chance.as_ref()?;
        let place = chance.lock().unwrap_or_else(PoisonError::into_inner).usize(..choices.len());
        Some(choices.swap_remove(place))
    }

    /// Records of the session are stored and read.
    pub(super) const fn shares(&self) -> bool {
        self.shares
    }

    /// Calls take places.
    pub(super) const fn limits(&self) -> bool {
        self.limits
    }

    pub(super) const fn fronts(&self) -> bool {
        self.front
    }

    /// The beginning of an error is read before the call asks for it.
    pub(super) fn reads_ahead(&self) -> bool {
        self.once_in(2)
    }

    pub(super) fn adopts(&self, world: &World) -> bool {
        self.once_in(3) && !world.is_healed()
    }

    /// A borrower finds a project of its own.
    pub(super) fn borrows_for_a_project(&self) -> bool {
        self.once_in(2)
    }

    pub(super) fn closes_borrowed(&self) -> bool {
        self.once_in(3)
    }

    /// The headers that the gateway wants.
    pub(super) fn headers(&self, world: &World, patient: bool) -> Found {
        // The time of an exchange begins when they are asked for.
        let after = if patient && self.once_in(4) { 500 } else { 0 };
        let mut headers = HeaderMap::new();
        headers.insert("x-front", HeaderValue::from_static("of-the-gateway"));
        let fails = self.once_in(10) && !world.is_healed();
        let headers = if fails { Err(words::any_error()) } else { Ok(headers) };
        Found { after: Duration::from_millis(after), headers }
    }

    /// What the provider gives in place of its own.
    pub(super) fn credentials(
        &self,
        plan: &Plan,
        world: &World,
    ) -> Option<Result<Credentials, Error>> {
        if !self.once_in(4) || world.is_healed() {
            return None;
        }
        let odd = self.one_of([
            Err(words::any_error()),
            Ok(words::unusable()),
            Ok(Credentials::identity_token("of-another-server")),
        ])?;
        // It is refused, as a wrong password is.
        let refused = matches!(&odd, Ok(credentials) if credentials.username().is_none());
        Some(odd).filter(|_| !refused || plan.has(Class::PasswordChanges))
    }

    /// The credentials are replaced in a moment: until then anything may be given.
    pub(super) fn before_a_reset(&self, core: &Arc<Core>, state: &mut State) {
        if !self.once_in(2) {
            return;
        }
        let in_use = state.session.record();
        let adopted = match self.one_of([0, 1, 2, 3]) {
            Some(0) => record(false),
            Some(1) => record(true),
            Some(2) => in_use.clone(),
            _ => None,
        };
        if let Some(adopted) = adopted {
            core.give(state, |state, now| {
                let same = in_use.is_some_and(|own| words::are_same(&own, &adopted));
                let said = if same {
                    words::ADOPTED_IN_USE
                } else {
                    words::adopted(adopted.is_borrowed())
                };
                (Some(said), drop(state.session.adopt(adopted, now)))
            });
        }
        let odd = self.one_of([
            None,
            Some(words::unusable()),
            Some(Credentials::identity_token("of-another-server")),
        ]);
        if let Some(odd) = odd {
            core.give(state, |state, now| {
                let said = words::reset(odd.as_ref());
                (Some(said), state.session.handle(Command::Reset(odd), now))
            });
        }
    }
}

/// A session that has ended.
fn record(borrowed: bool) -> Option<SessionRecord> {
    let text = format!(
        r#"{{"version":1,"base":"{BASE}","generation":1,"token":"of-long-ago",
        "cookies":[["JSESSIONID","of-long-ago"]],"idle_seconds":600,"borrowed":{borrowed},
        "exchanges":false,
        "project":{{"id":"B7CA92F04B9FAE8D941C3E9B7E0CD754","name":"MicroStrategy Tutorial","status":0}}}}"#
    );
    SessionRecord::from_bytes(text.as_bytes()).ok()
}
