//! Describing a connection, for both drivers.

#[cfg(test)]
mod tests;

use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::contract::{
    BlockingTransport, SharedBlockingTransport, SharedTransport, Transport, TransportInfo,
};
use crate::environment;
use crate::error::{Error, ErrorKind};
use crate::protocol::{
    ApiToken, BaseUrl, CredentialProvider, Credentials, FrontHeaders, HeaderProvider,
    IdentityToken, Locale, Password, ProjectId, ProjectRef, front,
};
use crate::retry::RetryPolicy;
use crate::session::{Session, SessionConfig};
use crate::settings::{ProxyConfig, TlsConfig};
use crate::timeline::Timeline;
use crate::timeouts::Timeouts;
use crate::workstation::{Borrowing, WorkstationData};

/// The longest that closing waits for the server.
const LONGEST_LOGOUT: Duration = Duration::from_secs(10);

/// The state of a [`ConnectionBuilder`] that has no transport yet.
///
/// With the crate `mstr` and its feature `hyper`, the trait `mstr::DefaultTransport` makes a default
/// transport, and `connect` works in this state. Without them, a program that does not first call
/// [`transport`](ConnectionBuilder::transport) or
/// [`blocking_transport`](ConnectionBuilder::blocking_transport) does not compile:
///
/// ```compile_fail,E0599
/// # async {
/// # use mstr_core as mstr;
/// let builder = mstr::Connection::builder("https://env.example.com/MicroStrategyLibrary");
/// builder.standard("user", "password").connect().await;
/// # };
/// ```
#[derive(Clone, Debug, Default)]
pub struct NoTransport {
    tls: TlsConfig,
    proxy: ProxyConfig,
    /// The setting that the program has made. Those of the environment do not count.
    stated: Option<&'static str>,
}

/// Describes a connection: the server, the login and all settings.
///
/// ```no_run
/// # mod mstr { pub use mstr_core::*; pub mod prelude { pub use mstr_core::*; } }
/// use mstr::prelude::*;
///
/// # async fn run(transport: impl Transport) -> Result<(), Error> {
/// let connection = Connection::builder("https://env.example.com/MicroStrategyLibrary")
///     .ldap("username", "password")
///     .project_name("MicroStrategy Tutorial")
///     .user_agent("nightly-export/2.1")
///     .retry(RetryPolicy::new().max_attempts(5))
///     .locale(Locale::all("en_us").time_zone("UTC"))
/// #   .transport(transport)
///     .connect()
///     .await?;
/// # Ok(())
/// # }
/// ```
///
/// Nothing is sent before `connect` or the first request. A mistake is an error that names the setting.
///
/// | to end the description | result |
/// |---|---|
/// | `connect().await` | a [`Connection`](crate::Connection) that has logged in |
/// | `build()` | a [`Connection`](crate::Connection) that logs in with the first request |
/// | `connect_blocking()` | a [`blocking::Connection`](crate::blocking::Connection) that has logged in |
/// | `build_blocking()` | a [`blocking::Connection`](crate::blocking::Connection) that logs in with the first request |
///
/// These use the default transport, and are methods of the trait `mstr::DefaultTransport`, which
/// `mstr::prelude` has. With a transport of your own, first call [`transport`](Self::transport) or
/// [`blocking_transport`](Self::blocking_transport), then `connect` or `build`.
#[must_use = "a connection is not opened until `connect` is called"]
pub struct ConnectionBuilder<T = NoTransport> {
    base: String,
    source: Source,
    application_type: Option<u32>,
    application_id: Option<String>,
    working_set: Option<u32>,
    max_search: Option<u32>,
    locale: Locale,
    project: Option<ProjectRef>,
    timeouts: Timeouts,
    retry: RetryPolicy,
    checks: bool,
    allow_insecure: bool,
    user_agent: Option<String>,
    headers: HeaderMap,
    header_provider: Option<Arc<dyn HeaderProvider>>,
    seed: Option<u64>,
    timeline: usize,
    /// The first mistake in the description.
    mistake: Option<Error>,
    pub(crate) transport: T,
}

