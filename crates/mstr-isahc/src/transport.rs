//! The asynchronous transport.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use http::header::TRANSFER_ENCODING;
use http::{Method, Request, Response, StatusCode, Uri, Version};
use isahc::{AsyncBody, http as theirs};
use mstr_core::settings::Proxies;
use mstr_core::toolkit::{DownloadBody, Peer, Stage, before};
use mstr_core::{
    Body, BoxFuture, RequestContext, Sent, SharedTimer, Transport, TransportError,
    TransportErrorKind, TransportInfo,
};

use crate::background;
use crate::body::Download;
use crate::client::{Client, Once};
use crate::convert::{self, Limits, Outgoing};
use crate::error::{Hop, classify};
use crate::quiet::Silence;

/// A [`Transport`] over isahc, with its own connection pool, for async code on any executor.
///
/// ```no_run
/// # mod mstr { pub use mstr_core::*; pub mod isahc { pub use mstr_isahc::*; } }
/// use mstr::Connection;
/// use mstr::isahc::IsahcTransport;
///
/// # async fn run() -> Result<(), mstr::Error> {
/// let transport = IsahcTransport::builder().max_connections_per_host(20).build()?;
/// let connection = Connection::builder("https://env.example.com/MicroStrategyLibrary")
///     .standard("username", "password")
///     .transport(transport)
///     .connect()
///     .await?;
/// connection.close().await;
/// # Ok(())
/// # }
/// ```
///
/// Clones share the pool. The transport runs its own thread, so it needs no runtime.
#[derive(Clone)]
pub struct IsahcTransport(Arc<Shared>);

pub(crate) struct Shared {
    /// Keeps connections.
    pub(crate) client: Client,
    /// Makes a connection for each request.
    pub(crate) once: Once,
    pub(crate) timer: SharedTimer,
    pub(crate) proxies: Proxies,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) silence: Option<Silence>,
    pub(crate) https: bool,
}

#[allow(unused_qualifications, reason = "with another `http` this is another type")]
type Answer = Result<theirs::Response<AsyncBody>, isahc::Error>;

impl IsahcTransport {
    pub(crate) fn from_shared(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }
}

impl Shared {
    /// The limits of a request that is sent now.
    fn limits(&self, context: &RequestContext, now: Instant) -> Limits {
        let left = context.deadline.map(|deadline| deadline.saturating_duration_since(now));
        let connect = context.connect_timeout.or(self.connect_timeout);
        Limits {
            connect: [connect, left].into_iter().flatten().min(),
            // Only libcurl can end the connection of a request that was dropped while its server
            // is silent. Nothing happens for longer than this in a request that is still wanted.
            silence: left.zip(context.body_idle_timeout).map(|(left, idle)| left.max(idle)),
        }
    }

    async fn exchange(
        &self,
        outgoing: Outgoing,
    ) -> Result<(Answer, Option<Client>), TransportError> {
        let own = outgoing.delicate.then(|| self.once.take()).transpose()?;
        let client = own.as_ref().unwrap_or(&self.client).get()?;
        let answer = match &self.silence {
            Some(silence) => {
                let sending = silence.within(|| client.send_async(outgoing.request));
                silence.around(sending).await
            }
            None => client.send_async(outgoing.request).await,
        };
        Ok((answer, own))
    }
}

#[async_trait]
impl Transport for IsahcTransport {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        let shared = &*self.0;
        let peer = Peer::of(request.uri())?;
        if !shared.https && is_https(request.uri()) {
            return Err(TransportError::new(TransportErrorKind::Config)
                .with_sent(Sent::No)
                .with_detail("no TLS: enable the feature `native-tls` or `rustls-tls`"));
        }
        let context = RequestContext::of(&request);
        let now = shared.timer.now();
        if context.deadline.is_some_and(|deadline| deadline <= now) {
            return Err(peer.failure(TransportErrorKind::Timeout, Stage::Connecting));
        }

        let proxy = shared.proxies.of(request.uri());
        let secure = is_https(request.uri());
        let hop = proxy.map(|proxy| Hop { proxy, opens: secure || proxy.scheme().is_socks() });
        let head_only = request.method() == Method::HEAD;
        let mut outgoing = convert::outgoing(request, &shared.limits(&context, now), proxy)?;
        let failure = outgoing.failure.clone();
        let upload = outgoing.upload.take();
        let answer = before(context.deadline, &*shared.timer, shared.exchange(outgoing)).await;
        let Some(answer) = answer else {
            // Whether a connection stands, isahc does not tell.
            return Err(peer.failure(TransportErrorKind::Timeout, Stage::Sending));
        };
        let (answer, client) = answer?;
        let response = answer.map_err(|error| match failure.get() {
            Some(failure) => failure,
            None => classify(Stage::Sending, error.into(), &peer, hop),
        })?;

        let (head, body) = convert::incoming(response)?;
        if let (StatusCode::PROXY_AUTHENTICATION_REQUIRED, Some(Hop { proxy, opens: false })) =
            (head.status(), hop)
        {
            // Only a proxy answers with this status, and it has forwarded nothing.
            return Err(proxy.answered(head.status(), head.headers()));
        }
        let bare =
            head_only || matches!(head.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let length = if bare { Some(0) } else { convert::length(head.headers())? };
        let mut body = Download::new(body, length, peer.clone(), upload, client);
        if is_promised(&head, length) {
            let begun = before(context.deadline, &*shared.timer, body.begin()).await;
            begun.unwrap_or_else(|| {
                Err(peer.failure(TransportErrorKind::Timeout, Stage::Sending))
            })?;
            if let Some(whole) = body.take_whole() {
                return Ok(head.map(|()| Body::from(whole)));
            }
        }
        if length == Some(0) {
            return Ok(head.map(|()| Body::empty()));
        }
        let timer = shared.timer.clone();
        let body = DownloadBody::new(body, peer, context.body_idle_timeout, timer);
        Ok(head.map(|()| Body::wrap(body)))
    }

    fn timer(&self) -> SharedTimer {
        self.0.timer.clone()
    }

    fn detach(&self, task: BoxFuture<'static, ()>) {
        // Rare, and short: a logout. A thread of its own needs no executor. If there is none to
        // be had, the server's idle timeout ends the session instead.
        let run = move || futures_lite::future::block_on(task);
        drop(background::run("mstr-isahc-detached", run));
    }

    fn info(&self) -> TransportInfo {
        TransportInfo::new("mstr-isahc", env!("CARGO_PKG_VERSION"))
            .showing_password(self.0.proxies.have_password())
    }
}

impl fmt::Debug for IsahcTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IsahcTransport")
            .field("connect_timeout", &self.0.connect_timeout)
            .field("proxies", &self.0.proxies)
            .finish_non_exhaustive()
    }
}

/// Whether an answer's body has at least a byte, if its head is whole: as many as it says, or the
/// connection's end was meant to end it. (Of one in chunks this cannot be told.)
fn is_promised(head: &Response<()>, length: Option<u64>) -> bool {
    match length {
        Some(length) => length > 0,
        None => head.version() < Version::HTTP_2 && !head.headers().contains_key(TRANSFER_ENCODING),
    }
}

fn is_https(uri: &Uri) -> bool {
    uri.scheme() == Some(&http::uri::Scheme::HTTPS)
}
