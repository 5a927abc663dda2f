//! The equipment of a situation.

use mstr::fake::Purpose;
use tokio::runtime::Handle;

use crate::gateways::{Gateway, Installed, Setting};
use crate::load::{Plan, Stop, tasks, threads};
use crate::outcome::{Outcome, Told};
use crate::site::Site;
use crate::tally::Tally;
use crate::way::{Settings, Way};

/// A gateway that can be started, and a transport.
pub(crate) struct Stage<'i> {
    pub(crate) installed: &'i Installed,
    pub(crate) way: Way,
}

/// What a situation ends with: the servers, which know what has reached them, and the calls.
pub(crate) struct Played {
    pub(crate) site: Site,
    pub(crate) tally: Tally,
}

impl Played {
    /// With so many logins: one more says that a session was taken for lost.
    pub(crate) fn with_logins(expected: usize, site: Site, mut tally: Tally) -> Self {
        let logins = site.count(Purpose::Login);
        if logins != expected {
            let story = site.story_of_sessions();
            tally.complain(format!("there were {logins} logins instead of {expected}: {story}"));
        }
        Self { site, tally }
    }
}

impl Stage<'_> {
    pub(crate) fn gateway(&self, setting: Setting, site: &Site) -> Outcome<Gateway<'_>> {
        Gateway::start(self.installed, setting, site.addresses())
    }

    /// One session in which many call at a time, from its login to its logout.
    pub(crate) async fn session(
        &self,
        url: &str,
        settings: &Settings,
        plan: Plan,
        stop: Stop,
    ) -> Outcome<Tally> {
        if !self.way.blocks() {
            let connection = self.way.connection(url, settings)?;
            return Ok(tasks(vec![connection], plan, stop).await);
        }
        let (way, url, settings) = (self.way, url.to_owned(), settings.clone());
        let on_threads = move || {
            let connection = way.blocking(&url, &settings)?;
            Ok(threads(&connection, plan, &stop))
        };
        Handle::current().spawn_blocking(on_threads).await.told("the threads")?
    }
}
