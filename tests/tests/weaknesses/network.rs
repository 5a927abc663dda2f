//! A network with several hosts, on which answers can be replaced and every request is seen.

use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, Uri};
use mstr::core::{BoxFuture, RequestContext, SharedTimer};
use mstr::{
    Body, Connection, ConnectionBuilder, SharedTransport, Transport, TransportError,
    TransportErrorKind,
};
use mstr_core::Sent;
use mstr_suite::World;

type Answer = Arc<dyn Fn() -> Response<Body> + Send + Sync>;

/// Leads to several servers, unlike the transport of one of them. Clones are the same network.
#[derive(Clone)]
pub(crate) struct Network(Arc<Shared>);

struct Shared {
    timer: SharedTimer,
    hosts: Vec<(String, SharedTransport)>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    answers: Vec<(String, Answer)>,
    seen: Vec<Seen>,
}

/// A request as it left.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Network {
    pub(crate) fn of(worlds: &[&World]) -> Self {
        let hosts = worlds.iter().map(|world| {
            let uri: Uri = world.base_url.parse().unwrap();
            (uri.authority().unwrap().to_string(), world.transport.clone())
        });
        Self(Arc::new(Shared {
            timer: worlds[0].transport.timer(),
            hosts: hosts.collect(),
            state: Mutex::default(),
        }))
    }

    /// Answers requests to this URL, its query aside, in the server's place.
    pub(crate) fn answer(
        &self,
        url: &str,
        answer: impl Fn() -> Response<Body> + Send + Sync + 'static,
    ) {
        self.0.state.lock().unwrap().answers.push((url.to_owned(), Arc::new(answer)));
    }

    /// A connection over this network as alice, to be described further.
    pub(crate) fn builder(&self, base_url: &str) -> ConnectionBuilder<SharedTransport> {
        Connection::builder(base_url).standard("alice", "secret").seed(7).transport(self.clone())
    }

    /// The requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.0.state.lock().unwrap().seen.clone()
    }

    /// The requests to URLs with this beginning.
    pub(crate) fn seen_at(&self, url: &str) -> Vec<Seen> {
        let mut seen = self.seen();
        seen.retain(|request| request.uri.to_string().starts_with(url));
        seen
    }
}

#[async_trait]
impl Transport for Network {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        let context = RequestContext::of(&request);
        let (parts, body) = request.into_parts();
        let body = body.collect(1024 * 1024).await?;
        let text = parts.uri.to_string();
        let url = text.split('?').next().unwrap_or_default();
        let answer = {
            let mut state = self.0.state.lock().unwrap();
            let (uri, headers) = (parts.uri.clone(), parts.headers.clone());
            state.seen.push(Seen { uri, headers, body: body.clone() });
            state.answers.iter().find(|(own, _)| own == url).map(|(_, answer)| Arc::clone(answer))
        };
        if let Some(answer) = answer {
            return Ok(answer());
        }
        let secure = parts.uri.scheme_str() == Some("https");
        let authority = parts.uri.authority().map(|authority| authority.as_str()).unwrap_or("");
        match self.0.hosts.iter().find(|(host, _)| secure && host == authority) {
            Some((_, host)) => {
                let host = host.clone();
                let mut request = Request::from_parts(parts, Body::from(body));
                context.attach(&mut request);
                host.send(request).await
            }
            None => Err(TransportError::new(TransportErrorKind::Connect).with_sent(Sent::No)),
        }
    }

    fn timer(&self) -> SharedTimer {
        self.0.timer.clone()
    }

    fn detach(&self, task: BoxFuture<'static, ()>) {
        self.0.hosts[0].1.detach(task);
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").finish_non_exhaustive()
    }
}

/// A response without a body, with these headers.
pub(crate) fn response(status: u16, headers: &[(&'static str, &str)]) -> Response<Body> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Body::empty()).unwrap()
}
