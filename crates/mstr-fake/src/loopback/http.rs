//! HTTP/1.1 and HTTP/2, with TLS if wanted, on a thread of its own.

use std::any::Any;
use std::fmt;
use std::future::pending;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::body::Sending;
use super::running::Running;
use super::socket::{Breakable, Breaker};
use super::tls::ServerTls;
use crate::locked::Locked;
use crate::server::{Entry, ReplyBody, Server, SocketFault};

/// Larger uploads are refused: they would have to be held in memory.
const UPLOAD_LIMIT: usize = 64 * 1024 * 1024;

type Observer = Box<dyn FnMut(&Entry, Instant) + Send>;

/// A [`Server`] on a loopback socket. Dropping it closes the socket and all connections.
pub struct HttpServer {
    shared: Arc<Shared>,
    address: SocketAddr,
    base_url: String,
    _running: Running,
}

struct Shared {
    server: Locked,
    observer: Mutex<Option<Observer>>,
    started: Instant,
}

/// Describes an [`HttpServer`].
#[must_use]
pub struct HttpServerBuilder {
    address: SocketAddr,
    observer: Option<Observer>,
    tls: Option<ServerTls>,
}

impl HttpServer {
    /// Starts `server` on a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// As [`HttpServerBuilder::start`].
    pub fn start(server: Server) -> io::Result<Self> {
        Self::builder().start(server)
    }

    /// Begins to describe a server.
    pub fn builder() -> HttpServerBuilder {
        HttpServerBuilder { address: (Ipv4Addr::LOCALHOST, 0).into(), observer: None, tls: None }
    }

    /// Where the Library is, for example `http://127.0.0.1:40001/MicroStrategyLibrary`.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The socket's address.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Looks at the server, or changes it.
    ///
    /// # Panics
    ///
    /// In the closure of an endpoint of this server, or in `look` itself: it would wait for itself.
    pub fn server<T>(&self, look: impl FnOnce(&mut Server) -> T) -> T {
        self.shared.server(look)
    }
}

impl fmt::Debug for HttpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpServer").field("base_url", &self.base_url).finish_non_exhaustive()
    }
}

impl fmt::Debug for HttpServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpServerBuilder").field("address", &self.address).finish_non_exhaustive()
    }
}

impl HttpServerBuilder {
    /// Listens here; with port 0, on any free port. Default: 127.0.0.1, any port.
    pub const fn listen(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Gets every request once it has been decided, and when the server was started.
    pub fn observe(mut self, observer: impl FnMut(&Entry, Instant) + Send + 'static) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// Speaks TLS. The certificate should be for 127.0.0.1, under which clients find the server.
    pub fn tls(mut self, tls: ServerTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Starts `server`.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for an address that others can reach,
    /// [`Unsupported`](io::ErrorKind::Unsupported) in a tokio runtime whose clock is paused, in
    /// which a client on a socket would see its deadlines pass at once, and those of binding a
    /// socket and starting a thread.
    pub fn start(self, server: Server) -> io::Result<HttpServer> {
        if !self.address.ip().is_loopback() {
            let message = format!(
                "{} can be reached from other machines: use 127.0.0.1 or [::1]",
                self.address.ip()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let listener = StdListener::bind(self.address)?;
        let address = listener.local_addr()?;
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let base_url = format!("{scheme}://{address}{}", server.base_path());
        #[expect(clippy::disallowed_methods, reason = "a socket lives in real time")]
        let started = Instant::now();
        let shared = Arc::new(Shared {
            server: Locked::new(server),
            observer: Mutex::new(self.observer),
            started,
        });
        let serving = Arc::clone(&shared);
        let tls = self.tls.map(|tls| TlsAcceptor::from(tls.config()));
        let running = Running::start("mstr-fake", listener, move |stream| {
            serve(stream, tls.clone(), Arc::clone(&serving))
        })?;
        Ok(HttpServer { shared, address, base_url, _running: running })
    }
}

impl Shared {
    fn server<T>(&self, look: impl FnOnce(&mut Server) -> T) -> T {
        self.server.with(|server| {
            // The caller sees what has expired meanwhile.
            #[expect(clippy::disallowed_methods, reason = "a socket lives in real time")]
            server.handle_timeout(Instant::now());
            look(server)
        })
    }

    fn tell(&self, ordinal: u64) {
        let mut observer = self.observer.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(observer) = &mut *observer else { return };
        let entry = self.server(|server| {
            let index = usize::try_from(ordinal).unwrap_or(usize::MAX);
            server.journal().entries().get(index).cloned()
        });
        if let Some(entry) = entry {
            observer(&entry, self.started);
        }
    }
}

async fn serve(stream: TcpStream, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let breaker = Breaker::default();
    let stream = Breakable::new(stream, breaker.clone());
    match tls {
        None => speak(stream, breaker, shared).await,
        Some(tls) => {
            // A client that does not like the certificate is not a failure of the server.
            if let Ok(stream) = tls.accept(stream).await {
                speak(stream, breaker, shared).await;
            }
        }
    }
}

async fn speak<S>(stream: S, breaker: Breaker, shared: Arc<Shared>)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let service = service_fn(move |request| answer(request, Arc::clone(&shared), breaker.clone()));
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new());
    server.http2().timer(TokioTimer::new());
    // Ends with an error whenever a client hangs up or a fault breaks the connection.
    drop(server.serve_connection(TokioIo::new(stream), service).await);
}

#[expect(clippy::disallowed_methods, reason = "a socket lives in real time")]
async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
    breaker: Breaker,
) -> Result<Response<Sending>, io::Error> {
    let (parts, body) = request.into_parts();
    let body = match Limited::new(body, UPLOAD_LIMIT).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            return Ok(refused(StatusCode::PAYLOAD_TOO_LARGE, breaker));
        }
        // The client has given up.
        Err(_) => return Ok(refused(StatusCode::BAD_REQUEST, breaker)),
    };
    let request = Request::from_parts(parts, body);
    let handled =
        AssertUnwindSafe(|| shared.server(|server| server.handle(request, Instant::now())));
    let reply = match catch_unwind(handled) {
        Ok(reply) => reply,
        // The closure of an endpoint: the client is told, since no thread waits for this one.
        Err(panic) => return Ok(panicked(&*panic, breaker)),
    };
    shared.tell(reply.ordinal);
    if !reply.after.is_zero() {
        tokio::time::sleep(reply.after).await;
    }
    match reply.fault {
        Some(SocketFault::Stall) => pending().await,
        Some(SocketFault::Refuse | SocketFault::Reset) => {
            breaker.trip();
            Err(io::ErrorKind::ConnectionReset.into())
        }
        fault => Ok(reply.response.map(|body| Sending::new(body, fault, breaker))),
    }
}

fn panicked(panic: &(dyn Any + Send), breaker: Breaker) -> Response<Sending> {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text");
    let message = format!("the closure of an endpoint panicked: {text}");
    let body = serde_json::json!({ "code": "ERR001", "message": message }).to_string();
    let body = Sending::new(ReplyBody::Bytes(body.into()), None, breaker);
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    let kind = HeaderValue::from_static("application/json;charset=UTF-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn refused(status: StatusCode, breaker: Breaker) -> Response<Sending> {
    let body = Sending::new(ReplyBody::Bytes(bytes::Bytes::new()), None, breaker);
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}
