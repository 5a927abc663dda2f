//! A web service that shares one connection among all of its requests.
//!
//! ```text
//! cargo run --example axum_service
//! curl http://127.0.0.1:3000/projects     # with MSTR_BASE_URL
//! ```
//!
//! - `GET /projects` asks the server, and turns its errors into answers with a fitting status;
//! - `GET /healthz` says whether the server answers, without logging in;
//! - what happens to the session is logged with `tracing`;
//! - Ctrl-C or SIGTERM lets requests end, then logs out.
//!
//! Without environment it runs against a fake server in the process, calls itself, logs to stderr, and
//! ends with "sessions still open on the server: 0". With `MSTR_BASE_URL` and the other variables of
//! `Connection::from_env` it listens on port 3000 until it is stopped.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::error::Error as StdError;
use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use mstr::prelude::*;
use mstr::{Event, Events, Project};
use mstr_fake::loopback::HttpServer;
use mstr_fake::{Purpose, Server};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

type Outcome<T = ()> = Result<T, Box<dyn StdError + Send + Sync>>;

#[tokio::main]
async fn main() -> Outcome {
    // `mstr` itself logs to the targets that begin with `mstr::`.
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    if std::env::var_os("MSTR_BASE_URL").is_some() {
        let listener = TcpListener::bind("127.0.0.1:3000").await?;
        return serve(Connection::from_env()?, listener, signal()).await;
    }

    println!("no MSTR_BASE_URL, so a fake server is started");
    let server = HttpServer::start(Server::builder().user("alice", "secret").build())?;
    let described = Connection::builder(server.base_url()).standard("alice", "secret");
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = serve(described, listener, async { drop(stopped.await) });
    let calling = async {
        let called = call_itself(address, &server).await;
        drop(stop);
        called
    };
    let (served, called) = tokio::join!(serving, calling);
    served.and(called)?;
    let open = server.server(|server| server.open_sessions());
    assert_eq!(open, 0, "the service has left sessions on the server");
    println!("sessions still open on the server: {open}");
    Ok(())
}

/// Serves until `stop` is ready and the requests under way have ended, then logs out.
async fn serve(
    described: ConnectionBuilder,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Outcome {
    // Nothing is sent yet: the service starts, and says that it is not well, while the server is
    // down. The first request logs in; those that come meanwhile wait for the same login.
    let connection = described.user_agent("projects-service/1.0").build()?;
    // In a set, because its tasks end with it.
    let mut tasks = JoinSet::new();
    let (tell, session) = watch::channel("none");
    tasks.spawn(watch_session(connection.events(), tell));
    // Where people would wait for a login after a quiet hour. Without this line the session ends
    // when it has been idle for too long, and the next request logs in.
    tasks.spawn(connection.keepalive());

    let app = Router::new()
        .route("/projects", get(projects))
        .route("/healthz", get(healthz))
        .with_state(App { connection: connection.clone(), session });
    tracing::info!(address = %listener.local_addr()?, "listening");
    let served = axum::serve(listener, app).with_graceful_shutdown(stop).await;

    // Explicitly, on every path: at the end of `main` there is no runtime for what is in the
    // background.
    let outcome = connection.close().await;
    tracing::info!(?outcome, "closed");
    // Both end with the connection, after the last event.
    while tasks.join_next().await.is_some() {}
    Ok(served?)
}

/// What every request can use. A connection is cheap to clone: all clones share one session.
#[derive(Clone)]
struct App {
    connection: Connection,
    session: watch::Receiver<&'static str>,
}

/// The server refuses the password: the settings have to be corrected.
const REFUSED: &str = "refused";

/// If the client goes away, this future is dropped, and the session is none the worse for it.
async fn projects(State(app): State<App>) -> Result<Json<Vec<Project>>, Failure> {
    Ok(Json(app.connection.fetch_projects().await?))
}

/// Whether the server answers, and what the events say of the session. This never logs in: a probe
/// every few seconds must neither open sessions nor submit a password that the server has refused.
/// (`fetch_status` would not do. Without a session it asks nothing, and with one it keeps it alive.)
async fn healthz(State(app): State<App>) -> Result<Response, Failure> {
    let probe = app.connection.get("/api/status").without_auth();
    probe.timeout(Duration::from_secs(3)).retry(RetryPolicy::never()).send().await?;
    let session = *app.session.borrow();
    let status = if session == REFUSED { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    Ok((status, Json(json!({ "server": "answers", "session": session }))).into_response())
}

/// An error of the library as an answer.
struct Failure(Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Self(error) = self;
        // The log has all of it; no error holds a secret. The caller is told what concerns it.
        tracing::warn!(kind = %error.kind(), "{}", error.report());
        let status = match error.kind() {
            ErrorKind::NotFound | ErrorKind::ProjectUnavailable => StatusCode::NOT_FOUND,
            ErrorKind::Forbidden => StatusCode::FORBIDDEN,
            ErrorKind::Conflict => StatusCode::CONFLICT,
            // It is this service that has been refused, not the one that asks it.
            ErrorKind::Credentials | ErrorKind::Config => StatusCode::INTERNAL_SERVER_ERROR,
            ErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
            ErrorKind::Closed => StatusCode::SERVICE_UNAVAILABLE,
            _ if error.is_retryable() => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_GATEWAY,
        };
        let ticket =
            error.server().and_then(|server| server.ticket.as_ref()).map(ToString::to_string);
        let body = json!({ "error": error.kind().as_str(), "ticket": ticket });
        let mut response = (status, Json(body)).into_response();
        if let Some(wait) = error.retry_after() {
            response.headers_mut().insert(RETRY_AFTER, wait.as_secs().max(1).into());
        }
        response
    }
}

/// Logs what happens to the session, and tells the health check, until the connection is closed.
async fn watch_session(mut events: Events, session: watch::Sender<&'static str>) {
    while let Some(event) = events.next().await {
        tracing::info!(?event, "session");
        let state = match event {
            Event::Opened { .. } | Event::Renewed { .. } => "open",
            Event::Lost { .. } => "none",
            Event::Rejected(_) => REFUSED,
            Event::Closed(_) => "closed",
            // There will be more kinds of events.
            _ => continue,
        };
        session.send_replace(state);
    }
}

async fn signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    drop(tokio::signal::ctrl_c().await);
}

/// What a client and a probe see of the service.
async fn call_itself(address: SocketAddr, server: &HttpServer) -> Outcome {
    let logins = || server.server(|server| server.journal().count(Purpose::Login));
    println!("healthz before the first request: {}", get_from(address, "/healthz").await?);
    assert_eq!(logins(), 0);

    println!("projects: {} bytes", get_from(address, "/projects").await?.len());
    println!("healthz afterwards: {}", get_from(address, "/healthz").await?);

    server.server(|server| server.expire_all_sessions());
    println!("projects after a restart: {} bytes", get_from(address, "/projects").await?.len());
    assert_eq!(logins(), 2);
    Ok(())
}

/// A request of HTTP/1.0 by hand: the example needs no second HTTP client.
async fn get_from(address: SocketAddr, path: &str) -> Outcome<String> {
    let mut socket = TcpStream::connect(address).await?;
    socket.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
    let status = head.lines().next().unwrap_or_default();
    if !status.contains(" 200 ") {
        return Err(format!("{path}: {status}: {body}").into());
    }
    Ok(body.to_owned())
}
