//! A gateway that sends a client to the server whose cookie it has, until that server dies.

use std::time::Duration;

use futures_util::future::join;
use mstr::Connection;
use mstr::core::BoxFuture;
use mstr::fake::Purpose;
use tokio::time::sleep;

use crate::gateways::Setting;
use crate::load::{Plan, Stop, tasks, work};
use crate::outcome::{Outcome, chain};
use crate::site::Site;
use crate::stage::{Played, Stage};
use crate::way::Settings;

const SESSIONS: usize = 4;

pub(super) fn play<'s>(stage: &'s Stage<'s>) -> BoxFuture<'s, Outcome<Played>> {
    Box::pin(lose_one(stage))
}

async fn lose_one(stage: &Stage<'_>) -> Outcome<Played> {
    let mut site = Site::start(2)?;
    let gateway = stage.gateway(Setting::Sticky, &site)?;
    let connect = |_| stage.way.connection(&gateway.url(), &Settings::default());
    let connections: Vec<Connection> = (0..SESSIONS).map(connect).collect::<Outcome<_>>()?;
    for connection in &connections {
        connection.open().await.map_err(|error| format!("a login: {}", chain(&error)))?;
    }
    let mut tally = work(&connections, Plan::new(8, 15), Stop::default()).await;
    tally.expect(site.refused() == 0, "each session stays at its server");
    tally.expect(site.count(Purpose::Login) == SESSIONS, "each session is opened once");

    // The marks of the first calls are not used again.
    let later = Plan { first: 100, pause: |_, _| Duration::from_millis(10), ..Plan::new(8, 60) };
    let calling = tasks(connections, later, Stop::default());
    let dying = async {
        sleep(Duration::from_millis(300)).await;
        site.kill(0);
    };
    let (after, ()) = join(calling, dying).await;
    tally.add(after);
    let logins = site.count(Purpose::Login);
    tally.expect(logins > SESSIONS, "a server with sessions has died");
    tally.expect(logins <= 2 * SESSIONS, "each session is replaced once");
    Ok(Played { site, tally })
}
