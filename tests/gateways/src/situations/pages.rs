//! A gateway that answers in the server's place.

use std::time::Duration;

use http::Method;
use mstr::core::BoxFuture;
use mstr::{Connection, Error, ErrorKind};

use crate::gateways::{PAGES, Setting, WALLED};
use crate::load::{Plan, Stop, close, work};
use crate::outcome::{Outcome, chain};
use crate::site::{LIBRARY, Site};
use crate::stage::{Played, Stage};
use crate::tally::{Failure, Tally};
use crate::way::Settings;

/// Larger than a gateway takes that takes a kilobyte.
const LARGE: usize = 64 * 1024;
/// Larger than what sockets hold.
const HUGE: usize = 8 * 1024 * 1024;

pub(super) fn play<'s>(stage: &'s Stage<'s>) -> BoxFuture<'s, Outcome<Played>> {
    Box::pin(meet_pages(stage))
}

async fn meet_pages(stage: &Stage<'_>) -> Outcome<Played> {
    let site = Site::start(1)?;
    let gateway = stage.gateway(Setting::Pages, &site)?;
    let connection = stage.way.connection(&gateway.url(), &Settings::default())?;
    let mut tally =
        work(std::slice::from_ref(&connection), Plan::new(4, 10), Stop::default()).await;
    for method in [Method::GET, Method::POST] {
        for (page, kind) in
            [("401", ErrorKind::Gateway), ("403", ErrorKind::Gateway), ("502", ErrorKind::Server)]
        {
            let error = meet(&connection, method.clone(), page, 100).await;
            judge(&mut tally, &format!("{method} {page}"), error, kind);
        }
    }
    let error = meet(&connection, Method::POST, "413", LARGE).await;
    judge(&mut tally, "413", error, ErrorKind::Request);
    match meet(&connection, Method::POST, "413", HUGE).await {
        // A gateway that does not read the rest may close the connection before it is written.
        Err(error) if error.kind() == ErrorKind::Interrupted => {
            tally.failures.push(Failure::new(Method::POST, "413", &error));
        }
        other => judge(&mut tally, "413 for a huge body", other, ErrorKind::Request),
    }
    let later = Plan { first: 100, ..Plan::new(4, 10) };
    tally.add(work(std::slice::from_ref(&connection), later, Stop::default()).await);
    close(&connection, &mut tally).await;

    let walled = format!("http://{}{WALLED}{LIBRARY}", gateway.address());
    let connection = stage.way.connection(&walled, &Settings::default())?;
    judge(&mut tally, "a login behind a wall", connection.open().await, ErrorKind::Gateway);
    close(&connection, &mut tally).await;
    // The request with the page in front has not reached the server.
    Ok(Played::with_logins(1, site, tally))
}

async fn meet(
    connection: &Connection,
    method: Method,
    page: &str,
    size: usize,
) -> Result<(), Error> {
    let path = format!("{PAGES}/{page}");
    let request = match method {
        Method::POST => connection.post(path).body("x".repeat(size)),
        _ => connection.get(path),
    };
    request.timeout(Duration::from_secs(10)).send().await.map(drop)
}

fn judge(tally: &mut Tally, what: &str, outcome: Result<(), Error>, kind: ErrorKind) {
    match outcome {
        Ok(()) => tally.complain(format!("{what}: it succeeded")),
        Err(error) if error.kind() != kind => {
            tally.complain(format!("{what}: {:?}: {}", error.kind(), chain(&error)));
        }
        Err(_) => {}
    }
}