enum Source {
    Credentials(Credentials),
    /// None, and why the environment has none if it was asked.
    None(Option<Error>),
    Provider(Arc<dyn CredentialProvider>),
    Workstation(WorkstationData),
}

impl ConnectionBuilder<NoTransport> {
    pub(crate) fn new(base_url: &str) -> Self {
        Self {
            base: base_url.to_owned(),
            source: Source::None(None),
            application_type: None,
            application_id: None,
            working_set: None,
            max_search: None,
            locale: Locale::new(),
            project: None,
            timeouts: Timeouts::new(),
            retry: RetryPolicy::new(),
            checks: true,
            allow_insecure: false,
            user_agent: None,
            headers: HeaderMap::new(),
            header_provider: None,
            seed: None,
            timeline: Timeline::DEFAULT,
            mistake: None,
            transport: NoTransport::default(),
        }
    }

    pub(crate) fn from_workstation(data: &WorkstationData) -> Self {
        let mut builder = Self::new(data.url());
        builder.source = Source::Workstation(data.clone());
        builder
    }

    /// Reads the environment; see [`Connection::from_env`](crate::Connection::from_env).
    pub(crate) fn from_env() -> Result<Self, Error> {
        Self::from_variables(environment::variable)
    }

    fn from_variables(read: impl Fn(&str) -> Result<Option<String>, Error>) -> Result<Self, Error> {
        let filled = |name| environment::filled(name, &read);
        let base = filled("MSTR_BASE_URL")?.ok_or_else(|| {
            environment::config(
                "the environment variable MSTR_BASE_URL is not set: it says where the server is, \
                 for example \"https://env.example.com/MicroStrategyLibrary\""
                    .to_owned(),
            )
        })?;
        let project = match (filled("MSTR_PROJECT_ID")?, filled("MSTR_PROJECT_NAME")?) {
            (Some(id), None) => Some(ProjectRef::Id(ProjectId::new(id).map_err(|error| {
                environment::config("the environment variable MSTR_PROJECT_ID is wrong".to_owned())
                    .with_source(error)
            })?)),
            (None, name) => name.map(ProjectRef::Name),
            (Some(_), Some(_)) => {
                return Err(environment::config(
                    "both MSTR_PROJECT_ID and MSTR_PROJECT_NAME are set: unset one".to_owned(),
                ));
            }
        };
        let mut builder = Self::new(&base);
        // Other credentials may still be given.
        builder.source = match Credentials::from_variables(&read) {
            Ok(credentials) => Source::Credentials(credentials),
            Err(mistake) => Source::None(Some(mistake)),
        };
        builder.project = project;
        builder.transport.tls = TlsConfig::from_env();
        builder.transport.proxy = ProxyConfig::from_env();
        Ok(builder)
    }

    fn with<T>(self, transport: T) -> ConnectionBuilder<T> {
        let Self {
            base,
            source,
            application_type,
            application_id,
            working_set,
            max_search,
            locale,
            project,
            timeouts,
            retry,
            checks,
            allow_insecure,
            user_agent,
            headers,
            header_provider,
            seed,
            timeline,
            mut mistake,
            transport: NoTransport { stated, .. },
        } = self;
        if let Some(setting) = stated {
            let message = format!(
                "ConnectionBuilder::{setting} is about the default transport, and another one was \
                 given: make the setting on that transport"
            );
            mistake.get_or_insert_with(|| Error::new(ErrorKind::Config, message));
        }
        ConnectionBuilder {
            base,
            source,
            application_type,
            application_id,
            working_set,
            max_search,
            locale,
            project,
            timeouts,
            retry,
            checks,
            allow_insecure,
            user_agent,
            headers,
            header_provider,
            seed,
            timeline,
            mistake,
            transport,
        }
    }
}

