//! The ways in which the server checks a login.

use std::error::Error as StdError;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The way in which the server checks a login. The numbers are those of the REST API.
///
/// ```
/// # use mstr_core as mstr;
/// use mstr::LoginMode;
///
/// let mode: LoginMode = "ldap".parse()?;
/// assert_eq!(mode, LoginMode::Ldap);
/// assert_eq!(u32::from(mode), 16);
/// # Ok::<(), mstr::ParseLoginModeError>(())
/// ```
///
/// Modes that need a browser (SAML, OIDC, Kerberos) are not offered, because a program cannot complete
/// them. Use an identity token or an API token instead.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[non_exhaustive]
#[repr(u32)]
#[serde(into = "u32", try_from = "Written")]
pub enum LoginMode {
    /// The guest user; no credentials.
    Anonymous = 8,
    /// A long-lived API token.
    ApiToken = 4096,
    /// User and password, checked by the directory the server is connected to.
    Ldap = 16,
    /// User and password, checked by the server's own metadata.
    Standard = 1,
}

/// How a mode stands in a document: by its number, as on the wire, or by its name.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(u32),
    Name(String),
}

impl TryFrom<Written> for LoginMode {
    type Error = ParseLoginModeError;

    fn try_from(written: Written) -> Result<Self, ParseLoginModeError> {
        match written {
            Written::Number(number) => Self::try_from(number),
            Written::Name(name) => name.parse(),
        }
    }
}

impl LoginMode {
    pub(crate) const ALL: [Self; 4] = [Self::Standard, Self::Anonymous, Self::Ldap, Self::ApiToken];

    const fn name(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::ApiToken => "api-token",
            Self::Ldap => "ldap",
            Self::Standard => "standard",
        }
    }
}

impl fmt::Display for LoginMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<LoginMode> for u32 {
    fn from(mode: LoginMode) -> Self {
        mode as Self
    }
}

impl TryFrom<u32> for LoginMode {
    type Error = ParseLoginModeError;

    fn try_from(number: u32) -> Result<Self, ParseLoginModeError> {
        let mode = Self::ALL.into_iter().find(|mode| u32::from(*mode) == number);
        mode.ok_or_else(|| ParseLoginModeError(number.to_string()))
    }
}

impl FromStr for LoginMode {
    type Err = ParseLoginModeError;

    /// Accepts the number, or the name in any case, with `-`, `_` or nothing between its words.
    fn from_str(text: &str) -> Result<Self, ParseLoginModeError> {
        let plain = |text: &str| text.trim().to_ascii_lowercase().replace(['-', '_', ' '], "");
        let wanted = plain(text);
        let wanted = if wanted == "guest" { "anonymous".to_owned() } else { wanted };
        Self::ALL
            .into_iter()
            .find(|mode| plain(mode.name()) == wanted || u32::from(*mode).to_string() == wanted)
            .ok_or_else(|| ParseLoginModeError(text.to_owned()))
    }
}

/// The text or number is not a login mode that this library can use.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ParseLoginModeError(String);

impl fmt::Display for ParseLoginModeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" is not a login mode: use ", self.0)?;
        for (index, mode) in LoginMode::ALL.into_iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{mode} ({})", u32::from(mode))?;
        }
        Ok(())
    }
}

impl StdError for ParseLoginModeError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_convert_both_ways() {
        for mode in LoginMode::ALL {
            assert_eq!(LoginMode::try_from(u32::from(mode)), Ok(mode));
            assert_eq!(mode.to_string().parse(), Ok(mode));
            assert_eq!(u32::from(mode).to_string().parse(), Ok(mode));
            let json = serde_json::to_string(&mode).expect("a number");
            assert_eq!(json, u32::from(mode).to_string());
            assert_eq!(serde_json::from_str::<LoginMode>(&json).expect("a mode"), mode);
        }
        assert_eq!("API_TOKEN".parse(), Ok(LoginMode::ApiToken));
        assert_eq!("Guest".parse(), Ok(LoginMode::Anonymous));
    }

    #[test]
    fn other_modes_are_refused_by_name() {
        for bad in ["2", "64", "", "kerberos", "1048576", "16.0", "true"] {
            let error = bad.parse::<LoginMode>().expect_err(bad).to_string();
            assert!(error.contains(&format!("\"{bad}\"")) && error.contains("standard (1)"));
        }
        assert!(serde_json::from_str::<LoginMode>("2").is_err());
    }
}
