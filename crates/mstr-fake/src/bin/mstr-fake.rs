//! The fake server as a program, for clients in any language.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a program")]

use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use mstr_fake::loopback::{Authority, HttpServer, ProxyServer, ServerTls};
use mstr_fake::{Answer, Endpoint, EndpointError, Fault, Method, Server};

/// A model of the session part of the Strategy One (MicroStrategy) REST API on a loopback socket.
///
/// The first line of output is "listening on URL". Ctrl-C or SIGTERM ends it.
#[derive(Debug, Parser)]
#[command(version, after_long_help = RULES)]
struct Arguments {
    /// Where to listen: an address of this machine; port 0 takes any free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,

    /// A user the server itself knows (repeatable). One called "administrator" may create API
    /// tokens for others.
    #[arg(long, value_name = "NAME:PASSWORD", value_parser = user)]
    user: Vec<(String, String)>,

    /// A user of the directory, for LDAP login (repeatable).
    #[arg(long, value_name = "NAME:PASSWORD", value_parser = user)]
    ldap_user: Vec<(String, String)>,

    /// An API token of a user (repeatable).
    #[arg(long, value_name = "TOKEN=USER", value_parser = api_token)]
    api_token: Vec<(String, String)>,

    /// Refuse anonymous login.
    #[arg(long)]
    no_anonymous: bool,

    /// How many seconds a session may be idle, as GET /api/sessions tells.
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..))]
    session_timeout: u64,

    /// How many seconds the HTTP session may be idle.
    #[arg(long, value_name = "SECONDS", default_value_t = 1_800, value_parser = clap::value_parser!(u64).range(1..))]
    http_session_timeout: u64,

    /// How many sessions a user may have [default: any number].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_sessions: Option<u32>,

    /// The Intelligence Server's version; before 11.5.0600 clients fall back to another
    /// application type.
    #[arg(long, value_name = "VERSION", default_value = "11.6.0700.00123", value_parser = version)]
    server_version: String,

    /// Replace the session cookie with every response.
    #[arg(long)]
    rotate_cookies: bool,

    /// How many milliseconds every answer takes.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    latency: u64,

    /// Something that goes wrong (repeatable); the rules are described below (--help).
    #[arg(long, value_name = "RULE")]
    fault: Vec<Fault>,

    /// An endpoint of your own (repeatable), answered with a file, or with the file of a folder that
    /// * stands for; the rules are described below (--help).
    #[arg(long, value_name = "METHOD PATH=FILE", value_parser = answer)]
    answer: Vec<OwnAnswer>,

    /// Write one line of JSON for each request to this file. No secret is written.
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,

    /// Speak https, with an authority made for this run whose certificate is written to this file.
    #[arg(long, value_name = "FILE")]
    tls: Option<PathBuf>,

    /// Start a forward proxy as well, which asks for this user and password. Its address is in the
    /// second line of output: "proxy on HOST:PORT".
    #[arg(long, value_name = "NAME:PASSWORD", value_parser = user)]
    proxy: Option<(String, String)>,
}

/// The value of `--answer`.
#[derive(Clone, Debug)]
struct OwnAnswer {
    method: Method,
    path: String,
    file: PathBuf,
}

impl OwnAnswer {
    fn failed(&self, error: &EndpointError) -> String {
        let Self { method, path, file } = self;
        format!("--answer '{method} {path}={}': {error}", file.display())
    }
}

const RULES: &str = "\
Fault rules have the form WHAT:WHEN:EFFECT.

WHAT is one of login, logout, delegate, inspect (GET /api/sessions), renew, status, projects,
user-info, identity-token, api-token, call (anything else), * (everything) or path=/api/...

WHEN counts the requests that match, from 1: * (all), 3, 3+ or 2-4.

EFFECT is one of
  status=503[,retry-after=S]  this answer instead, and how many seconds to wait
  error=403,ERR017[,-2147214568]
                              a refusal in the server's format: status, code, iServerCode
  page=200                    a web page with this status instead
  slow=250                    so many milliseconds later
  expire                      the request's session has just ended
  drop-cookies                the answer sets no cookies
  gzip                        the answer is compressed, if the request accepts that
  refuse, reset-before        the connection breaks, the request is not processed
  reset-after                 the request is processed, the connection breaks before the answer
  reset-mid-body              the connection breaks in the middle of the answer
  stall                       the request is neither processed nor answered
  stall-after                 the request is processed and not answered
  stall-mid-body              the answer stops in its middle

