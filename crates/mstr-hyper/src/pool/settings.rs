//! The settings of a pool.

use std::time::Duration;

use mstr_core::SharedTimer;

use super::host::Limits;
use crate::connector::Connector;
use crate::runtime::{KeepAlive, Runtime};

/// The settings of a pool.
pub(crate) struct Settings {
    pub(crate) connector: Connector,
    pub(crate) runtime: Runtime,
    pub(crate) timer: SharedTimer,
    pub(crate) limits: Limits,
    pub(crate) versions: Versions,
    pub(crate) pings: Option<Pings>,
    /// Keeps the runtime's thread.
    #[expect(dead_code, reason = "it is held, and told by being dropped")]
    pub(crate) keep: Option<KeepAlive>,
}

/// Which versions of HTTP are spoken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Versions {
    Any,
    Http1,
    Http2,
}

/// When HTTP/2 asks a silent server whether it is there, while requests are open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pings {
    pub(crate) after: Duration,
    pub(crate) patience: Duration,
}
