//! A nightly export, as a scheduler runs it: pages through the documents of a project, downloads
//! each into a file, four at a time, and logs out on every way out.
//!
//! ```text
//! cargo run --example nightly_batch
//! ```
//!
//! Without environment it runs against a fake server in the process, writes seven files below the
//! folder for temporary files, removes them, and ends with "sessions still open on the server: 0".
//! With `MSTR_BASE_URL` and the other variables of `Connection::from_env` it exports from a real
//! environment into the folder that is its argument (default: `export`).
//!
//! The exit code is for the scheduler: 0 done, 1 failed, 2 try again later, 130 stopped by Ctrl-C or
//! SIGTERM. A second signal does not wait for the logout.
#![expect(clippy::print_stderr, clippy::print_stdout, reason = "printing is what it is for")]

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use mstr::prelude::*;
use mstr_fake::loopback::HttpServer;
use mstr_fake::{Answer, Method, Server};
use serde::Deserialize;
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt;
use tokio::task::{JoinError, JoinSet};

/// How many entries a page of the list has.
const PAGE: u32 = 100;
/// How many documents are exported at a time.
const AT_ONCE: usize = 4;
/// The type number of documents and dashboards.
const DOCUMENT: &str = "55";

const FAILED: u8 = 1;
const TRY_LATER: u8 = 2;
const STOPPED: u8 = 130;

#[tokio::main]
async fn main() -> ExitCode {
    if std::env::var_os("MSTR_BASE_URL").is_some() {
        let folder = std::env::args_os().nth(1).map_or_else(|| "export".into(), PathBuf::from);
        return match Connection::from_env() {
            Ok(described) => night(described, &folder).await,
            Err(error) => {
                eprintln!("error: {}", error.report());
                ExitCode::from(FAILED)
            }
        };
    }
    let server = match fake_server() {
        Ok(server) => server,
        Err(error) => {
            eprintln!("error: no fake server: {error}");
            return ExitCode::from(FAILED);
        }
    };
    println!("no MSTR_BASE_URL, so a fake server is started");
    let described = Connection::builder(server.base_url())
        .standard("alice", "secret")
        .project_name("MicroStrategy Tutorial");
    let folder = std::env::temp_dir().join(format!("mstr-nightly-{}", std::process::id()));
    let code = night(described, &folder).await;
    drop(fs::remove_dir_all(&folder).await);
    let open = server.server(|server| server.open_sessions());
    assert_eq!(open, 0, "the batch has left sessions on the server");
    println!("sessions still open on the server: {open}");
    code
}

/// The whole night: everything that was opened is closed, whatever happens in between.
async fn night(described: ConnectionBuilder, folder: &Path) -> ExitCode {
    // `build` sends nothing: the login belongs to what a signal may interrupt, and after a signal
    // there is a connection to close. (`connect`, dropped in its middle, logs out in the background,
    // for which a process that ends has no time.)
    let connection = match described.user_agent("nightly-export/1.0").build() {
        Ok(connection) => connection,
        Err(error) => {
            eprintln!("error: {}", error.report());
            return ExitCode::from(FAILED);
        }
    };
    let bar = ProgressBar::new(0).with_style(style());
    let ended = tokio::select! {
        ended = export_all(&connection, folder, &bar) => Some(ended),
        () = signal() => None,
    };
    bar.finish_and_clear();
    if ended.is_none() {
        eprintln!("stopped: logging out");
    }
    tokio::select! {
        outcome = connection.close() => eprintln!("session closed: {outcome:?}"),
        () = signal() => eprintln!("stopped again: the session stays open until it expires"),
    }
    ExitCode::from(ended.map_or(STOPPED, code_of))
}

fn code_of(ended: Result<Summary, Failure>) -> u8 {
    let failures = match ended {
        Ok(summary) => {
            println!("exported {} documents, {} bytes", summary.exported, summary.bytes);
            summary.failures
        }
        Err(failure) => vec![failure],
    };
    for failure in &failures {
        eprintln!("error: {failure}");
    }
    match &*failures {
        [] => 0,
        all if all.iter().all(Failure::can_pass) => TRY_LATER,
        _ => FAILED,
    }
}

/// Exports whatever the list has. One document that fails does not stop the others.
async fn export_all(
    connection: &Connection,
    folder: &Path,
    bar: &ProgressBar,
) -> Result<Summary, Failure> {
    connection.open().await?;
    fs::create_dir_all(folder).await?;
    let mut summary = Summary::default();
    // Dropped with this future, and the exports with it.
    let mut exports = JoinSet::new();
    let list = connection.get("/api/searches/results").query(&[("type", DOCUMENT)]);
    let mut pages = list.pages(PAGE);
    while let Some(page) = pages.next().await? {
        for document in page.json::<Found>()?.result {
            if exports.len() >= AT_ONCE {
                summary.add(exports.join_next().await);
            }
            let (connection, bar) = (connection.clone(), bar.clone());
            let target = folder.join(format!("{}.xlsx", file_name(&document.id)));
            exports.spawn(async move {
                let exported = export(&connection, &document, &target, &bar).await;
                exported.map_err(|failure| failure.of(&document.name))
            });
        }
    }
    while let Some(ended) = exports.join_next().await {
        summary.add(Some(ended));
    }
    Ok(summary)
}

