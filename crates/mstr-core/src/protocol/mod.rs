//! The messages on the wire and their values. No I/O and no session state.

mod base_url;
mod cookies;
mod credentials;
pub(crate) mod encoding;
mod exchanging;
mod fingerprint;
pub(crate) mod front;
mod grant;
#[cfg(feature = "gzip")]
mod gunzip;
mod locale;
mod login_mode;
mod models;
pub(crate) mod page;
mod project;
mod record;
mod secret;
mod segments;
mod set_cookie;
mod version;
pub(crate) mod wire;

pub use base_url::BaseUrl;
pub(crate) use base_url::Target;
pub(crate) use cookies::{Cookie, CookieJar, Stored, first_cookies};
pub use credentials::{CredentialProvider, Credentials};
pub(crate) use exchanging::Exchanging;
pub(crate) use fingerprint::Fingerprint;
pub(crate) use front::FrontHeaders;
pub use front::HeaderProvider;
pub use grant::Grant;
pub(crate) use grant::WireCredentials;
pub use locale::Locale;
pub use login_mode::{LoginMode, ParseLoginModeError};
pub use models::{
    ApiTokenRequest, CreatedApiToken, Server, SessionInfo, SessionStatus, User, UserId,
};
pub use project::{Project, ProjectId, ProjectRef};
pub(crate) use project::{Projects, resolve as resolve_project};
pub use record::{ExposedRecord, SessionRecord};
pub(crate) use secret::AuthToken;
pub use secret::{ApiToken, ExposedToken, IdentityToken, Password};
pub(crate) use set_cookie::{Place, SetCookies};
pub use version::{ParseVersionError, Version};
