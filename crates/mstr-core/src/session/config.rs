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
    pub(super) options: LoginOptions,
    pub(super) application_type: Option<u32>,
    pub(super) checks: bool,
    pub(super) login_alone: bool,
    pub(super) project: Option<ProjectRef>,
    pub(super) allow_insecure: bool,
    pub(super) exchange_timeout: Duration,
    pub(super) logout_timeout: Duration,
    pub(super) retry: RetryPolicy,
    pub(super) assumed_idle_timeout: Duration,
    pub(super) seed: Seed,
    pub(crate) front_headers: bool,
    pub(crate) records: bool,
}

impl SessionConfig {
    /// The defaults, for the server at `base`.
    #[must_use]
    pub fn new(base: BaseUrl) -> Self {
        Self {
            endpoint: Arc::new(Endpoint::new(base)),
            options: LoginOptions::default(),
            application_type: None,
            checks: true,
            login_alone: false,
            project: None,
            allow_insecure: false,
            exchange_timeout: Duration::from_secs(60),
            logout_timeout: Duration::from_secs(10),
            retry: RetryPolicy::new(),
            assumed_idle_timeout: ASSUMED_IDLE_TIMEOUT,
            seed: Seed(0),
            front_headers: false,
            records: false,
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
    pub fn application_id(mut self, id: impl Into<String>) -> Self {
        self.options.application_id = Some(id.into());
        self
    }

    /// How many results the server is asked to keep, at least 3.
    #[must_use]
    pub const fn working_set(mut self, results: u32) -> Self {
        self.options.working_set = Some(results);
        self
    }

    /// How many searches the server is asked to keep, at least 1.
    #[must_use]
    pub const fn max_search(mut self, searches: u32) -> Self {
        self.options.max_search = Some(searches);
        self
    }

    /// The languages and the time zone of the session.
    #[must_use]
    pub fn locale(mut self, locale: Locale) -> Self {
        self.options.locale = locale;
        self
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
        self.project = Some(project.into());
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
    pub const fn exchange_timeout(mut self, timeout: Duration) -> Self {
        self.exchange_timeout = timeout;
        self
    }

    /// How long to wait for the answer to a logout. Default 10 seconds.
    #[must_use]
    pub const fn logout_timeout(mut self, timeout: Duration) -> Self {
        self.logout_timeout = timeout;
        self
    }

    /// How often a request of the session's own is tried.
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
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
        if let Some(results) = self.options.working_set.filter(|n| *n < SMALLEST_WORKING_SET) {
            return config(format!(
                "working_set is {results}: the server needs at least {SMALLEST_WORKING_SET}"
            ));
        }
        if self.options.max_search == Some(0) {
            return config("max_search is 0: the server needs at least 1".into());
        }
        if self.options.application_id.as_deref() == Some("") {
            return config("application_id is empty: leave it out instead".into());
        }
        if self.exchange_timeout.is_zero() || self.logout_timeout.is_zero() {
            return config("a timeout is zero: nothing could ever be answered in time".into());
        }
        Ok(())
    }
}
