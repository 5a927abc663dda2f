//! A gateway that refuses what comes too fast.

use mstr::core::BoxFuture;

use crate::gateways::Setting;
use crate::load::{Plan, Stop};
use crate::outcome::Outcome;
use crate::site::Site;
use crate::stage::{Played, Stage};
use crate::way::Settings;

pub(super) fn play<'s>(stage: &'s Stage<'s>) -> BoxFuture<'s, Outcome<Played>> {
    Box::pin(async move {
        let site = Site::start(1)?;
        let gateway = stage.gateway(Setting::RateLimit, &site)?;
        let settings = Settings::default();
        let plan = Plan::new(8, 20);
        let mut tally = stage.session(&gateway.url(), &settings, plan, Stop::default()).await?;
        let (calls, failed) = (tally.calls(), tally.failures.len());
        tally.expect(0 < failed && failed < calls, "some calls succeed and some fail");
        Ok(Played::with_logins(1, site, tally))
    })
}
