//! Sans-IO session machine, transport contract and drivers for the Strategy One REST API.
#![forbid(unsafe_code)]

pub mod blocking;
mod builder;
mod call;
mod connection;
pub mod contract;
mod error;
mod protocol;
mod request;
pub mod session;
mod sync;
mod trace;
pub mod workstation;

pub use builder::{Builder, NoTransport};
pub use call::{RetryPolicy, Timeouts};
pub use connection::{Connection, Events, ProjectScope, Response};
pub use contract::{
    BlockingTransport, Body, BoxError, BoxFuture, RequestContext, Sent, SharedBlockingTransport,
    SharedTimer, SharedTransport, Sleep, Timer, Transport, TransportError, TransportErrorKind,
    TransportInfo,
};
pub use error::{Error, ErrorKind, ServerCode, ServerError, TicketId};
pub use protocol::{
    ApiToken, ApiTokenRequest, BaseUrl, CreatedApiToken, CredentialProvider, Credentials,
    Generation, Grant, IdentityToken, Locale, LoginMode, ParseLoginModeError, ParseVersionError,
    Password, Project, ProjectId, ProjectRef, Server, SessionInfo, SessionStatus, User, UserId,
    Version,
};
pub use request::RequestBuilder;
pub use session::{CloseOutcome, Event, LossReason};
pub use workstation::WorkstationData;
