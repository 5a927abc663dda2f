//! The whole life of a session: log in, look around, select a project, call, survive the end of
//! the session, log out.
//!
//! Without arguments or environment it runs against a fake server inside this process, and lets
//! the session die on that server to show the recovery. With `MSTR_BASE_URL` and credentials it
//! does the same against a real environment, without the killing:
//!
//! - `MSTR_BASE_URL`, for example `https://env.example.com/MicroStrategyLibrary`
//! - `MSTR_USERNAME` and `MSTR_PASSWORD`, or `MSTR_API_TOKEN`, or `MSTR_IDENTITY_TOKEN`;
//!   `MSTR_LOGIN_MODE`, such as `ldap`, where it is not implied
//! - `MSTR_PROJECT_NAME` or `MSTR_PROJECT_ID` (default: the first project)
//! - `MSTR_CA_FILE`, a PEM file with the certificate authority to trust
#![expect(clippy::print_stderr, reason = "printing is what it is for")]

use std::io::Write as _;
use std::process::ExitCode;

use mstr::hyper::{HyperTransport, TlsConfig};
use mstr::prelude::*;
use mstr_fake::Server;
use mstr_fake::loopback::HttpServer;

/// Prints a line. Unlike `println!` it goes on where nobody reads any more (`| head -n 1`): the
/// session has still to be closed.
macro_rules! say {
    ($($line:tt)+) => {
        drop(writeln!(std::io::stdout(), $($line)+))
    };
}

/// What the example needs to know before it connects.
struct Settings {
    base_url: String,
    credentials: Credentials,
    project: Option<mstr::ProjectRef>,
    ca_file: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", error.report());
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Error> {
    if let Some(base_url) = variable("MSTR_BASE_URL")? {
        return tour(&Settings::from_env(base_url)?, None).await;
    }
    let model = Server::builder().user("alice", "secret").build();
    let server = HttpServer::start(model).map_err(TransportError::from_io)?;
    say!("no MSTR_BASE_URL, so a fake server is started");
    let settings = Settings {
        base_url: server.base_url().to_owned(),
        credentials: Credentials::standard("alice", "secret"),
        project: Some("MicroStrategy Tutorial".into()),
        ca_file: None,
    };
    tour(&settings, Some(&server)).await
}

async fn tour(settings: &Settings, fake: Option<&HttpServer>) -> Result<(), Error> {
    let mut tls = TlsConfig::new();
    if let Some(file) = &settings.ca_file {
        tls = tls.add_root_pem_file(file);
    }
    let transport = HyperTransport::builder().tls(tls).build()?;
    let connection = Connection::builder(&settings.base_url)
        .credentials(settings.credentials.clone())
        .user_agent(concat!("mstr-quickstart/", env!("CARGO_PKG_VERSION")))
        .transport(transport)
        .connect()
        .await?;
    say!("connected to {}", connection.base_url());

    // Whatever happens in here, the session is closed.
    let watched = connection.clone();
    connection.scope(async |connection| look_around(connection, settings, fake).await).await?;
    say!("closed       {:?}", watched.close().await);
    if let Some(fake) = fake {
        say!("sessions still open on the server: {}", fake.server(|server| server.open_sessions()));
    }
    Ok(())
}

async fn look_around(
    connection: &Connection,
    settings: &Settings,
    fake: Option<&HttpServer>,
) -> Result<(), Error> {
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
    let wanted = match (&settings.project, projects.first()) {
        (Some(wanted), _) => wanted.clone(),
        (None, Some(first)) => first.id.clone().into(),
        (None, None) => {
            say!("this user can see no project");
            return Ok(());
        }
    };
    let project = connection.select_project(wanted).await?;
    let id = project.project().map(|project| project.id.clone());
    let id = id.as_ref().map_or("", |id| id.as_str());
    describe(&project, id).await?;

    if let Some(fake) = fake {
        say!("the server ends every session, as it does after a restart");
        fake.server(|server| server.expire_all_sessions());
        describe(&project, id).await?;
        let logins = fake.server(|server| server.journal().count(mstr_fake::Purpose::Login));
        say!("the call has succeeded all the same; logins so far: {logins}, one of them new");
    }
    Ok(())
}

/// Asks for the project's own object, in the project.
async fn describe(project: &Connection, id: &str) -> Result<(), Error> {
    let path = format!("/api/objects/{id}");
    let response = project.get(path).query(&[("type", "32")]).send().await?;
    let object: serde_json::Value = response.json().await?;
    let generation = project.generation().map_or(0, |generation| generation.number());
    let name = object.get("name").and_then(|name| name.as_str()).unwrap_or("(unnamed)");
    say!("in project   {name} (session {generation})");
    Ok(())
}

impl Settings {
    fn from_env(base_url: String) -> Result<Self, Error> {
        let id = variable("MSTR_PROJECT_ID")?.map(mstr::ProjectId::new).transpose()?;
        let name = variable("MSTR_PROJECT_NAME")?;
        Ok(Self {
            base_url,
            credentials: Credentials::from_env()?,
            project: id.map(mstr::ProjectRef::Id).or_else(|| name.map(mstr::ProjectRef::Name)),
            ca_file: variable("MSTR_CA_FILE")?,
        })
    }
}

/// A variable that is set but empty was meant to say something.
fn variable(name: &str) -> Result<Option<String>, Error> {
    let value = std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    if value.as_ref().is_some_and(String::is_empty) {
        let message = format!("the environment variable {name} is set but empty");
        return Err(TransportError::new(mstr::TransportErrorKind::Config)
            .with_reason(message)
            .into());
    }
    Ok(value)
}
