//! The server's description of a session, its user and itself.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ApiToken, Version};
use crate::duration;

/// The id of a user: 32 hexadecimal digits.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct UserId(String);

impl UserId {
    /// The id as the server spells it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for UserId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for UserId {
    fn from(id: &str) -> Self {
        Self(id.to_owned())
    }
}

impl From<String> for UserId {
    fn from(id: String) -> Self {
        Self(id)
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The user a session belongs to.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// The id. Some servers omit it.
    pub id: Option<UserId>,
    /// The display name.
    #[serde(default)]
    pub full_name: Option<String>,
    /// The initials.
    #[serde(default)]
    pub initials: Option<String>,
    /// The login name; `None` from servers before 11.3.
    #[serde(default)]
    pub username: Option<String>,
    /// Whether the user is stored in the metadata rather than in a directory.
    #[serde(default)]
    pub metadata_user: Option<bool>,
}

/// The server's description of a session, from [`fetch_session`](crate::Connection::fetch_session).
///
/// It can be reported as JSON:
///
/// ```
/// # use mstr_core as mstr;
/// # use mstr::Connection;
/// async fn report(connection: &Connection) -> Result<String, Box<dyn std::error::Error>> {
///     let session = connection.fetch_session().await?;
///     // {"timeout":"30m","workingSet":10,"maxSearch":3,"locale":1033,...}
///     Ok(serde_json::to_string(&session)?)
/// }
/// ```
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "camelCase")]
pub struct SessionInfo {
    /// The idle timeout: the server ends the session after so much time without a request. Serialised
    /// as `"30m"`.
    #[serde(serialize_with = "duration::or_default::serialize")]
    pub timeout: Option<Duration>,
    /// How many results the server keeps for this session.
    pub working_set: Option<u32>,
    /// How many searches the server keeps for this session.
    pub max_search: Option<u32>,
    /// The number of the session's language, for example 1033 for American English.
    pub locale: Option<i64>,
    /// The user's id.
    pub user_id: Option<UserId>,
    /// The user's display name.
    pub full_name: Option<String>,
}

impl SessionInfo {
    /// Reads the fields leniently: a value of another type counts as missing, because what a
    /// server adds or changes here must not end a session that works.
    pub(crate) fn from_json(value: &serde_json::Value) -> Self {
        let number = |name: &str| match value.get(name) {
            Some(serde_json::Value::Number(number)) => number.as_i64(),
            Some(serde_json::Value::String(text)) => text.trim().parse().ok(),
            _ => None,
        };
        let text = |name: &str| value.get(name).and_then(|text| text.as_str()).map(str::to_owned);
        let small = |name| number(name).and_then(|number| u32::try_from(number).ok());
        Self {
            timeout: number("timeout")
                .and_then(|seconds| u64::try_from(seconds).ok())
                .filter(|seconds| *seconds > 0)
                .map(Duration::from_secs),
            working_set: small("workingSet"),
            max_search: small("maxSearch"),
            locale: number("locale"),
            user_id: text("id").map(UserId::from),
            full_name: text("fullName"),
        }
    }
}

/// Whether a session is alive, from [`fetch_status`](crate::Connection::fetch_status).
///
/// ```
/// # use mstr_core as mstr;
/// use mstr::{Connection, Error, SessionStatus};
///
/// async fn is_alive(connection: &Connection) -> Result<bool, Error> {
///     Ok(match connection.fetch_status().await? {
///         SessionStatus::Active(_) => true,
///         SessionStatus::Expired => false,
///     })
/// }
/// ```
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "status", rename_all = "camelCase")]
#[expect(clippy::exhaustive_enums, reason = "a session is alive or it is not")]
pub enum SessionStatus {
    /// The session is alive. The question has also reset its idle time.
    Active(SessionInfo),
    /// The session has ended, or none has been opened.
    Expired,
}

/// The versions of the server, from [`fetch_server`](crate::Connection::fetch_server).
///
/// ```
/// # use mstr_core as mstr;
/// # use mstr::Connection;
/// async fn report(connection: &Connection) -> Result<String, Box<dyn std::error::Error>> {
///     let server = connection.fetch_server().await?;
///     if let Some(version) = &server.iserver_version
///         && !version.is_at_least(&[11, 3])
///     {
///         eprintln!("{version} is older than 11.3");
///     }
///     // {"iServerVersion":"11.3.0960.02816","webVersion":"11.3.0960.0281",...}
///     Ok(serde_json::to_string(&server)?)
/// }
/// ```
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "camelCase")]
pub struct Server {
    /// The Intelligence Server's version; `None` if the server does not report one that can be read.
    #[serde(rename = "iServerVersion")]
    pub iserver_version: Option<Version>,
    /// The Library server's version.
    pub web_version: Option<Version>,
    /// The kind of deployment, for example `"cloud"`; newer servers only.
    #[serde(rename = "deploymentType")]
    pub deployment: Option<String>,
}