/// Exports one document and returns how many bytes it has.
async fn export(
    connection: &Connection,
    document: &Document,
    target: &Path,
    bar: &ProgressBar,
) -> Result<u64, Failure> {
    // A POST is not repeated after a failure unless it is said to do no harm. This one runs the
    // document once more, which is all right.
    let path = format!("/api/documents/{}/instances", document.id);
    let instance: Instance = connection.post(&path).idempotent(true).send().await?.json().await?;
    let path = format!("{path}/{}/excel", instance.mid);
    // Uncompressed, so that the answer tells its length. The time limit of a call is not one of the
    // download: that may take as long as it goes on.
    let download = connection.post(path).idempotent(true).header("Accept-Encoding", "identity");
    let mut response = download.send().await?;
    bar.inc_length(response.content_length().unwrap_or(0));

    // A file of this name is always a whole one.
    let unfinished = target.with_extension("part");
    let mut file = File::create(&unfinished).await?;
    let mut bytes = 0;
    while let Some(chunk) = response.chunk().await? {
        file.write_all(&chunk).await?;
        let length = chunk.len() as u64;
        bytes += length;
        bar.inc(length);
    }
    file.flush().await?;
    fs::rename(&unfinished, target).await?;
    Ok(bytes)
}

/// What a list of the search looks like.
#[derive(Deserialize)]
struct Found {
    result: Vec<Document>,
}

#[derive(Deserialize)]
struct Document {
    id: String,
    name: String,
}

#[derive(Deserialize)]
struct Instance {
    mid: String,
}

/// A name from elsewhere must not lead out of the folder.
fn file_name(id: &str) -> String {
    id.chars().filter(char::is_ascii_alphanumeric).collect()
}

#[derive(Default)]
struct Summary {
    exported: usize,
    bytes: u64,
    failures: Vec<Failure>,
}

impl Summary {
    fn add(&mut self, ended: Option<Result<Result<u64, Failure>, JoinError>>) {
        match ended {
            None => {}
            Some(Ok(Ok(bytes))) => {
                self.exported += 1;
                self.bytes += bytes;
            }
            Some(Ok(Err(failure))) => self.failures.push(failure),
            Some(Err(panicked)) => self.failures.push(io::Error::other(panicked).into()),
        }
    }
}

/// What failed: the server's part or a file. `Error::report` has the causes, too, in one line.
#[derive(Debug)]
enum Failure {
    Server(Error),
    File(io::Error),
    Document(String, Box<Self>),
}

impl Failure {
    fn of(self, document: &str) -> Self {
        Self::Document(document.to_owned(), Box::new(self))
    }

    /// Whether the same batch can succeed later without anything being changed.
    fn can_pass(&self) -> bool {
        match self {
            Self::Server(error) => error.is_retryable(),
            Self::File(_) => false,
            Self::Document(_, failure) => failure.can_pass(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(error) => f.write_str(&error.report()),
            Self::File(error) => error.fmt(f),
            Self::Document(document, failure) => write!(f, "{document:?}: {failure}"),
        }
    }
}

impl StdError for Failure {}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Server(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::File(error)
    }
}

/// Ctrl-C, or what a scheduler stops a process with.
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

fn style() -> ProgressStyle {
    let template = "{bar:30} {bytes}/{total_bytes} {bytes_per_sec}";
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// A server with seven documents, which it exports as 200 KiB each.
fn fake_server() -> io::Result<HttpServer> {
    let list: Vec<_> = (1..=7)
        .map(|n| serde_json::json!({ "id": format!("D{n}"), "name": format!("Document {n}") }))
        .collect();
    let server = Server::builder()
        .user("alice", "secret")
        .latency(Duration::from_millis(20))
        .endpoint(Method::GET, "/api/searches/results", move |request| {
            let number = |name| request.query_parameter(name)?.parse::<usize>().ok();
            let (offset, limit) = (number("offset").unwrap_or(0), number("limit").unwrap_or(0));
            let page: Vec<_> = list.iter().skip(offset).take(limit).collect();
            serde_json::json!({ "totalItems": list.len(), "result": page })
        })
        .endpoint(Method::POST, "/api/documents/{id}/instances", |request| {
            Answer::json(&serde_json::json!({ "mid": request.parameter("id") })).with_status(201)
        })
        .endpoint(Method::POST, "/api/documents/{id}/instances/{mid}/excel", |_| {
            vec![b'x'; 200 * 1024]
        })
        // One of the exports meets a session that has just ended.
        .fault(
            "path=/api/documents/D3/instances/D3/excel:1:expire"
                .parse()
                .map_err(io::Error::other)?,
        );
    HttpServer::start(server.build())
}
