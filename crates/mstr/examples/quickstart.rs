//! The whole life of a session: log in, look around, select a project, call, survive the end of
//! the session, log out.
//!
//! Without arguments or environment it runs against a fake server inside this process, and ends the
//! session on that server to show the recovery. With `MSTR_BASE_URL` and credentials it does the
//! same against a real environment, where it ends no session but its own:
//!
//! - `MSTR_BASE_URL`, for example `https://env.example.com/MicroStrategyLibrary`
//! - `MSTR_USERNAME` and `MSTR_PASSWORD`, or `MSTR_API_TOKEN`, or `MSTR_IDENTITY_TOKEN`;
//!   `MSTR_LOGIN_MODE`, such as `ldap`, where it is not implied
//! - `MSTR_PROJECT_NAME` or `MSTR_PROJECT_ID` (default: the first project)
//! - `MSTR_CA_FILE`, a PEM file with the certificate authority to trust, and `HTTPS_PROXY` or its
//!   like, where there is a proxy
//!
//! With `--timeline` it prints at the end what the connection has done and why; with
//! `--timeline FILE` it writes a picture of that too, an HTML page.
#![expect(clippy::print_stderr, reason = "printing is what it is for")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use mstr::Timeline;
use mstr::prelude::*;
use mstr_fake::Server;
use mstr_fake::loopback::HttpServer;

/// Prints a line. Unlike `println!` it goes on after the reader has left (`| head -n 1`): the
/// session has still to be closed.
macro_rules! say {
    ($($line:tt)+) => {
        drop(writeln!(std::io::stdout(), $($line)+))
    };
}

/// The whole life of a session, on a fake server or on that of MSTR_BASE_URL.
#[derive(Parser)]
struct Arguments {
    /// Prints at the end what the connection has done and why; with FILE, writes a picture of it, an HTML page
    #[arg(long, value_name = "FILE")]
    timeline: Option<Option<PathBuf>>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", error.report());
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), Error> {
    if std::env::var_os("MSTR_BASE_URL").is_some() {
        return tour(Connection::from_env()?, None, arguments).await;
    }
    let model = Server::builder().user("alice", "secret").build();
    let server = HttpServer::start(model).map_err(TransportError::from_io)?;
    say!("no MSTR_BASE_URL, so a fake server is started");
    let described = Connection::builder(server.base_url())
        .standard("alice", "secret")
        .project_name("MicroStrategy Tutorial");
    tour(described, Some(&server), arguments).await
}

async fn tour(
    described: ConnectionBuilder,
    fake: Option<&HttpServer>,
    arguments: &Arguments,
) -> Result<(), Error> {
    let application = concat!("mstr-quickstart/", env!("CARGO_PKG_VERSION"));
    let connection = described.user_agent(application).timeline(64).connect().await?;
    say!("connected to {}", connection.base_url());

    // Whatever happens in here, the session is closed.
    let watched = connection.clone();
    connection.scope(async |connection| look_around(connection, fake).await).await?;
    say!("closed       {:?}", watched.close().await);
    if let Some(file) = &arguments.timeline {
        show(&watched.timeline(), file.as_deref());
    }
    if let Some(fake) = fake {
        say!("sessions still open on the server: {}", fake.server(|server| server.open_sessions()));
    }
    Ok(())
}

/// Shows what the connection has done and why.
fn show(timeline: &Timeline, file: Option<&Path>) {
    say!("{timeline}");
    if let Some(file) = file
        && let Err(error) = std::fs::write(file, timeline.to_html())
    {
        eprintln!("error: {} cannot be written: {error}", file.display());
    }
}

async fn look_around(connection: &Connection, fake: Option<&HttpServer>) -> Result<(), Error> {
    let user = connection.fetch_user().await?;
    say!("user         {}", user.full_name.as_deref().unwrap_or("(unnamed)"));
    let server = connection.fetch_server().await?;
    if let Some(version) = &server.iserver_version {
        say!("server       Intelligence Server {version}");
    }
    if let Some(timeout) = connection.fetch_session().await?.timeout {
        say!("session      may be idle for {} s", timeout.as_secs());
    }

    let projects = connection.fetch_projects().await?;
    say!("projects     {}", projects.len());
    for project in &projects {
        say!("             {}  {}", project.id, project.name);
    }
    let project = match (connection.project(), projects.first()) {
        (Some(_), _) => connection.clone(),
        (None, Some(first)) => connection.select_project(first).await?,
        (None, None) => {
            say!("this user can see no project");
            return Ok(());
        }
    };
    describe(&project).await?;

    if let Some(fake) = fake {
        say!("the server ends every session, as it does after a restart");
        fake.server(|server| server.expire_all_sessions());
        describe(&project).await?;
        let logins = fake.server(|server| server.journal().count(mstr_fake::Purpose::Login));
        say!("the call has succeeded all the same; logins so far: {logins}, one of them new");
    }
    Ok(())
}

/// Asks for the project's own object, in the project.
async fn describe(project: &Connection) -> Result<(), Error> {
    let id = project.project().map_or("", |project| project.id.as_str());
    let path = format!("/api/objects/{id}");
    let response = project.get(path).query(&[("type", "32")]).send().await?;
    let object: serde_json::Value = response.json().await?;
    let generation = project.generation().map_or(0, |generation| generation.number());
    let name = object.get("name").and_then(|name| name.as_str()).unwrap_or("(unnamed)");
    say!("in project   {name} (session {generation})");
    Ok(())
}