Examples:
  --fault login:1:status=503,retry-after=2
  --fault path=/api/echo:3+:expire
  --fault path=/api/v2/cubes/*:1:expire
  --fault projects:*:reset-mid-body

All faults that a request meets happen to it, as far as they go together. One whose place is taken
happens to the next request.

Answers have the form 'METHOD PATH=FILE' and come after faults, session and project. In PATH, which
begins with /api/, * or {name} stands for one part, ** at the end for all the rest. FILE is read at
the start; .json, .txt, .html, .xml and .csv have their type. If it is a folder, what stands for *
is the name of a file in it, with or without extension, and without such a file the answer is 404.
Several for the same METHOD and PATH are given in turn; the last one stays.

Examples:
  --answer 'GET /api/v2/cubes/*=cube.json'
  --answer 'GET /api/v2/cubes/{id}/rows=rows/'
  --answer 'POST /api/jobs=queued.json' --answer 'POST /api/jobs=done.json'";

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let mut builder = HttpServer::builder().listen(arguments.listen);
    if let Some(path) = &arguments.journal {
        let file = File::create(path).map_err(|error| {
            format!("the journal {} cannot be written: {error}", path.display())
        })?;
        let mut file = BufWriter::new(file);
        builder = builder.observe(move |entry, start| {
            let line = entry.to_json(start);
            // Flushed with every line, so that the file can be followed.
            if let Err(error) = writeln!(file, "{line}").and_then(|()| file.flush()) {
                eprintln!("the journal cannot be written: {error}");
            }
        });
    }
    if let Some(path) = &arguments.tls {
        builder = builder.tls(tls(path, arguments.listen)?);
    }
    // Ready for the signals before the address is printed.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    runtime.block_on(async {
        let ended = ended().map_err(|error| format!("no signals: {error}"))?;
        let server = builder
            .start(model(arguments)?)
            .map_err(|error| format!("cannot listen on {}: {error}", arguments.listen))?;
        let mut stdout = std::io::stdout();
        // The parent process may have stopped reading; the server is useful all the same.
        drop(writeln!(stdout, "listening on {}", server.base_url()));
        let proxy = match &arguments.proxy {
            None => None,
            Some((name, password)) => {
                let proxy = ProxyServer::builder().credentials(name, password).start();
                let proxy = proxy.map_err(|error| format!("cannot start the proxy: {error}"))?;
                drop(writeln!(stdout, "proxy on {}", proxy.address()));
                Some(proxy)
            }
        };
        drop(stdout.flush());
        ended.await;
        if let Some(proxy) = proxy {
            let seen = proxy.seen();
            let passed = seen.iter().filter(|entry| entry.admitted).count();
            let refused = seen.len() - passed;
            println!(
                "the proxy passed on {passed} connections and requests, and refused {refused}"
            );
        }
        let (requests, open) =
            server.server(|server| (server.journal().len(), server.open_sessions()));
        println!("ended after {requests} requests, with {open} sessions open");
        Ok(())
    })
}

/// A certificate for the address, by an authority of this run's own.
fn tls(path: &Path, listen: SocketAddr) -> Result<ServerTls, String> {
    let failed = |error: std::io::Error| format!("no certificate: {error}");
    let authority = Authority::new().map_err(failed)?;
    std::fs::write(path, authority.pem()).map_err(|error| {
        format!("the certificate {} cannot be written: {error}", path.display())
    })?;
    ServerTls::new(&authority.issue(&listen.ip().to_string()).map_err(failed)?).map_err(failed)
}

fn model(arguments: &Arguments) -> Result<Server, String> {
    let mut server = Server::builder()
        .allow_anonymous(!arguments.no_anonymous)
        .session_timeout(Duration::from_secs(arguments.session_timeout))
        .http_session_timeout(Duration::from_secs(arguments.http_session_timeout))
        .server_version(&arguments.server_version)
        .rotate_jsessionid(arguments.rotate_cookies)
        .latency(Duration::from_millis(arguments.latency))
        .seed(seed());
    for (name, password) in &arguments.user {
        server = server.user(name, password);
    }
    for (name, password) in &arguments.ldap_user {
        server = server.ldap_user(name, password);
    }
    let known: Vec<&str> =
        arguments.user.iter().chain(&arguments.ldap_user).map(|(name, _)| name.as_str()).collect();
    for (token, user) in &arguments.api_token {
        if !known.contains(&user.as_str()) {
            return Err(format!("--api-token names the user \"{user}\", whom no --user adds"));
        }
        server = server.api_token(token, user);
    }
    if let Some(limit) = arguments.max_sessions {
        server = server.max_sessions_per_user(usize::try_from(limit).unwrap_or(usize::MAX));
    }
    for fault in &arguments.fault {
        server = server.fault(fault.clone());
    }
    for endpoint in endpoints(&arguments.answer)? {
        server = server.add_endpoint(endpoint);
    }
    Ok(server.build())
}

/// One endpoint for each method and path, in the order in which they were given first.
fn endpoints(answers: &[OwnAnswer]) -> Result<Vec<Endpoint>, String> {
    let mut endpoints = Vec::new();
    for (index, first) in answers.iter().enumerate() {
        let same = |other: &&OwnAnswer| other.method == first.method && other.path == first.path;
        if answers[..index].iter().any(|other| same(&other)) {
            continue;
        }
        let all: Vec<&OwnAnswer> = answers.iter().filter(same).collect();
        let (method, path) = (first.method.clone(), first.path.as_str());
        let endpoint = if first.file.is_dir() {
            if all.len() > 1 {
                let file = first.file.display();
                return Err(format!(
                    "--answer: {method} {path} has several answers; the folder \"{file}\" cannot \
                     be one of them"
                ));
            }
            Endpoint::folder(method, path, &first.file).map_err(|error| first.failed(&error))?
        } else {
            let read = |answer: &&OwnAnswer| {
                Answer::file(&answer.file).map_err(|error| answer.failed(&error))
            };
            let read = all.iter().map(read).collect::<Result<Vec<_>, _>>()?;
            Endpoint::answers(method, path, read).map_err(|error| first.failed(&error))?
        };
        endpoints.push(endpoint);
    }
    Ok(endpoints)
}

/// Tokens of one run are not valid in the next.
fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one("mstr-fake")
}

/// Resolves on Ctrl-C or SIGTERM.
#[cfg(unix)]
fn ended() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Resolves on Ctrl-C.
#[cfg(not(unix))]
fn ended() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async {
        // If the signal cannot be had, the program is ended from outside.
        drop(tokio::signal::ctrl_c().await);
    })
}

fn user(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, password)) if !name.is_empty() && !password.is_empty() => {
            Ok((name.to_owned(), password.to_owned()))
        }
        _ => Err("a user has the form NAME:PASSWORD".to_owned()),
    }
}

fn answer(text: &str) -> Result<OwnAnswer, String> {
    let wanted =
        "an answer has the form 'METHOD PATH=FILE', for example 'GET /api/cubes/*=cube.json'";
    let (method, rest) = text.split_once(' ').ok_or(wanted)?;
    let (path, file) = rest.trim_start().split_once('=').ok_or(wanted)?;
    if path.is_empty() || file.is_empty() {
        return Err(wanted.to_owned());
    }
    let method = match Method::from_bytes(method.as_bytes()) {
        Ok(method) if method.as_str().bytes().all(|letter| letter.is_ascii_uppercase()) => method,
        _ => return Err(format!("\"{method}\" is not a method such as GET")),
    };
    // Errors in the pattern are reported now, beside the argument; the file is read later.
    Endpoint::new(method.clone(), path, |_| ()).map_err(|error| error.to_string())?;
    Ok(OwnAnswer { method, path: path.to_owned(), file: file.into() })
}

fn version(text: &str) -> Result<String, String> {
    let numbers = text.trim_end_matches(char::is_alphabetic);
    if numbers.split('.').all(|part| part.parse::<u64>().is_ok()) {
        Ok(text.to_owned())
    } else {
        Err("a version has numbers between dots, for example 11.3.0100.00001".to_owned())
    }
}

fn api_token(text: &str) -> Result<(String, String), String> {
    match text.rsplit_once('=') {
        Some((token, user)) if !token.is_empty() && !user.is_empty() => {
            Ok((token.to_owned(), user.to_owned()))
        }
        _ => Err("an API token has the form TOKEN=USER".to_owned()),
    }
}
