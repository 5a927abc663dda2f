//! A gateway that speaks HTTP/2, in front of a server that speaks HTTP/1.1.

use mstr::core::BoxFuture;

use crate::gateways::Setting;
use crate::load::{Plan, Stop};
use crate::outcome::Outcome;
use crate::site::Site;
use crate::stage::{Played, Stage};
use crate::way::Settings;

pub(super) fn play<'s>(stage: &'s Stage<'s>) -> BoxFuture<'s, Outcome<Played>> {
    Box::pin(speak(stage, Setting::Http2))
}

/// With few requests for each connection.
pub(super) fn play_short<'s>(stage: &'s Stage<'s>) -> BoxFuture<'s, Outcome<Played>> {
    Box::pin(speak(stage, Setting::ShortHttp2))
}

async fn speak(stage: &Stage<'_>, setting: Setting) -> Outcome<Played> {
    let site = Site::start(1)?;
    let gateway = stage.gateway(setting, &site)?;
    let settings = Settings { roots: Some(gateway.authority()), ..Settings::default() };
    let plan = Plan { front: Some("HTTP/2.0"), ..Plan::new(12, 40) };
    let tally = stage.session(&gateway.https_url(), &settings, plan, Stop::default()).await?;
    Ok(Played::with_logins(1, site, tally))
}
