//! A driver for the simulation alone, over the public machines of sessions and calls.
//!
//! It shares no code with the drivers of the library, so it shows what the machines do by themselves.
//! In contrast to them it goes on by itself: each exchange, each call and each alarm is a task.

mod client;
mod core;
mod quirks;
mod waiting;
pub(crate) mod words;

use std::sync::Arc;
use std::time::Duration;

use mstr_core::Error;
use mstr_core::session::{Session, SessionConfig};
use mstr_core::{BaseUrl, Credentials, Timeouts};

pub(crate) use self::client::Bare;
use self::core::{Core, Parts};
use self::quirks::Quirks;
use self::words::Seen;
use crate::client::Vault;
use crate::net::Net;
use crate::plan::{Class, Plan, USERS};
use crate::world::{BASE, EXCHANGE, password};

/// The longest time of a logout.
const LOGOUT: Duration = Duration::from_secs(10);

/// A client with the settings of the plan. With quirks it also does, now and then, what the drivers of
/// the library never do.
pub(crate) fn described(
    plan: &Arc<Plan>,
    net: Net,
    vault: Vault,
    seen: Seen,
    quirky: bool,
) -> Result<Bare, Error> {
    let quirks = Quirks::new(plan, quirky);
    let mut config = settings(plan, &quirks)?;
    if let Some(project) = plan.project {
        config = config.project(project);
    }
    let provided = plan.has(Class::Provider);
    let own = (!provided).then(|| Credentials::standard(USERS[0], password(USERS[0])));
    let mut timeouts = Timeouts::new();
    if let Some(total) = plan.total {
        timeouts = timeouts.total(Some(total));
    }
    if let Some(attempt) = plan.attempt {
        timeouts = timeouts.attempt(attempt);
    }
    let session = Session::new(config.clone(), own)?;
    let vault = provided.then(|| Arc::new(vault));
    let project = plan.project.is_some();
    let plan = Arc::clone(plan);
    let parts = Parts { plan, net, config, vault, timeouts, project, quirks, seen };
    Ok(Bare::new(Core::new(parts, session)))
}

/// What borrowers have in common with it.
fn settings(plan: &Plan, quirks: &Quirks) -> Result<SessionConfig, Error> {
    let exchange = plan.attempt.unwrap_or(EXCHANGE);
    Ok(SessionConfig::new(BaseUrl::parse(BASE)?)
        .checks(plan.checks)
        .exchange_timeout(exchange)
        .logout_timeout(exchange.min(LOGOUT))
        .front_headers(plan.has(Class::Front))
        .records(quirks.shares())
        .seed(plan.seed))
}
