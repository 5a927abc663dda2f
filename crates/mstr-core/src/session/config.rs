//! The settings of a session.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;

use crate::contract::TransportInfo;
use crate::error::{Error, ErrorKind};
use crate::protocol::wire::{Endpoint, LoginOptions};
use crate::protocol::{BaseUrl, Credentials, Locale, ProjectRef};
use crate::retry::RetryPolicy;
use crate::seed::Seed;

/// The application type that stands for Python clients, as which the vendor's own client logs
/// in. There is none for Rust, and servers refuse numbers they do not know.
const PYTHON_APPLICATION: u32 = 76;
/// The application type of the web client, which every server knows.
pub(super) const WEB_APPLICATION: u32 = 35;
/// The fewest results a server can be asked to keep.
const SMALLEST_WORKING_SET: u32 = 3;
/// The assumed idle timeout if the server does not report it: half of its default of 600
/// seconds, because renewing too early costs one request and too late costs a login.
const ASSUMED_IDLE_TIMEOUT: Duration = Duration::from_secs(300);

/// The settings of a session, for its machine.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    pub(super) endpoint: Arc<Endpoint>,
    /// `None` if all of it is the default, as in most sessions.
    tuning: Option<Arc<Tuning>>,
    pub(super) application_type: Option<u32>,
    pub(super) checks: bool,
    pub(super) login_alone: bool,
    /// Until it has been found.
    pub(super) project: Option<Box<ProjectRef>>,
    pub(super) allow_insecure: bool,
    pub(super) seed: Seed,
    pub(crate) front_headers: bool,
    pub(crate) records: bool,
    /// Whether what the server says of the session is kept for [`Session::info`](super::Session::info).
    pub(crate) keeps_info: bool,
}

/// The settings that are mostly the defaults.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Tuning {
    pub(super) options: LoginOptions,
    pub(super) exchange_timeout: Duration,
    pub(super) logout_timeout: Duration,
    pub(super) retry: RetryPolicy,
    pub(super) assumed_idle_timeout: Duration,
}

const DEFAULT: Tuning = Tuning {
    options: LoginOptions::NONE,
    exchange_timeout: Duration::from_secs(60),
    logout_timeout: Duration::from_secs(10),
    retry: RetryPolicy::DEFAULT,
    assumed_idle_timeout: ASSUMED_IDLE_TIMEOUT,
};

impl SessionConfig {
    /// The defaults, for the server at `base`.
    #[must_use]
    pub fn new(base: BaseUrl) -> Self {
        Self {
            endpoint: Arc::new(Endpoint::new(base)),
            tuning: None,
            application_type: None,
            checks: true,
            login_alone: false,
            project: None,
            allow_insecure: false,
            seed: Seed(0),
            front_headers: false,
            records: false,
            keeps_info: true,
        }
    }

    /// Where the server is.
    #[must_use]
    pub fn base_url(&self) -> &BaseUrl {
        &self.endpoint.base
    }

    /// Logs in as this type of application. The default is 76 (Python client), and 35 (web
    /// client) on servers that do not know it.
    #[must_use]
    pub const fn application_type(mut self, number: u32) -> Self {
        self.application_type = Some(number);
        self
    }

    /// Logs in to this application, where the server knows applications (from 11.3.1200 on).
    #[must_use]
    pub fn application_id(self, id: impl Into<String>) -> Self {
        self.tune(|tuning| tuning.options.application_id = Some(id.into()))
    }

    /// How many results the server is asked to keep, at least 3.
    #[must_use]
    pub fn working_set(self, results: u32) -> Self {
        self.tune(|tuning| tuning.options.working_set = Some(results))
    }

    /// How many searches the server is asked to keep, at least 1.
    #[must_use]
    pub fn max_search(self, searches: u32) -> Self {
        self.tune(|tuning| tuning.options.max_search = Some(searches))
    }

    /// The languages and the time zone of the session.
    #[must_use]
    pub fn locale(self, locale: Locale) -> Self {
        self.tune(|tuning| tuning.options.locale = locale)
    }

    /// Whether to ask for the idle timeout and the server's version when a session is first
    /// opened. Default true. Without, opening takes one round trip.
    #[must_use]
    pub const fn checks(mut self, checks: bool) -> Self {
        self.checks = checks;
        self
    }

    /// Whether nothing is sent beside the first login. Default false: the server is asked for its
    /// version meanwhile, over a second connection, which the checks find open. With true, that
    /// waits until the login is answered.
    #[must_use]
    pub const fn login_alone(mut self, alone: bool) -> Self {
        self.login_alone = alone;
        self
    }