impl<T> ConnectionBuilder<T> {
    /// Logs in as a user of the server's own metadata.
    pub fn standard(self, username: impl Into<String>, password: impl Into<Password>) -> Self {
        self.credentials(Credentials::standard(username, password))
    }

    /// Logs in as a user of the LDAP directory that the server is connected to.
    pub fn ldap(self, username: impl Into<String>, password: impl Into<Password>) -> Self {
        self.credentials(Credentials::ldap(username, password))
    }

    /// Logs in as the guest user.
    pub fn anonymous(self) -> Self {
        self.credentials(Credentials::anonymous())
    }

    /// Logs in with an API token; see [`create_api_token`](crate::Connection::create_api_token).
    pub fn api_token(self, token: impl Into<ApiToken>) -> Self {
        self.credentials(Credentials::api_token(token))
    }

    /// Borrows the session of this token's creator; see [`Credentials::identity_token`].
    pub fn identity_token(self, token: impl Into<IdentityToken>) -> Self {
        self.credentials(Credentials::identity_token(token))
    }

    /// Logs in with these credentials. They are kept in memory, because a session that ends is replaced
    /// by a new login; see [`credential_provider`](Self::credential_provider) for the alternative.
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.source = Source::Credentials(credentials);
        self
    }

    /// Asks `provider` for the credentials at each login. They are not kept.
    pub fn credential_provider(mut self, provider: impl CredentialProvider) -> Self {
        self.source = Source::Provider(Arc::new(provider));
        self
    }

    /// Opens the connection for this project. A text of 32 hexadecimal digits is an id, any other text
    /// is a name.
    pub fn project(mut self, project: impl Into<ProjectRef>) -> Self {
        self.project = Some(project.into());
        self
    }

    /// Opens the connection for the project with this id: 32 hexadecimal digits, upper or lower case.
    pub fn project_id(mut self, id: impl AsRef<str>) -> Self {
        match ProjectId::new(id) {
            Ok(id) => self.project = Some(ProjectRef::Id(id)),
            Err(error) => self.note_mistake(error),
        }
        self
    }

    /// Opens the connection for the project with this name.
    pub fn project_name(mut self, name: impl Into<String>) -> Self {
        self.project = Some(ProjectRef::Name(name.into()));
        self
    }

    /// Logs in as this type of application. Default: 76 (Python client, because the server has no
    /// number for Rust), and 35 (web client) on servers that do not know 76.
    pub fn application_type(mut self, number: u32) -> Self {
        self.application_type = Some(number);
        self
    }

    /// Logs in to the application with this id. Servers before 11.3.1200 do not know applications, and
    /// for them the id is left out.
    pub fn application_id(mut self, id: impl Into<String>) -> Self {
        self.application_id = Some(id.into());
        self
    }

    /// Sets how many results the server keeps for the session, at least 3. Default: the server's.
    pub fn working_set(mut self, results: u32) -> Self {
        self.working_set = Some(results);
        self
    }

    /// Sets how many searches the server keeps for the session, at least 1. Default: the server's.
    pub fn max_search(mut self, searches: u32) -> Self {
        self.max_search = Some(searches);
        self
    }

    /// Sets the languages and the time zone of the session. Default: the server's.
    pub fn locale(mut self, locale: Locale) -> Self {
        self.locale = locale;
        self
    }

    /// Sets how long each part of a request may take. A request can replace this with
    /// [`RequestBuilder::timeouts`](crate::RequestBuilder::timeouts). Default: [`Timeouts::new`].
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Sets how often requests and logins are tried. A request can replace this with
    /// [`RequestBuilder::retry`](crate::RequestBuilder::retry). Default: [`RetryPolicy::new`].
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Sets whether the server's version is asked for beside the first login, and the session's idle
    /// timeout after it. Default: true. Without them, an unsupported server is not recognised, and an
    /// idle timeout of 5 minutes is assumed.
    pub fn checks(mut self, checks: bool) -> Self {
        self.checks = checks;
        self
    }

    /// Permits an `http` address of another machine. **The network can read the password and the
    /// token then.** Without this, such an address is an error; `localhost` is always permitted.
    pub fn allow_insecure_http(mut self) -> Self {
        self.allow_insecure = true;
        self
    }

    /// Names the application in the `User-Agent` header, for example `"nightly-export/2.1"`. The names of
    /// this library and of the transport follow it.
    pub fn user_agent(mut self, application: impl Into<String>) -> Self {
        self.user_agent = Some(application.into());
        self
    }

    /// Sends this header with every request to the server, logins included, for a gateway.
    ///
    /// The value is treated as a secret: it is sent to no other server, and no error, event or `Debug`
    /// shows it. A header that a request has already is not replaced; a `Cookie` is added to those of
    /// the session. May be called several times, also with the same name.
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        V: TryInto<HeaderValue>,
    {
        match front::fixed(name, value) {
            Ok((name, value)) => {
                self.headers.append(name, value);
            }
            Err(error) => self.note_mistake(error),
        }
        self
    }

    /// Asks `provider` for such headers before every request to the server. Its headers replace those
    /// of [`header`](Self::header) that have the same name.
    pub fn header_provider(mut self, provider: impl HeaderProvider) -> Self {
        self.header_provider = Some(Arc::new(provider));
        self
    }

    /// Sets the seed of the random spread of waits and renewals, so that a test is repeatable. Default:
    /// another seed for each connection.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// How many entries the connection's [`Timeline`] keeps: 16 if nothing is said, and 256 at most.
    /// With 0 nothing is written down.
    pub fn timeline(mut self, entries: usize) -> Self {
        self.timeline = entries.min(Timeline::LIMIT);
        self
    }

    fn note_mistake(&mut self, mistake: Error) {
        self.mistake.get_or_insert(mistake);
    }

    /// Checks the description and returns the parts of a driver.
    pub(crate) fn prepare(self, info: TransportInfo, now: Instant) -> Result<Prepared<T>, Error> {
        let base = BaseUrl::parse(&self.base)?;
        if let Some(mistake) = self.mistake {
            return Err(mistake);
        }
        if let Some(name) = self.timeouts.zero() {
            return Err(config_error(name));
        }
        let seed = self.seed.unwrap_or_else(|| self.any_seed(now));
        let mut config = SessionConfig::new(base)
            .checks(self.checks)
            .login_alone(info.shows_password)
            .locale(self.locale.clone())
            .exchange_timeout(self.timeouts.for_exchange())
            .logout_timeout(self.timeouts.for_exchange().min(LONGEST_LOGOUT))
            .retry(self.retry)
            .seed(seed);
        let application = match &self.user_agent {
            None => None,
            Some(text) => Some(HeaderValue::from_str(text).map_err(|error| {
                config_error("the user agent has characters that a header cannot have")
                    .with_source(error)
            })?),
        };
        config = config.user_agent(info, application.as_ref());
        let front = FrontHeaders::new(self.headers, self.header_provider);
        config = config.front_headers(front.is_some());
        if let Some(number) = self.application_type {
            config = config.application_type(number);
        }
        if let Some(id) = &self.application_id {
            config = config.application_id(id);
        }
        if let Some(results) = self.working_set {
            config = config.working_set(results);
        }
        if let Some(searches) = self.max_search {
            config = config.max_search(searches);
        }
        if matches!(&self.project, Some(ProjectRef::Name(name)) if name.trim().is_empty()) {
            return Err(config_error("the project's name is empty: leave it out, or name one"));
        }
        if let Some(project) = &self.project {
            config = config.project(project.clone());
        }
        if self.allow_insecure {
            config = config.allow_insecure_http();
        }
        let (credentials, provider) = match self.source {
            Source::Credentials(credentials) => (Some(credentials), None),
            Source::Provider(provider) => (None, Some(Provider::Given(provider))),
            Source::Workstation(data) => {
                let borrowing = Borrowing::new(data, Arc::clone(config.endpoint()));
                (None, Some(Provider::Workstation(Arc::new(borrowing))))
            }
            Source::None(Some(mistake)) => return Err(mistake),
            Source::None(None) => {
                return Err(config_error(
                    "no credentials were given: call standard, credentials or another method of \
                     the builder that says who logs in",
                ));
            }
        };
        // The drivers ask the server each time.
        config.keeps_info = false;
        let session = Session::new(config, credentials)?;
        let Self { transport, timeouts, retry, timeline, .. } = self;
        Ok(Prepared { session, transport, provider, front, timeouts, retry, seed, timeline })
    }

    /// Differs between connections and processes, and cannot be predicted: digests of refused
    /// credentials are keyed with it.
    fn any_seed(&self, now: Instant) -> u64 {
        let mut hasher = RandomState::new().build_hasher();
        now.hash(&mut hasher);
        std::ptr::from_ref(self).addr().hash(&mut hasher);
        self.base.hash(&mut hasher);
        hasher.finish()
    }
}

