//! Making a connection, in a task of its own.

use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioTimer;
use mstr_core::toolkit::{Peer, Stage, UploadBody};
use mstr_core::{TransportError, TransportErrorKind};
use tokio::task::AbortHandle;

use super::exchange::Sender;
use super::settings::{Settings, Versions};
use crate::connector::{Connected, Lookout, Stream};
use crate::error::explain;
use crate::runtime::Runtime;

/// The largest head of an answer. Over HTTP/1.1 hyper's buffer grows to as much.
const LARGEST_HEAD: u32 = 256 * 1024;

/// A connection that has just been made, in its version of HTTP.
pub(super) struct Made {
    pub(super) lookout: Lookout,
    pub(super) protocol: Protocol,
}

pub(super) enum Protocol {
    Http1(Sender, Box<http1::Connection<Stream, UploadBody>>),
    Http2(http2::SendRequest<UploadBody>, Box<http2::Connection<Stream, UploadBody, Runtime>>),
}

/// How many requests go over HTTP/2 before the server has said how many it takes.
pub(super) const INITIAL_STREAMS: usize = 1;

/// Begins to make a connection to the server at `address`. `tell` hears how it ended, whatever
/// happens to the task.
pub(super) fn dial(
    settings: Arc<Settings>,
    address: Uri,
    limit: Option<Duration>,
    tell: impl FnOnce(Result<Made, TransportError>) + Send + 'static,
) -> AbortHandle {
    let runtime = settings.runtime.clone();
    let telling = Telling { address, tell: Some(tell) };
    let task = async move {
        let outcome = make(&settings, &telling.address, limit).await;
        telling.end(outcome);
    };
    runtime.handle().spawn(task).abort_handle()
}

struct Telling<F: FnOnce(Result<Made, TransportError>)> {
    address: Uri,
    tell: Option<F>,
}

impl<F: FnOnce(Result<Made, TransportError>)> Telling<F> {
    fn end(mut self, outcome: Result<Made, TransportError>) {
        if let Some(tell) = self.tell.take() {
            tell(outcome);
        }
    }
}

impl<F: FnOnce(Result<Made, TransportError>)> Drop for Telling<F> {
    fn drop(&mut self) {
        // The runtime has shut down, or no request waits for this any longer.
        if let Some(tell) = self.tell.take() {
            tell(Err(match Peer::of(&self.address) {
                Ok(peer) => peer.failure(TransportErrorKind::Canceled, Stage::Connecting),
                Err(unusable) => unusable,
            }));
        }
    }
}

async fn make(
    settings: &Settings,
    address: &Uri,
    limit: Option<Duration>,
) -> Result<Made, TransportError> {
    let Connected { stream, lookout } = settings.connector.connect(address, limit).await?;
    let peer = Peer::of(address)?;
    let failed = |error: hyper::Error| explain(error.into(), || peer.to_string());
    let protocol = if settings.versions == Versions::Http2 || stream.is_http2() {
        let mut builder = http2::Builder::new(settings.runtime.clone());
        builder
            .timer(TokioTimer::new())
            .initial_max_send_streams(INITIAL_STREAMS)
            .max_header_list_size(LARGEST_HEAD);
        if let Some(pings) = settings.pings {
            builder.keep_alive_interval(pings.after).keep_alive_timeout(pings.patience);
        }
        let (sender, connection) = builder.handshake(stream).await.map_err(failed)?;
        Protocol::Http2(sender, Box::new(connection))
    } else {
        let mut builder = http1::Builder::new();
        // Malformed header lines of old servers and gateways fail no answer.
        builder
            .allow_obsolete_multiline_headers_in_responses(true)
            .allow_spaces_after_header_name_in_responses(true)
            .ignore_invalid_headers_in_responses(true)
            .max_buf_size(LARGEST_HEAD as usize);
        let (sender, connection) = builder.handshake(stream).await.map_err(failed)?;
        Protocol::Http1(sender, Box::new(connection))
    };
    Ok(Made { lookout, protocol })
}
