//! The servers of a pool: who they are, and what there is of connections to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::uri::PathAndQuery;
use http::{HeaderValue, Uri};
use mstr_core::toolkit::{Peer, Stage};
use mstr_core::{TransportError, TransportErrorKind};
use tokio::task::AbortHandle;

use super::connection::Connection;
use super::exchange::Sender;
use super::host::{Host, HostId, Speaks};
use super::order::{Order, host_header};
use super::settings::{Settings, Versions};
use super::waiter::Waiter;
use crate::connector::leave_user_out;

/// How many servers a pool remembers of which it holds nothing.
const REMEMBERED: usize = 16;

/// The data behind the lock of a pool.
#[derive(Default)]
pub(super) struct State {
    pub(super) servers: Vec<Server>,
    /// The transport is gone.
    pub(super) closed: bool,
}

/// A connection over HTTP/1.1 that is kept, with what sends on it.
pub(super) type Kept = (Arc<Connection>, Sender);

/// A server, and what there is of connections to it.
pub(super) struct Server {
    pub(super) id: HostId,
    /// Scheme and authority, and `/`.
    pub(super) address: Uri,
    pub(super) header: HeaderValue,
    pub(super) peer: Peer,
    pub(super) host: Host<Kept, Arc<Connection>, Waiter>,
    /// The connections whose tasks go on.
    pub(super) connections: Vec<Arc<Connection>>,
    pub(super) dials: Vec<(u64, Option<AbortHandle>)>,
    /// One at a time carries out what is to be done next, and does so again if that was asked for
    /// meanwhile.
    pub(super) going_on: bool,
    pub(super) again: bool,
}

impl State {
    pub(super) fn of(&mut self, id: HostId) -> Option<&mut Server> {
        self.servers.iter_mut().find(|server| server.id == id)
    }

    /// The server that a request goes to, whose address is left without the user.
    ///
    /// # Errors
    ///
    /// `Config` for an address that no request can name.
    pub(super) fn server(
        &mut self,
        settings: &Settings,
        numbers: &AtomicU64,
        order: &mut Order,
    ) -> Result<&mut Server, TransportError> {
        // Mostly it is spelled alike, which is quicker to see than that it means the same. No
        // address here has a user.
        let uri = order.request.uri();
        let known = self.servers.iter().position(|server| is_spelled(&server.address, uri));
        if let Some(known) = known {
            return Ok(&mut self.servers[known]);
        }
        leave_user_out(order.request_mut())?;
        let uri = order.request.uri();
        let known = self.servers.iter().position(|server| is_at(&server.address, uri));
        if let Some(known) = known {
            return Ok(&mut self.servers[known]);
        }
        if self.servers.len() >= REMEMBERED {
            self.servers
                .retain(|server| !server.host.is_unused() || !server.connections.is_empty());
        }
        let peer = Peer::of(uri)?;
        let unusable = || peer.failure(TransportErrorKind::Config, Stage::Connecting);
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = Some(PathAndQuery::from_static("/"));
        let address = Uri::from_parts(parts).map_err(|error| unusable().with_source(error))?;
        let header = host_header(&address).ok_or_else(unusable)?;
        let speaks = match settings.versions {
            Versions::Http2 => Speaks::Http2,
            Versions::Any if order.is_https() => {
                // A wrong password is submitted once.
                Speaks::Unknown(if settings.connector.routes().show_password() { 1 } else { 2 })
            }
            Versions::Any | Versions::Http1 => Speaks::Http1,
        };
        self.servers.push(Server {
            id: numbers.fetch_add(1, Ordering::Relaxed),
            address,
            header,
            peer,
            host: Host::new(speaks, settings.limits),
            connections: Vec::new(),
            dials: Vec::new(),
            going_on: false,
            again: false,
        });
        let last = self.servers.len() - 1;
        Ok(&mut self.servers[last])
    }
}

/// Whether a request to `uri` goes to the server at `address`.
fn is_at(address: &Uri, uri: &Uri) -> bool {
    address.authority() == uri.authority() && address.scheme() == uri.scheme()
}

/// Whether it is what the address says.
fn is_spelled(address: &Uri, uri: &Uri) -> bool {
    let (Some(own), Some(other)) = (address.authority(), uri.authority()) else { return false };
    own.as_str() == other.as_str() && address.scheme() == uri.scheme()
}
