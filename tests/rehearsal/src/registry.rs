//! A registry of another project, on loopback.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::command::{Outcome, git, output};

/// Its name in cargo's configuration.
pub(crate) const NAME: &str = "rehearsal";
const POLL: Duration = Duration::from_millis(20);
const LONGEST_START: Duration = Duration::from_secs(20);

/// Variables and their values.
pub(crate) type Environment = Vec<(&'static str, String)>;

#[derive(Debug)]
pub(crate) struct Registry {
    folder: PathBuf,
    address: SocketAddr,
    server: Option<Child>,
    /// What cargo keeps of other registries at such addresses.
    kept: Vec<PathBuf>,
}

impl Registry {
    pub(crate) fn start(folder: &Path) -> Outcome<Self> {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        // Any free port; the registry takes it again after a restart, so it is not left to it.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .map_err(|error| format!("no port is free: {error}"))?;
        let mut registry = Self { folder: folder.to_owned(), address, server: None, kept: kept() };
        registry.restart()?;
        Ok(registry)
    }

    pub(crate) fn restart(&mut self) -> Outcome {
        let mut server = Command::new("cargo-http-registry");
        server.arg("--addr").arg(self.address.to_string()).arg(&self.folder);
        let server = server.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        self.server = Some(server.map_err(|error| format!("cargo-http-registry: {error}"))?);
        let ready = wait(LONGEST_START, || Ok(TcpStream::connect(self.address).is_ok()))?;
        if ready { Ok(()) } else { Err("the registry does not answer".into()) }
    }

    /// Cargo's configuration, in variables: it holds for programs of cargo's programs, too.
    pub(crate) fn environment(&self) -> Environment {
        vec![
            ("CARGO_REGISTRIES_REHEARSAL_INDEX", format!("http://{}/git", self.address)),
            ("CARGO_REGISTRIES_REHEARSAL_TOKEN", "none is needed".to_owned()),
            // It speaks the simplest of git's protocols, which cargo's own git does not.
            ("CARGO_NET_GIT_FETCH_WITH_CLI", "true".to_owned()),
        ]
    }

    /// The versions of a package in the index, in the order in which they were published.
    pub(crate) fn versions(&self, package: &str) -> Outcome<Vec<String>> {
        // What it has committed: a file that is being written proves nothing.
        let file = format!("HEAD:ms/tr/{package}");
        let Ok(text) = output(git(&["show", &file]).current_dir(&self.folder)) else {
            return Ok(Vec::new());
        };
        let entries = text.lines().filter(|line| !line.trim().is_empty());
        let versions = entries.map(|line| {
            let entry: serde_json::Value =
                serde_json::from_str(line).map_err(|error| format!("{file}: {error}"))?;
            Ok(entry["vers"].as_str().unwrap_or_default().to_owned())
        });
        versions.collect()
    }

    pub(crate) fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            drop(server.kill());
            drop(server.wait());
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
        // The address is never used again, so neither is what cargo keeps under it.
        for folder in kept().into_iter().filter(|folder| !self.kept.contains(folder)) {
            drop(fs::remove_dir_all(folder));
        }
    }
}

/// The folders that cargo keeps for registries on this machine.
fn kept() -> Vec<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "that is where cargo looks")]
    let home = std::env::var("CARGO_HOME").map(PathBuf::from).ok();
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo"))).unwrap_or_default();
    let places = ["git/db", "git/checkouts", "registry/cache", "registry/index", "registry/src"];
    let entries = places.iter().filter_map(|place| fs::read_dir(home.join(place)).ok()).flatten();
    let folders = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let is_local = |folder: &PathBuf| {
        folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with("127.0.0.1-"))
    };
    folders.filter(is_local).collect()
}

/// Whether it holds before the time is over.
pub(crate) fn wait(longest: Duration, holds: impl Fn() -> Outcome<bool>) -> Outcome<bool> {
    for _ in 0..longest.as_millis() / POLL.as_millis() {
        if holds()? {
            return Ok(true);
        }
        #[expect(clippy::disallowed_methods, reason = "another process gives no notice")]
        thread::sleep(POLL);
    }
    Ok(false)
}
