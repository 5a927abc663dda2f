//! The credentials of a login.

use std::fmt;

use async_trait::async_trait;

use super::{ApiToken, IdentityToken, LoginMode, Password};
use crate::contract::BoxError;
use crate::environment::{self, variable};
use crate::error::{Error, ErrorKind};

/// The user who logs in, and the way in which the server checks it.
///
/// ```
/// # use mstr_core as mstr;
/// use mstr::{Connection, Credentials, LoginMode};
///
/// # fn credentials(mode: LoginMode, name: String, secret: String) -> Credentials {
/// let credentials = match mode {
///     LoginMode::Ldap => Credentials::ldap(name, secret),
///     LoginMode::ApiToken => Credentials::api_token(secret),
///     LoginMode::Anonymous => Credentials::anonymous(),
///     _ => Credentials::standard(name, secret),
/// };
/// let builder = Connection::builder("https://env.example.com/MicroStrategyLibrary")
///     .credentials(credentials.clone());
/// # drop(builder);
/// # credentials
/// # }
/// ```
///
/// | for | use |
/// |---|---|
/// | a user of the server's own metadata | [`standard`](Self::standard) |
/// | a user of the LDAP directory behind the server | [`ldap`](Self::ldap) |
/// | a program without a password | [`api_token`](Self::api_token) |
/// | the guest user | [`anonymous`](Self::anonymous) |
/// | the session of another client | [`identity_token`](Self::identity_token) |
/// | settings from outside | [`from_env`](Self::from_env), or a [`CredentialProvider`] |
///
/// An empty user name, token or LDAP password is an error, because a directory treats a login without
/// a password as an anonymous one. An empty password of a standard login is sent: a newly installed
/// server has users without one.
#[derive(Clone)]
pub struct Credentials(pub(crate) Kind);

#[derive(Clone)]
pub(crate) enum Kind {
    Anonymous,
    ApiToken(ApiToken),
    IdentityToken(IdentityToken),
    User { mode: LoginMode, username: String, password: Password },
}

impl Credentials {
    /// A user of the server's own metadata.
    #[must_use]
    pub fn standard(username: impl Into<String>, password: impl Into<Password>) -> Self {
        Self::user(LoginMode::Standard, username.into(), password.into())
    }

    /// A user of the LDAP directory that the server is connected to.
    #[must_use]
    pub fn ldap(username: impl Into<String>, password: impl Into<Password>) -> Self {
        Self::user(LoginMode::Ldap, username.into(), password.into())
    }

    const fn user(mode: LoginMode, username: String, password: Password) -> Self {
        Self(Kind::User { mode, username, password })
    }

    /// The guest user.
    #[must_use]
    pub const fn anonymous() -> Self {
        Self(Kind::Anonymous)
    }

    /// An API token, which stands for its user.
    #[must_use]
    pub fn api_token(token: impl Into<ApiToken>) -> Self {
        Self(Kind::ApiToken(token.into()))
    }

    /// An identity token: borrows the session in which it was created.
    ///
    /// The token works once. The session is shared with its owner: closing the connection does not log
    /// it out, and when it ends, calls fail with [`SessionLost`](ErrorKind::SessionLost).
    #[must_use]
    pub fn identity_token(token: impl Into<IdentityToken>) -> Self {
        Self(Kind::IdentityToken(token.into()))
    }

    /// Reads credentials from environment variables:
    ///
    /// | variables | result |
    /// |---|---|
    /// | `MSTR_IDENTITY_TOKEN` | [`identity_token`](Self::identity_token) |
    /// | `MSTR_API_TOKEN` | [`api_token`](Self::api_token) |
    /// | `MSTR_USERNAME` and `MSTR_PASSWORD` | [`standard`](Self::standard) |
    /// | the same and `MSTR_LOGIN_MODE=ldap` | [`ldap`](Self::ldap) |
    /// | `MSTR_LOGIN_MODE=anonymous` | [`anonymous`](Self::anonymous) |
    ///
    /// `MSTR_LOGIN_MODE` takes a [`LoginMode`] by its name or number.
    ///
    /// A line break at the end of a value is left out: it comes from the file that the value was copied
    /// from.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config) if no variable is set, or if variables contradict one another; the
    /// message names the variable.
    pub fn from_env() -> Result<Self, Error> {
        Self::from_variables(variable)
    }

