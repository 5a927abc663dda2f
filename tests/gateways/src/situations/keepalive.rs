//! A gateway that keeps connections for a second and for 20 requests.

use std::time::Duration;

use mstr::core::BoxFuture;

use crate::gateways::Setting;
use crate::load::{Plan, Stop};
use crate::outcome::Outcome;
use crate::site::Site;
use crate::stage::{Played, Stage};
use crate::way::Settings;

/// Bursts of calls, and pauses that end about when the gateway closes its connections.
pub(super) fn play<'s>(stage: &'s Stage<'s>) -> BoxFuture<'s, Outcome<Played>> {
    Box::pin(async move {
        let site = Site::start(1)?;
        let gateway = stage.gateway(Setting::ShortKeepAlive, &site)?;
        let plan = Plan { pause, ..Plan::new(8, 4 * BURST) };
        let settings = Settings::default();
        let tally = stage.session(&gateway.url(), &settings, plan, Stop::default()).await?;
        Ok(Played::with_logins(1, site, tally))
    })
}

const BURST: usize = 13;

fn pause(worker: usize, number: usize) -> Duration {
    if number == 0 || !number.is_multiple_of(BURST) {
        return Duration::ZERO;
    }
    // From 985 to 1020 milliseconds.
    Duration::from_millis(985 + 5 * worker as u64)
}