impl Server {
    pub(crate) fn from_json(value: &serde_json::Value) -> Self {
        let text = |name: &str| value.get(name).and_then(|text| text.as_str());
        let version = |name| text(name).and_then(|text| text.parse().ok());
        Self {
            iserver_version: version("iServerVersion"),
            web_version: version("webVersion"),
            deployment: text("deploymentType").map(str::to_owned),
        }
    }

    pub(crate) const fn unknown() -> Self {
        Self { iserver_version: None, web_version: None, deployment: None }
    }
}

/// The description of an API token to create.
///
/// ```
/// # use mstr_core as mstr;
/// use std::time::Duration;
///
/// use mstr::{ApiToken, ApiTokenRequest, Connection, Error};
///
/// async fn token_for_a_month(connection: &Connection) -> Result<ApiToken, Error> {
///     let month = Duration::from_secs(30 * 24 * 60 * 60);
///     let request = ApiTokenRequest::new().lifetime(month);
///     let created = connection.create_api_token(request).await?;
///     println!("expires {:?}", created.expires);
///     Ok(created.token)
/// }
/// ```
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "camelCase")]
pub struct ApiTokenRequest {
    /// The user of the token; `None` for the session's own user. Only an administrator can name another
    /// user.
    #[serde(rename = "userId", skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// The lifetime, rounded up to whole minutes; `None` for the server's default.
    #[serde(
        rename = "lifeTimeInMinutes",
        skip_serializing_if = "Option::is_none",
        serialize_with = "minutes"
    )]
    pub lifetime: Option<Duration>,
}

impl ApiTokenRequest {
    /// A token for the session's own user with the server's default lifetime.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the user. Another user than the session's own needs the privileges of an administrator.
    #[must_use]
    pub fn user(mut self, user: impl Into<UserId>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Sets the lifetime, rounded up to whole minutes. Default: the server's.
    #[must_use]
    pub const fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    pub(crate) const fn is_default(&self) -> bool {
        self.user.is_none() && self.lifetime.is_none()
    }
}

#[expect(clippy::ref_option, reason = "the signature is serde's")]
fn minutes<S: serde::Serializer>(
    lifetime: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(lifetime.unwrap_or_default().as_secs().div_ceil(60))
}

/// An API token that the server has just created. It replaces the user's former one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CreatedApiToken {
    /// The token.
    pub token: ApiToken,
    /// When it was created, as the server writes it.
    pub created: Option<String>,
    /// When it expires, as the server writes it.
    pub expires: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_session_whose_timeout_cannot_be_read_still_has_the_rest() {
        let info = SessionInfo::from_json(&json!({"timeout": "soon", "workingSet": 10}));
        assert_eq!(info.timeout, None);
        assert_eq!(info.working_set, Some(10));
        let info = SessionInfo::from_json(&json!({"timeout": "600"}));
        assert_eq!(info.timeout, Some(Duration::from_secs(600)));
        assert_eq!(SessionInfo::from_json(&json!({"timeout": 0})).timeout, None);
        assert_eq!(SessionInfo::from_json(&json!(null)).timeout, None);
    }

    #[test]
    fn what_the_server_tells_can_be_reported() {
        let told = json!({"timeout": 1800, "workingSet": 10, "id": "U", "fullName": "Ann"});
        let status = SessionStatus::Active(SessionInfo::from_json(&told));
        let written = serde_json::to_value(&status).expect("plain");
        let empty = serde_json::Value::Null;
        assert_eq!(
            written,
            json!({"status": "active", "timeout": "30m", "workingSet": 10, "maxSearch": empty,
                   "locale": empty, "userId": "U", "fullName": "Ann"})
        );
        let told = json!({"iServerVersion": "11.3.0600.0J", "webVersion": "11.3.6"});
        let written = serde_json::to_value(Server::from_json(&told)).expect("plain");
        assert_eq!(written["iServerVersion"], "11.3.0600.0J");
        let read: Version = serde_json::from_value(written["webVersion"].clone()).expect("one");
        assert_eq!(read.parts(), [11, 3, 6]);
        assert_eq!(
            serde_json::to_value(SessionStatus::Expired).expect("plain"),
            json!({"status": "expired"})
        );
    }

    #[test]
    fn the_lifetime_of_a_token_is_rounded_up_to_minutes() {
        let request = ApiTokenRequest::new().user("U").lifetime(Duration::from_secs(61));
        let json = serde_json::to_value(&request).expect("plain");
        assert_eq!(json, json!({"userId": "U", "lifeTimeInMinutes": 2}));
        let own = serde_json::to_value(ApiTokenRequest::new()).expect("plain");
        assert_eq!(own, json!({}));
    }
}
