//! A client of reqwest as a transport, in one function: for a program that has one already, with its
//! proxies, its TLS and its connection pool.
//!
//! ```text
//! cargo run -p mstr-stacks --example reqwest_transport
//! ```
//!
//! It runs against a fake server in the process, or with `MSTR_BASE_URL` and the other variables of
//! `Connection::from_env` against a real one, and ends with "sessions still open on the server: 0".
//!
//! `adapter::from_fn` keeps the deadlines, the declared lengths and the limits on silence. What is left
//! to this file is what only reqwest can do: to leave redirects, cookies, compression and repetitions
//! alone, and to say what its errors mean. The connect timeout is the client's, one for all requests.
//! `tests/stacks` has the long version, which implements `Transport` and passes the conformance suite.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::error::Error as StdError;
use std::time::Duration;

use http_body_util::BodyExt as _;
use mstr::TransportErrorKind as Kind;
use mstr::adapter::from_fn;
use mstr::core::{Sent, SharedTimer, TransportInfo};
use mstr::hyper::TokioTimer;
use mstr::prelude::*;
use mstr_fake::Server;
use mstr_fake::loopback::HttpServer;
use reqwest::Client;
use reqwest::redirect::Policy;

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    let transport = over(client()?)?;
    if std::env::var_os("MSTR_BASE_URL").is_some() {
        return Ok(tour(Connection::from_env()?.transport(transport)).await?);
    }
    println!("no MSTR_BASE_URL, so a fake server is started");
    let server = HttpServer::start(Server::builder().user("alice", "secret").build())?;
    let described = Connection::builder(server.base_url()).standard("alice", "secret");
    tour(described.transport(transport)).await?;
    let open = server.server(|server| server.open_sessions());
    assert_eq!(open, 0);
    println!("sessions still open on the server: {open}");
    Ok(())
}

/// The client. Whatever else a program sets here stays its own business.
fn client() -> reqwest::Result<Client> {
    Client::builder()
        // A redirect would take the session's token to wherever it leads.
        .redirect(Policy::none())
        .referer(false)
        // What may be repeated is decided above, where it is known what a request does.
        .retry(reqwest::retry::never())
        .connect_timeout(Duration::from_secs(10))
        // With reqwest's features for compression: .no_gzip().no_brotli().no_zstd().no_deflate().
        // Cookies are off unless a store is given; the session keeps its own.
        .build()
}

/// The client as a transport, on the runtime of the calling task.
fn over(client: Client) -> Result<impl Transport, Error> {
    let runtime = tokio::runtime::Handle::current();
    let timer = SharedTimer::new(TokioTimer::new()?);
    let transport = from_fn(timer, move |request| send(client.clone(), request));
    Ok(transport
        .named(TransportInfo::new("reqwest", "0.13"))
        // For logouts that the program does not wait for.
        .detach_with(move |task| drop(runtime.spawn(task))))
}

async fn send(
    client: Client,
    request: http::Request<Body>,
) -> Result<http::Response<Body>, TransportError> {
    let request = request.map(reqwest::Body::wrap).try_into().map_err(explain)?;
    let response = client.execute(request).await.map_err(explain)?;
    // Any status is an answer, and the body is read when the caller wants it.
    Ok(http::Response::from(response).map(|body| Body::wrap(body.map_err(explain))))
}

/// What an error of reqwest means, and whether the request can have left: on the strength of that it
/// is sent again, so `Sent::No` is said only where it is known.
fn explain(error: reqwest::Error) -> TransportError {
    let (kind, sent) = if error.is_builder() {
        (Kind::Config, Sent::No)
    } else if error.is_connect() && error.is_timeout() {
        (Kind::Timeout, Sent::No)
    } else if error.is_connect() {
        (Kind::Connect, Sent::No)
    } else if error.is_timeout() {
        (Kind::Timeout, Sent::Maybe)
    } else {
        (Kind::Interrupted, Sent::Maybe)
    };
    TransportError::new(kind).with_sent(sent).with_source(error)
}

async fn tour(described: ConnectionBuilder<mstr::SharedTransport>) -> Result<(), Error> {
    let connection = described.connect().await?;
    let projects = connection.scope(async |connection| connection.fetch_projects().await).await?;
    println!("{} projects over reqwest", projects.len());
    Ok(())
}
