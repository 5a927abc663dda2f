//! Forward proxies.

use mstr::ErrorKind;
use mstr::core::BoxFuture;

use crate::gateways::{Kind, PROXY_USER, Setting};
use crate::load::{Plan, Stop, close};
use crate::outcome::{Outcome, chain};
use crate::site::{LIBRARY, Site};
use crate::stage::{Played, Stage};
use crate::tally::Tally;
use crate::way::Settings;

pub(super) fn play_http<'s>(stage: &'s Stage<'s>) -> BoxFuture<'s, Outcome<Played>> {
    Box::pin(async move {
        let site = Site::start(1)?;
        let gateway = stage.gateway(Setting::Plain, &site)?;
        let tally = through(stage, &site, &proxy("", &gateway.address()), None).await?;
        Ok(Played::with_logins(1, site, tally))
    })
}

pub(super) fn play_https<'s>(stage: &'s Stage<'s>) -> BoxFuture<'s, Outcome<Played>> {
    Box::pin(async move {
        let (site, roots) = Site::with_tls()?;
        let gateway = stage.gateway(Setting::Plain, &site)?;
        let tally = through(stage, &site, &proxy("", &gateway.address()), Some(roots)).await?;
        Ok(Played::with_logins(1, site, tally))
    })
}

pub(super) fn play_password<'s>(stage: &'s Stage<'s>) -> BoxFuture<'s, Outcome<Played>> {
    Box::pin(async move {
        let (secure, roots) = Site::with_tls()?;
        let site = Site::start(1)?;
        let gateway = stage.gateway(Setting::Password, &site)?;
        let (user, password) = PROXY_USER;
        let right = format!("{user}:{password}@");
        let wrong = format!("{user}:not-that@");
        let mut tally = Tally::default();
        for login in ["", &wrong] {
            let proxy = proxy(login, &gateway.address());
            let kinds = refusals(stage, login == wrong);
            refused(stage, &site, &proxy, None, kinds, &mut tally).await?;
            refused(stage, &secure, &proxy, Some(roots.clone()), kinds, &mut tally).await?;
        }
        let proxy = proxy(&right, &gateway.address());
        tally.add(through(stage, &secure, &proxy, Some(roots)).await?);
        let evidence = secure.evidence(&tally);
        tally.expect(evidence.left == 0 && evidence.doubled.is_empty(), "all is well over https");
        // Those of the other server are judged by the caller.
        let other = through(stage, &site, &proxy, None).await?;
        let mut all = tally.complaints;
        all.extend(other.complaints);
        let mut failures = tally.failures;
        failures.extend(other.failures);
        Ok(Played::with_logins(1, site, Tally { complaints: all, failures, ..other }))
    })
}

pub(super) fn play_no_tunnels<'s>(stage: &'s Stage<'s>) -> BoxFuture<'s, Outcome<Played>> {
    Box::pin(async move {
        let (site, roots) = Site::with_tls()?;
        let gateway = stage.gateway(Setting::NoTunnels, &site)?;
        let mut tally = Tally::default();
        let proxy = proxy("", &gateway.address());
        // libcurl does not tell a refusal from a proxy that is not there.
        let kinds = if stage.way.is_isahc() { ErrorKind::Connect } else { ErrorKind::Config };
        refused(stage, &site, &proxy, Some(roots), &[kinds], &mut tally).await?;
        Ok(Played::with_logins(0, site, tally))
    })
}

/// The error of a login without the proxy's password, or with a wrong one.
fn refusals(stage: &Stage<'_>, wrong: bool) -> &'static [ErrorKind] {
    match (stage.installed.kind, stage.way.is_isahc()) {
        // It says 401 to a wrong password, and may reset the connection before that is read.
        (Kind::Tinyproxy, _) if wrong => {
            &[ErrorKind::Config, ErrorKind::Connect, ErrorKind::Gateway, ErrorKind::Interrupted]
        }
        // libcurl does not tell a refusal from a proxy that is not there.
        (_, true) if !wrong => &[ErrorKind::Config, ErrorKind::Connect],
        _ => &[ErrorKind::Config],
    }
}

fn proxy(login: &str, address: &str) -> String {
    format!("http://{login}{address}")
}

fn url(site: &Site, secure: bool) -> String {
    let scheme = if secure { "https" } else { "http" };
    format!("{scheme}://{}{LIBRARY}", site.addresses()[0])
}

/// A session through the proxy.
async fn through(
    stage: &Stage<'_>,
    site: &Site,
    proxy: &str,
    roots: Option<String>,
) -> Outcome<Tally> {
    let url = url(site, roots.is_some());
    let settings = Settings { proxy: Some(proxy.to_owned()), roots, ..Settings::default() };
    stage.session(&url, &settings, Plan::new(6, 20), Stop::default()).await
}

/// A session that cannot be opened.
async fn refused(
    stage: &Stage<'_>,
    site: &Site,
    proxy: &str,
    roots: Option<String>,
    kinds: &[ErrorKind],
    tally: &mut Tally,
) -> Outcome {
    let url = url(site, roots.is_some());
    let settings = Settings { proxy: Some(proxy.to_owned()), roots, ..Settings::default() };
    let connection = stage.way.connection(&url, &settings)?;
    match connection.open().await {
        Ok(()) => tally.complain(format!("the proxy let {url} through")),
        Err(error) if !kinds.contains(&error.kind()) => {
            let shown = chain(&error);
            tally.complain(format!("{url}: {:?}, none of {kinds:?}: {shown}", error.kind()));
        }
        Err(_) => {}
    }
    close(&connection, tally).await;
    tally.expect(site.seen() == 0, "nothing reaches the server");
    Ok(())
}
