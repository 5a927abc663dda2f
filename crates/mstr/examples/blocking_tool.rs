//! A command-line tool without async: prints the projects that a user may see.
//!
//! ```text
//! cargo run --example blocking_tool
//! cargo run --example blocking_tool -- https://env.example.com/MicroStrategyLibrary --username alice
//! ```
//!
//! Without arguments or environment it runs against a fake server in the process, prints a table with
//! its projects, and ends with "sessions still open on the server: 0". With an address, or with
//! `MSTR_BASE_URL`, it asks a real environment; the password is that of `MSTR_PASSWORD`, or is asked
//! for if there is a terminal.
//!
//! The exit code says what to do: 0 done, 1 failed, 2 wrong arguments or settings, 3 the credentials
//! were refused, 75 try again later.
#![expect(clippy::print_stderr, clippy::print_stdout, reason = "printing is what it is for")]

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use clap::Parser;
use comfy_table::{Table, presets};
use mstr::blocking::Connection;
use mstr::prelude::{ConnectionBuilder, DefaultTransport as _};
use mstr::{Credentials, Error, ErrorKind, LoginMode, Project, ProxyConfig, TlsConfig};
use mstr_fake::Server;
use mstr_fake::loopback::HttpServer;

/// Lists the projects that a user may see.
#[derive(Parser)]
struct Arguments {
    /// Where the server is, as a browser shows it [default: MSTR_BASE_URL]
    url: Option<String>,
    /// Who logs in; the password is asked for, unless MSTR_PASSWORD has it
    #[arg(long, short)]
    username: Option<String>,
    /// `standard` or `ldap`
    #[arg(long, default_value_t = LoginMode::Standard)]
    login_mode: LoginMode,
    /// Only projects whose name has this in it
    #[arg(long)]
    name: Option<String>,
    /// Shows all causes of an error
    #[arg(long, short)]
    verbose: bool,
}

const FAILED: u8 = 1;
const WRONG_SETTINGS: u8 = 2;
const REFUSED: u8 = 3;
const TRY_LATER: u8 = 75;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(message)) => {
            eprintln!("error: {message}");
            ExitCode::from(WRONG_SETTINGS)
        }
        Err(Failure::Server(error)) => {
            explain(&error, arguments.verbose);
            ExitCode::from(code_of(&error))
        }
    }
}

/// Why the tool has nothing to show.
enum Failure {
    /// What the tool itself was told is wrong.
    Usage(String),
    /// What the library says: settings, the network, the server.
    Server(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Server(error)
    }
}

/// One line says what failed, where and why; support asks for the ticket.
fn explain(error: &Error, verbose: bool) {
    eprintln!("error: {error}");
    if verbose {
        eprintln!("  report: {}", error.report());
    }
    if let Some(ticket) = error.server().and_then(|server| server.ticket.as_ref()) {
        eprintln!("  ticket: {ticket}");
    }
    if let Some(advice) = advice(error) {
        eprintln!("  hint: {advice}");
    }
}

fn advice(error: &Error) -> Option<&'static str> {
    match error.kind() {
        ErrorKind::Credentials => Some("check the user name, the password and --login-mode"),
        ErrorKind::SessionLimit => Some("close other sessions of this user first"),
        ErrorKind::Tls => Some("MSTR_CA_FILE names a PEM file with the authority to trust"),
        ErrorKind::Decode | ErrorKind::Gateway => Some("check that the address is the Library's"),
        _ if error.is_retryable() => Some("try again later"),
        _ => None,
    }
}

fn code_of(error: &Error) -> u8 {
    match error.kind() {
        ErrorKind::Credentials => REFUSED,
        ErrorKind::Config | ErrorKind::Usage => WRONG_SETTINGS,
        _ if error.is_retryable() => TRY_LATER,
        _ => FAILED,
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let in_environment = std::env::var_os("MSTR_BASE_URL").is_some();
    if arguments.url.is_none() && arguments.username.is_none() && !in_environment {
        return against_fake(arguments);
    }
    Ok(print_projects(describe(arguments)?, arguments)?)
}

fn against_fake(arguments: &Arguments) -> Result<(), Failure> {
    let model = Server::builder().user("alice", "secret").build();
    let server = HttpServer::start(model)
        .map_err(|error| Failure::Usage(format!("no fake server: {error}")))?;
    println!("no address, so a fake server is started");
    print_projects(Connection::builder(server.base_url()).standard("alice", "secret"), arguments)?;
    let open = server.server(|server| server.open_sessions());
    assert_eq!(open, 0, "the tool has left sessions on the server");
    println!("sessions still open on the server: {open}");
    Ok(())
}

/// Where the server is and who logs in, by the arguments or the environment.
fn describe(arguments: &Arguments) -> Result<ConnectionBuilder, Failure> {
    let Some(username) = &arguments.username else {
        if let Some(url) = &arguments.url {
            let described = Connection::builder(url).credentials(Credentials::from_env()?);
            return Ok(with_network(described)?);
        }
        return Ok(Connection::from_env()?);
    };
    let from_env = || std::env::var_os("MSTR_BASE_URL")?.into_string().ok();
    let Some(url) = arguments.url.clone().or_else(from_env) else {
        return Err(Failure::Usage("no address: give one, or set MSTR_BASE_URL".to_owned()));
    };
    let password = password(username)?;
    let credentials = match arguments.login_mode {
        LoginMode::Standard => Credentials::standard(username, password),
        LoginMode::Ldap => Credentials::ldap(username, password),
        other => return Err(Failure::Usage(format!("--login-mode {other} has no password"))),
    };
    Ok(with_network(Connection::builder(url).credentials(credentials))?)
}

/// What `Connection::from_env` takes from the environment besides.
fn with_network(described: ConnectionBuilder) -> Result<ConnectionBuilder, Error> {
    Ok(described.tls(TlsConfig::from_env()).proxy(ProxyConfig::from_env()))
}

/// From the environment, or from who sits at the terminal, unseen.
fn password(username: &str) -> Result<String, Failure> {
    if let Some(password) = std::env::var_os("MSTR_PASSWORD") {
        let password = password.into_string();
        return password.map_err(|_| Failure::Usage("MSTR_PASSWORD is not UTF-8".to_owned()));
    }
    if !io::stdin().is_terminal() {
        let message = "there is no terminal to ask for the password: set MSTR_PASSWORD";
        return Err(Failure::Usage(message.to_owned()));
    }
    rpassword::prompt_password(format!("Password of {username}: "))
        .map_err(|error| Failure::Usage(format!("the password cannot be read: {error}")))
}

fn print_projects(described: ConnectionBuilder, arguments: &Arguments) -> Result<(), Error> {
    let connection = described.user_agent("list-projects/1.0").connect_blocking()?;
    // Closed whatever happens, a panic included.
    let mut projects = connection.scope(|connection| connection.fetch_projects())?;
    if let Some(name) = &arguments.name {
        projects.retain(|project| project.name.contains(name));
    }
    println!("{}", table(&projects));
    Ok(())
}

fn table(projects: &[Project]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(["id", "name", "description"]);
    for project in projects {
        let beginning: String = project.description.chars().take(60).collect();
        table.add_row([project.id.as_str(), &project.name, &beginning]);
    }
    table
}
