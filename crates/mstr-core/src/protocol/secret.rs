//! Values that must not be seen: no `Display`, `Serialize`, `PartialEq` or `Deref`; `Debug`
//! prints the type's name; the memory is wiped on drop.

use std::fmt;
use std::ops::Deref;

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

macro_rules! secrets {
    ($($(#[doc = $doc:literal])+ $visibility:vis $name:ident;)+) => {$(
        $(#[doc = $doc])+
        ///
        /// Cannot be printed, serialised or compared, and is wiped from memory on drop.
        #[derive(Clone)]
        $visibility struct $name(SecretString);

        impl $name {
            /// Wraps the secret.
            $visibility fn new(secret: impl Into<String>) -> Self {
                // Copied and wiped: a text with room to spare would be moved when it is made to fit,
                // which leaves a copy behind.
                let given = Zeroizing::new(secret.into());
                Self(SecretString::from(given.as_str()))
            }

            /// Whether there is nothing to keep secret. Not every secret is asked.
            #[allow(dead_code, reason = "tokens of sessions are never empty")]
            pub(crate) fn is_empty(&self) -> bool {
                self.0.expose_secret().is_empty()
            }

            /// Whether a control character is in it, which no header carries.
            #[allow(dead_code, reason = "a password may have any")]
            pub(crate) fn has_control(&self) -> bool {
                self.0.expose_secret().chars().any(char::is_control)
            }

            /// The secret itself. Only the wire codec and the functions that say so in their
            /// name may call this; `cargo xtask tidy` checks.
            pub(crate) fn expose(&self) -> &str {
                self.0.expose_secret()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        }

        impl From<String> for $name {
            fn from(secret: String) -> Self {
                Self::new(secret)
            }
        }

        impl From<&str> for $name {
            fn from(secret: &str) -> Self {
                Self::new(secret)
            }
        }
    )+};
}

secrets! {
    /// A user's password.
    ///
    /// ```
    /// # use mstr_core as mstr;
    /// use mstr::{Credentials, Password};
    ///
    /// fn login(username: &str, password: Password) -> Credentials {
    ///     Credentials::standard(username, password)
    /// }
    ///
    /// let credentials = login("alice", Password::from("secret"));
    /// assert!(!format!("{credentials:?}").contains("secret"));
    /// ```
    ///
    /// The compiler refuses to print, write or compare a password:
    ///
    /// ```compile_fail
    /// # use mstr_core as mstr;
    /// println!("{}", mstr::Password::from("secret"));
    /// ```
    ///
    /// ```compile_fail
    /// # use mstr_core as mstr;
    /// serde_json::to_string(&mstr::Password::from("secret"));
    /// ```
    ///
    /// ```compile_fail
    /// # use mstr_core as mstr;
    /// mstr::Password::from("a") == mstr::Password::from("b");
    /// ```
    pub Password;

    /// A long-lived API token, as [`create_api_token`](crate::Connection::create_api_token)
    /// returns it.
    ///
    /// The compiler refuses to print it; [`expose_token`](Self::expose_token) gives the text.
    ///
    /// ```compile_fail
    /// # use mstr_core as mstr;
    /// println!("{}", mstr::ApiToken::from("secret"));
    /// ```
    pub ApiToken;

    /// A short-lived, single-use token that lets another client borrow a session, as
    /// [`create_identity_token`](crate::Connection::create_identity_token) returns it.
    ///
    /// The compiler refuses to print it; [`expose_token`](Self::expose_token) gives the text.
    ///
    /// ```compile_fail
    /// # use mstr_core as mstr;
    /// println!("{}", mstr::IdentityToken::from("secret"));
    /// ```
    pub IdentityToken;

    /// The token of a session, `X-MSTR-AuthToken`.
    pub(crate) AuthToken;
}

macro_rules! exposable {
    ($($name:ident),+) => {$(
        impl $name {
            /// The secret in clear, for the place where the caller stores secrets.
            #[must_use]
            pub fn expose_token(&self) -> &str {
                self.0.expose_secret()
            }
        }
    )+};
}

exposable!(ApiToken, IdentityToken);

/// The token of a session in clear, as [`expose_token`](crate::Connection::expose_token) returns it.
///
/// It dereferences to `str` and is wiped from memory when it is dropped. `Debug` does not show it.
///
/// ```
/// # fn header(connection: &mstr_core::Connection) -> Option<http::HeaderValue> {
/// let token = connection.expose_token()?;
/// let mut header = http::HeaderValue::from_str(&token).ok()?;
/// header.set_sensitive(true);
/// # Some(header)
/// # }
/// ```
pub struct ExposedToken(Zeroizing<String>);

impl Deref for ExposedToken {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for ExposedToken {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ExposedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExposedToken")
    }
}

impl AuthToken {
    /// The token in clear. The name makes each use visible.
    pub(crate) fn to_exposed(&self) -> ExposedToken {
        ExposedToken(Zeroizing::new(self.0.expose_secret().to_owned()))
    }

    /// Whether both are the token of the same session. Both belong to this process and neither comes
    /// from a peer, so the comparison may take a variable time.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        self.0.expose_secret() == other.0.expose_secret()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_names_the_type_only() {
        assert_eq!(format!("{:?}", Password::from("hunter2")), "Password");
        assert_eq!(format!("{:?}", Some(AuthToken::from("hunter2"))), "Some(AuthToken)");
    }
}
