//! The parts of the contract that adapters can keep from outside of the stack.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Body as HttpBody;

use crate::contract::{
    Body, BoxFuture, RequestContext, Sent, SharedTimer, TransportError, TransportErrorKind,
    TransportInfo,
};
use crate::toolkit::{BodyFailure, DownloadBody, Peer, Stage, UploadBody, before, declared_length};

/// One exchange: who it is with, how long it may take, and why its upload failed.
pub(super) struct Watched {
    pub(super) peer: Peer,
    context: RequestContext,
    upload: BodyFailure,
}

impl Watched {
    /// Checks a request and holds its body to its length. Refuses what must not be sent.
    pub(super) fn begin(
        request: Request<Body>,
        now: Instant,
    ) -> Result<(Self, Request<Body>), TransportError> {
        let peer = Peer::of(request.uri())?;
        let context = RequestContext::of(&request);
        if context.deadline.is_some_and(|deadline| deadline <= now) {
            return Err(peer.failure(TransportErrorKind::Timeout, Stage::Connecting));
        }
        let (parts, body) = request.into_parts();
        let (body, upload) = hold(body, &parts.headers)?;
        let mut request = Request::from_parts(parts, body);
        context.attach(&mut request);
        Ok((Self { peer, context, upload }, request))
    }

    /// Waits for `future` until the request's deadline, at which it is dropped.
    pub(super) async fn in_time<F: Future>(
        &self,
        stage: Stage,
        timer: &SharedTimer,
        future: F,
    ) -> Result<F::Output, TransportError> {
        let output = before(self.context.deadline, &**timer, future).await;
        output.ok_or_else(|| self.failed(self.peer.failure(TransportErrorKind::Timeout, stage)))
    }

    /// Why the exchange failed: because its upload did, or else as the stack says.
    pub(super) fn failed(&self, error: TransportError) -> TransportError {
        self.upload.get().unwrap_or(error)
    }

    /// The answer, with a body that may not stall.
    pub(super) fn answer<B>(self, response: Response<B>, timer: &SharedTimer) -> Response<Body>
    where
        B: HttpBody<Data = Bytes, Error = TransportError> + Send + Unpin + 'static,
    {
        let idle = self.context.body_idle_timeout;
        response.map(|body| Body::wrap(DownloadBody::new(body, self.peer, idle, timer.clone())))
    }
}

/// Holds `body` to what `headers` declare. One that is in memory stays as it is, so that a stack
/// can have it in one piece.
fn hold(body: Body, headers: &HeaderMap) -> Result<(Body, BodyFailure), TransportError> {
    let Some(bytes) = body.as_bytes() else {
        let held = UploadBody::new(body, headers);
        let failure = held.failure();
        return Ok((Body::wrap(held), failure));
    };
    let length = bytes.len() as u64;
    match declared_length(headers) {
        Some(declared) if declared != length => Err(TransportError::new(TransportErrorKind::Body)
            .with_sent(Sent::No)
            .with_detail(format!("the request's body has {length} bytes and declares {declared}"))),
        _ => Ok((body, BodyFailure::default())),
    }
}

/// The parts of a transport other than sending.
#[derive(Clone)]
pub(super) struct Surroundings {
    pub(super) timer: SharedTimer,
    pub(super) info: TransportInfo,
    spawn: Option<Spawn>,
}

type Spawn = Arc<dyn Fn(BoxFuture<'static, ()>) + Send + Sync>;

impl Surroundings {
    pub(super) fn new(timer: SharedTimer) -> Self {
        Self { timer, info: TransportInfo::default(), spawn: None }
    }

    pub(super) fn spawn_with(
        &mut self,
        spawn: impl Fn(BoxFuture<'static, ()>) + Send + Sync + 'static,
    ) {
        self.spawn = Some(Arc::new(spawn));
    }

    pub(super) fn detach(&self, task: BoxFuture<'static, ()>) {
        match &self.spawn {
            Some(spawn) => spawn(task),
            None => crate::contract::not_detached(),
        }
    }
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings")
            .field("timer", &self.timer)
            .field("info", &self.info)
            .field("detaches", &self.spawn.is_some())
            .finish()
    }
}