impl ConnectionBuilder<NoTransport> {
    /// Sends requests with `transport`, for a [`Connection`](crate::Connection).
    pub fn transport(self, transport: impl Transport) -> ConnectionBuilder<SharedTransport> {
        self.with(SharedTransport::new(transport))
    }

    /// Sends requests with `transport`, for a [`blocking::Connection`](crate::blocking::Connection).
    pub fn blocking_transport(
        self,
        transport: impl BlockingTransport,
    ) -> ConnectionBuilder<SharedBlockingTransport> {
        self.with(SharedBlockingTransport::new(transport))
    }

    /// Sets the TLS settings of the default transport: the certificates that it trusts, and its own.
    /// A transport of your own has its own TLS settings. Together with one, this setting is an error.
    pub fn tls(mut self, tls: TlsConfig) -> Self {
        self.transport.tls = tls;
        self.transport.stated = Some("tls");
        self
    }

    /// Sets the proxies of the default transport. Default: none; the environment is read only by
    /// [`ProxyConfig::from_env`] and [`Connection::from_env`](crate::Connection::from_env).
    /// A transport of your own has its own proxy settings. Together with one, this setting is an error.
    pub fn proxy(mut self, proxy: ProxyConfig) -> Self {
        self.transport.proxy = proxy;
        self.transport.stated = Some("proxy");
        self
    }