    pub(crate) fn from_variables(
        read: impl Fn(&str) -> Result<Option<String>, Error>,
    ) -> Result<Self, Error> {
        let empty =
            |name| read(name).is_ok_and(|value| value.is_some_and(|value| value.is_empty()));
        // Most often a secret that was not filled in.
        let all = ["MSTR_IDENTITY_TOKEN", "MSTR_API_TOKEN", "MSTR_USERNAME", "MSTR_LOGIN_MODE"];
        let unfilled = all.into_iter().find(|name| empty(name));
        // A file that a value was copied from ends with a line break.
        let read = |name| {
            let value = read(name)?.map(environment::without_line_break);
            Ok::<_, Error>(value.filter(|value| !value.is_empty()))
        };
        let mode = read("MSTR_LOGIN_MODE")?;
        let mode = mode.map(|mode| mode.parse::<LoginMode>()).transpose().map_err(|error| {
            config("the environment variable MSTR_LOGIN_MODE is wrong").with_source(error)
        })?;
        let needs = |name: &'static str, mode: &str| {
            let hint = if empty(name) { ", which is set but empty" } else { "" };
            config(format!("{mode} login needs the environment variable {name}{hint}"))
        };
        let (api_token, username) = (read("MSTR_API_TOKEN")?, read("MSTR_USERNAME")?);
        if let Some(token) = read("MSTR_IDENTITY_TOKEN")? {
            let other = [("MSTR_API_TOKEN", &api_token), ("MSTR_USERNAME", &username)];
            if let Some((name, _)) = other.into_iter().find(|(_, value)| value.is_some()) {
                return Err(config(format!(
                    "both MSTR_IDENTITY_TOKEN and {name} are set: unset one of them"
                )));
            }
            return match mode {
                None => Ok(Self::identity_token(token)),
                Some(mode) => Err(config(format!(
                    "MSTR_LOGIN_MODE={mode} contradicts MSTR_IDENTITY_TOKEN: unset one of them"
                ))),
            };
        }
        let mode = match (mode, &api_token, &username) {
            (Some(mode), _, _) => mode,
            (None, Some(_), Some(_)) => {
                return Err(config(
                    "both MSTR_API_TOKEN and MSTR_USERNAME are set: unset one, or say which \
                     with MSTR_LOGIN_MODE",
                ));
            }
            (None, Some(_), None) => LoginMode::ApiToken,
            (None, None, Some(_)) => LoginMode::Standard,
            (None, None, None) => {
                if let Some(name) = unfilled {
                    let message =
                        format!("no credentials in the environment: {name} is set but empty");
                    return Err(config(message));
                }
                return Err(config(
                    "no credentials in the environment: set MSTR_USERNAME and MSTR_PASSWORD, or \
                     MSTR_API_TOKEN, or MSTR_IDENTITY_TOKEN, or MSTR_LOGIN_MODE=anonymous",
                ));
            }
        };
        match mode {
            LoginMode::Anonymous => Ok(Self::anonymous()),
            LoginMode::ApiToken => {
                api_token.map(Self::api_token).ok_or_else(|| needs("MSTR_API_TOKEN", "api-token"))
            }
            LoginMode::Ldap | LoginMode::Standard => {
                let name = mode.to_string();
                let username = username.ok_or_else(|| needs("MSTR_USERNAME", &name))?;
                let password =
                    read("MSTR_PASSWORD")?.ok_or_else(|| needs("MSTR_PASSWORD", &name))?;
                Ok(if mode == LoginMode::Ldap {
                    Self::ldap(username, password)
                } else {
                    Self::standard(username, password)
                })
            }
        }
    }

    /// The login mode, `None` for an identity token, which is not a login.
    #[must_use]
    pub const fn login_mode(&self) -> Option<LoginMode> {
        match &self.0 {
            Kind::Anonymous => Some(LoginMode::Anonymous),
            Kind::ApiToken(_) => Some(LoginMode::ApiToken),
            Kind::IdentityToken(_) => None,
            Kind::User { mode, .. } => Some(*mode),
        }
    }

    /// The user name, for the modes that have one.
    #[must_use]
    pub fn username(&self) -> Option<&str> {
        match &self.0 {
            Kind::User { username, .. } => Some(username),
            Kind::Anonymous | Kind::ApiToken(_) | Kind::IdentityToken(_) => None,
        }
    }

    /// Keeps the user name and drops the secret.
    pub(crate) fn forget_secret(&mut self) {
        match &mut self.0 {
            Kind::Anonymous => {}
            Kind::ApiToken(token) => *token = ApiToken::new(""),
            Kind::IdentityToken(token) => *token = IdentityToken::new(""),
            Kind::User { password, .. } => *password = Password::new(""),
        }
    }

    /// Whether the session is borrowed from another client.
    pub(crate) const fn is_delegated(&self) -> bool {
        matches!(self.0, Kind::IdentityToken(_))
    }

    /// Whether anything secret is sent at login.
    pub(crate) const fn is_secret(&self) -> bool {
        !matches!(self.0, Kind::Anonymous)
    }

    /// Refuses credentials that the server would take for another login mode.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let odd = match &self.0 {
            Kind::ApiToken(token) if token.has_control() => Some("API token"),
            Kind::IdentityToken(token) if token.has_control() => Some("identity token"),
            _ => None,
        };
        if let Some(odd) = odd {
            return Err(config(format!(
                "the {odd} has a control character, as a line break at the end of a file: trim what \
                 is read"
            )));
        }
        let missing = match &self.0 {
            Kind::ApiToken(token) if token.is_empty() => "API token",
            Kind::IdentityToken(token) if token.is_empty() => "identity token",
            Kind::User { username, .. } if username.is_empty() => "user name",
            // The server itself has users with an empty password.
            Kind::User { mode: LoginMode::Standard, .. } => return Ok(()),
            Kind::User { password, .. } if password.is_empty() => "password",
            Kind::Anonymous | Kind::ApiToken(_) | Kind::IdentityToken(_) | Kind::User { .. } => {
                return Ok(());
            }
        };
        Err(config(format!(
            "the {missing} is empty: give one, or choose anonymous login explicitly"
        )))
    }
}