    /// Finds this project when a session is first opened, and fails if it is not available.
    #[must_use]
    pub fn project(mut self, project: impl Into<ProjectRef>) -> Self {
        self.project = Some(Box::new(project.into()));
        self
    }

    /// Permits credentials over plain http to other machines.
    #[must_use]
    pub const fn allow_insecure_http(mut self) -> Self {
        self.allow_insecure = true;
        self
    }

    /// How long to wait for the answer to a request of the session's own. Default 60 seconds.
    #[must_use]
    pub fn exchange_timeout(self, timeout: Duration) -> Self {
        self.tune(|tuning| tuning.exchange_timeout = timeout)
    }

    /// How long to wait for the answer to a logout. Default 10 seconds.
    #[must_use]
    pub fn logout_timeout(self, timeout: Duration) -> Self {
        self.tune(|tuning| tuning.logout_timeout = timeout)
    }

    /// How often a request of the session's own is tried.
    #[must_use]
    pub fn retry(self, policy: RetryPolicy) -> Self {
        self.tune(|tuning| tuning.retry = policy)
    }

    /// Sets the seed that spreads the waits and renewals of many sessions. Give each session another one.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = Seed(seed);
        self
    }

    /// Whether something in front of the server wants headers of its own on every exchange.
    /// Default false. With it, each is preceded by an
    /// [`Output::FrontHeaders`](super::Output::FrontHeaders).
    #[must_use]
    pub const fn front_headers(mut self, wanted: bool) -> Self {
        self.front_headers = wanted;
        self
    }

    /// Whether the session is stored for other machines that share it. Default: false. With it, each change of
    /// session or cookies is an [`Output::Store`](super::Output::Store). A session that is adopted
    /// is none until its cookies change: the machines that share it have it already.
    #[must_use]
    pub const fn records(mut self, wanted: bool) -> Self {
        self.records = wanted;
        self
    }

    /// Sets the `User-Agent` header: the application, if given, this library, and the transport.
    #[must_use]
    pub fn user_agent(
        mut self,
        transport: TransportInfo,
        application: Option<&HeaderValue>,
    ) -> Self {
        let endpoint = Arc::unwrap_or_clone(self.endpoint);
        self.endpoint = Arc::new(endpoint.named(transport, application));
        self
    }

    /// The same settings for a session that is borrowed: its project is its owner's business.
    pub(crate) fn sibling(&self) -> Self {
        Self { project: None, ..self.clone() }
    }

    fn tune(mut self, change: impl FnOnce(&mut Tuning)) -> Self {
        let mut tuning = self.tuning().clone();
        change(&mut tuning);
        self.tuning = (tuning != DEFAULT).then(|| Arc::new(tuning));
        self
    }

    pub(super) fn tuning(&self) -> &Tuning {
        self.tuning.as_deref().unwrap_or(&DEFAULT)
    }

    /// The server does not know applications. Whether one had been named.
    pub(super) fn drop_application_id(&mut self) -> bool {
        let named = self.tuning.as_mut().filter(|it| it.options.application_id.is_some());
        named.is_some_and(|tuning| Arc::make_mut(tuning).options.application_id.take().is_some())
    }

    pub(crate) const fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    pub(super) fn first_application_type(&self) -> u32 {
        self.application_type.unwrap_or(PYTHON_APPLICATION)
    }

    /// Whether another application type may be tried after `current`.
    pub(super) fn may_fall_back(&self, current: u32) -> bool {
        self.application_type.is_none() && current == PYTHON_APPLICATION
    }

    pub(super) fn check(&self, credentials: Option<&Credentials>) -> Result<(), Error> {
        let config = |message: String| Err(Error::new(ErrorKind::Config, message));
        if credentials.is_none_or(Credentials::is_secret) {
            self.endpoint.base.check_secure(self.allow_insecure)?;
        }
        let tuning = self.tuning();
        if let Some(results) = tuning.options.working_set.filter(|n| *n < SMALLEST_WORKING_SET) {
            return config(format!(
                "working_set is {results}: the server needs at least {SMALLEST_WORKING_SET}"
            ));
        }
        if tuning.options.max_search == Some(0) {
            return config("max_search is 0: the server needs at least 1".into());
        }
        if tuning.options.application_id.as_deref() == Some("") {
            return config("application_id is empty: leave it out instead".into());
        }
        if tuning.exchange_timeout.is_zero() || tuning.logout_timeout.is_zero() {
            return config("a timeout is zero: nothing could ever be answered in time".into());
        }
        Ok(())
    }
}
