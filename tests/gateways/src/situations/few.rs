//! A gateway that takes four connections at a time.

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
        let gateway = stage.gateway(Setting::FewConnections, &site)?;
        let settings = Settings { connections: Some(4), ..Settings::default() };
        let plan = Plan::new(16, 10);
        let tally = stage.session(&gateway.url(), &settings, plan, Stop::default()).await?;
        Ok(Played::with_logins(1, site, tally))
    })
}
