//! The items that most programs use: `use mstr::prelude::*;`.

pub use mstr_core::{
    Body, CloseOutcome, Connection, ConnectionBuilder, CredentialProvider, Credentials, Error,
    ErrorKind, Locale, LoginMode, RetryPolicy, Timeouts, Transport, TransportError,
};

#[cfg(feature = "hyper")]
pub use crate::DefaultTransport;
