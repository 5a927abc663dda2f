//! A gateway that reads its settings again while calls are under way.

use std::time::Duration;

use futures_util::future::join;
use mstr::core::BoxFuture;
use tokio::time::sleep;

use crate::gateways::Setting;
use crate::load::{Plan, Stop};
use crate::outcome::Outcome;
use crate::site::Site;
use crate::stage::{Played, Stage};
use crate::way::Settings;

const RELOADS: usize = 5;
const BETWEEN: Duration = Duration::from_millis(400);

pub(super) fn play<'s>(stage: &'s Stage<'s>) -> BoxFuture<'s, Outcome<Played>> {
    Box::pin(reloads(stage, Setting::Plain))
}

pub(super) fn play_http2<'s>(stage: &'s Stage<'s>) -> BoxFuture<'s, Outcome<Played>> {
    Box::pin(reloads(stage, Setting::Http2))
}

async fn reloads(stage: &Stage<'_>, setting: Setting) -> Outcome<Played> {
    let site = Site::start(1)?;
    let mut gateway = stage.gateway(setting, &site)?;
    let http2 = setting == Setting::Http2;
    let url = if http2 { gateway.https_url() } else { gateway.url() };
    let settings = Settings { roots: http2.then(|| gateway.authority()), ..Settings::default() };
    let plan = Plan { pause: |_, _| Duration::from_millis(6), ..Plan::new(8, 1_000) };
    let stop = Stop::default();
    let calling = stage.session(&url, &settings, plan, stop.clone());
    let reloading = async {
        for _ in 0..RELOADS {
            sleep(BETWEEN).await;
            if let Err(why) = gateway.reload() {
                stop.now();
                return Err(why);
            }
        }
        sleep(BETWEEN).await;
        stop.now();
        Ok(())
    };
    let (tally, reloaded) = join(calling, reloading).await;
    reloaded?;
    Ok(Played::with_logins(1, site, tally?))
}
