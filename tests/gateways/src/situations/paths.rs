//! A gateway that writes a path into the cookies that is not the one clients use.

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
        let gateway = stage.gateway(Setting::WrongCookiePath, &site)?;
        let settings = Settings::default();
        let plan = Plan::new(4, 20);
        let mut tally = stage.session(&gateway.url(), &settings, plan, Stop::default()).await?;
        tally.expect(site.refused() == 0, "the session's cookies are sent");
        Ok(Played::with_logins(1, site, tally))
    })
}