    /// Takes the TLS and proxy settings out of the description. For a crate that has a default
    /// transport of its own: it makes one with these settings and passes it to
    /// [`transport`](Self::transport) or [`blocking_transport`](Self::blocking_transport).
    #[doc(hidden)]
    pub fn take_transport_settings(&mut self) -> (TlsConfig, ProxyConfig) {
        let NoTransport { tls, proxy, .. } = std::mem::take(&mut self.transport);
        (tls, proxy)
    }
}

/// The source of the credentials for each login.
#[derive(Clone, Debug)]
pub(crate) enum Provider {
    /// One that was given.
    Given(Arc<dyn CredentialProvider>),
    /// Workstation's session, with a request of the connection's own.
    Workstation(Arc<Borrowing>),
}

/// The parts of a driver.
pub(crate) struct Prepared<T> {
    pub(crate) session: Session,
    pub(crate) transport: T,
    pub(crate) provider: Option<Provider>,
    pub(crate) front: Option<FrontHeaders>,
    pub(crate) timeouts: Timeouts,
    pub(crate) retry: RetryPolicy,
    pub(crate) seed: u64,
    pub(crate) timeline: usize,
}

fn config_error(message: &'static str) -> Error {
    Error::new(ErrorKind::Config, message)
}

impl<T> fmt::Debug for ConnectionBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionBuilder").field("project", &self.project).finish_non_exhaustive()
    }
}
