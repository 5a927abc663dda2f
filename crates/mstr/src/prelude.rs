//! The items that most programs use: `use mstr::prelude::*;`.

#[cfg(feature = "hyper")]
#[doc(no_inline)]
pub use crate::DefaultTransport;
#[doc(no_inline)]
pub use crate::{
    Body, CloseOutcome, Connection, ConnectionBuilder, CredentialProvider, Credentials, Error,
    ErrorKind, Locale, LoginMode, RetryPolicy, Timeouts, Transport, TransportError,
};
