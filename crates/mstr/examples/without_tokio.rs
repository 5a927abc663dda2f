//! The same session without tokio: over libcurl, under another executor and in blocking code.
//!
//! ```text
//! cargo run --example without_tokio --features isahc
//! ```
//!
//! (The fake server it talks to has a runtime of its own; the client has none.)
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use mstr::isahc::IsahcTransport;
use mstr::isahc::blocking::IsahcBlocking;
use mstr::prelude::*;
use mstr::{TransportError, blocking};
use mstr_fake::Server;
use mstr_fake::loopback::HttpServer;

fn main() -> Result<(), Error> {
    let model = Server::builder().user("alice", "secret").build();
    let server = HttpServer::start(model).map_err(TransportError::from_io)?;

    // Any executor will do.
    futures_executor::block_on(with_tasks(server.base_url()))?;
    with_threads(server.base_url())?;

    println!("sessions still open on the server: {}", server.server(|model| model.open_sessions()));
    Ok(())
}

async fn with_tasks(base_url: &str) -> Result<(), Error> {
    let connection = Connection::builder(base_url)
        .standard("alice", "secret")
        .transport(IsahcTransport::new()?)
        .connect()
        .await?;
    let projects: serde_json::Value = connection.get("/api/projects").send().await?.json().await?;
    println!("asynchronous: {} projects", projects.as_array().map_or(0, Vec::len));
    connection.close().await;
    Ok(())
}

fn with_threads(base_url: &str) -> Result<(), Error> {
    let connection = blocking::Connection::builder(base_url)
        .standard("alice", "secret")
        .blocking_transport(IsahcBlocking::new()?)
        .connect()?;
    let projects: serde_json::Value = connection.get("/api/projects").send()?.json()?;
    println!("blocking: {} projects", projects.as_array().map_or(0, Vec::len));
    connection.close();
    Ok(())
}