fn config(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Config, message)
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Credentials");
        match self.login_mode() {
            Some(mode) => debug.field("mode", &format_args!("{mode}")),
            None => debug.field("mode", &format_args!("identity-token")),
        };
        if let Some(username) = self.username() {
            debug.field("username", &username);
        }
        debug.finish_non_exhaustive()
    }
}

/// Supplies credentials for each login, so that the connection keeps no secret in memory.
///
/// Implement it with [`async-trait`](https://docs.rs/async-trait), and pass it to
/// [`ConnectionBuilder::credential_provider`](crate::ConnectionBuilder::credential_provider).
///
/// ```
/// # use mstr_core as mstr;
/// use std::path::PathBuf;
///
/// use async_trait::async_trait;
/// use mstr::{BoxError, Connection, CredentialProvider, Credentials};
///
/// /// Reads the password from a file that the platform renews, such as a mounted secret.
/// #[derive(Debug)]
/// struct SecretFile {
///     username: String,
///     path: PathBuf,
/// }
///
/// #[async_trait]
/// impl CredentialProvider for SecretFile {
///     async fn credentials(&self) -> Result<Credentials, BoxError> {
///         let password = std::fs::read_to_string(&self.path)?;
///         Ok(Credentials::standard(&self.username, password.trim_end()))
///     }
/// }
///
/// let secret = SecretFile { username: "reporting".into(), path: "/run/secrets/mstr".into() };
/// let builder = Connection::builder("https://env.example.com/MicroStrategyLibrary")
///     .credential_provider(secret);
/// # drop(builder);
/// ```
///
/// The provider is asked once for each login. It is not asked while a session can be used, unless the
/// server no longer answers in that session.
///
/// After the server has refused the credentials, the next call asks the provider again. If it returns
/// the refused ones, that call fails with the same error and sends nothing, so that the account is not
/// locked.
#[async_trait]
pub trait CredentialProvider: fmt::Debug + Send + Sync + 'static {
    /// Returns the credentials for one login.
    ///
    /// # Errors
    ///
    /// Any error ends the login. Its callers receive an error of kind
    /// [`Credentials`](ErrorKind::Credentials) with this one as its source; an [`Error`] or a
    /// [`TransportError`](crate::TransportError) keeps its own kind.
    ///
    /// # Cancel safety
    ///
    /// The future is kept while a caller waits for the login, and dropped with the connection.
    ///
    /// # Blocking code
    ///
    /// The future is polled by the thread that waits for the login. If the future blocks that thread,
    /// its time limit does not hold: run a slow blocking call on another thread.
    async fn credentials(&self) -> Result<Credentials, BoxError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(variables: &[(&str, &str)]) -> Result<Credentials, Error> {
        Credentials::from_variables(|name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            Ok(found.map(|(_, value)| (*value).to_owned()))
        })
    }

    #[test]
    fn the_environment_says_who_logs_in() {
        let mode = |variables: &[(&str, &str)]| from(variables).expect("complete").login_mode();
        let user = [("MSTR_USERNAME", "alice"), ("MSTR_PASSWORD", "secret")];
        assert_eq!(mode(&user), Some(LoginMode::Standard));
        let ldap = [user[0], user[1], ("MSTR_LOGIN_MODE", "16")];
        assert_eq!(mode(&ldap), Some(LoginMode::Ldap));
        assert_eq!(mode(&[("MSTR_API_TOKEN", "t")]), Some(LoginMode::ApiToken));
        assert_eq!(mode(&[("MSTR_IDENTITY_TOKEN", "t")]), None);
        assert_eq!(mode(&[("MSTR_LOGIN_MODE", "anonymous")]), Some(LoginMode::Anonymous));
    }

    #[test]
    fn a_contradictory_environment_names_the_variable() {
        let table: &[(&[(&str, &str)], &str)] = &[
            (&[], "MSTR_USERNAME"),
            (&[("MSTR_USERNAME", "alice")], "MSTR_PASSWORD"),
            (
                &[("MSTR_USERNAME", "alice"), ("MSTR_PASSWORD", "")],
                "MSTR_PASSWORD, which is set but empty",
            ),
            (&[("MSTR_API_TOKEN", "")], "MSTR_API_TOKEN is set but empty"),
            (&[("MSTR_USERNAME", "")], "MSTR_USERNAME is set but empty"),
            (&[("MSTR_USERNAME", "alice"), ("MSTR_API_TOKEN", "t")], "MSTR_LOGIN_MODE"),
            (&[("MSTR_LOGIN_MODE", "sso")], "MSTR_LOGIN_MODE"),
            (&[("MSTR_LOGIN_MODE", "api-token")], "MSTR_API_TOKEN"),
            (&[("MSTR_LOGIN_MODE", "1"), ("MSTR_IDENTITY_TOKEN", "t")], "MSTR_IDENTITY_TOKEN"),
        ];
        for (variables, named) in table {
            let error = from(variables).expect_err("contradictory").to_string();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn an_empty_credential_is_refused() {
        for credentials in [
            Credentials::standard("", "secret"),
            Credentials::ldap("alice", ""),
            Credentials::api_token(""),
            Credentials::identity_token(""),
        ] {
            assert_eq!(credentials.check().expect_err("empty").kind(), ErrorKind::Config);
        }
        Credentials::anonymous().check().expect("nothing to give");
        Credentials::standard("alice", "").check().expect("a password of no letters");
    }

    #[test]
    fn token_with_a_control_character_is_refused_and_not_shown() {
        for credentials in
            [Credentials::api_token("hunter2\n"), Credentials::identity_token("\u{feff}\rhunter2")]
        {
            let error = credentials.check().expect_err("no header carries it");
            assert_eq!(error.kind(), ErrorKind::Config);
            let text = error.to_string();
            assert!(text.contains("trim") && !text.contains("hunter2"), "{text}");
        }
        Credentials::standard("alice", "two\nlines").check().expect("a password may have any");
    }

    #[test]
    fn debug_shows_no_secret() {
        let text = format!("{:?}", Credentials::standard("alice", "hunter2"));
        assert!(text.contains("alice") && !text.contains("hunter2"), "{text}");
    }
}
