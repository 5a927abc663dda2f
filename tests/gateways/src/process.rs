//! Programs of others, as children that end with this one.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::outcome::{Outcome, Told};

/// How long a program has to begin, in steps of [`STEP`].
const PATIENCE: usize = 500;
const STEP: Duration = Duration::from_millis(10);

/// A running program. Dropping it ends it.
pub(crate) struct Process {
    child: Child,
    name: String,
}

/// Where the first of these programs is: in the path, or where those of the administrator are.
pub(crate) fn find(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from))
        .collect();
    let places = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    places.into_iter().find(|place| place.is_file())
}

/// Everything that a program prints, wherever it prints it.
pub(crate) fn printed(program: &Path, words: &[&str]) -> String {
    let Ok(output) = Command::new(program).args(words).output() else { return String::new() };
    let [own, errors] = [output.stdout, output.stderr];
    String::from_utf8_lossy(&own).into_owned() + &String::from_utf8_lossy(&errors)
}

/// A port of this machine on which no process listens.
pub(crate) fn free_port() -> Outcome<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).told("a free port")?;
    Ok(listener.local_addr().told("a free port")?.port())
}

/// Gives way for a moment.
pub(crate) fn pause(length: Duration) {
    #[expect(clippy::disallowed_methods, reason = "a program of others is waited for")]
    std::thread::sleep(length);
}

impl Process {
    /// Starts a program whose words go to a file.
    pub(crate) fn start(program: &Path, words: &[String], log: &Path) -> Outcome<Self> {
        let name = program.display().to_string();
        let log = File::options().create(true).append(true).open(log).told("its log")?;
        let mut command = dying_with_this_one(program);
        command.args(words).stdin(Stdio::null());
        command.stdout(log.try_clone().told("its log")?).stderr(log);
        let child = command.spawn().told(&name)?;
        Ok(Self { child, name })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal by name.
    pub(crate) fn signal(&self, signal: &str) -> Outcome {
        let mut command = Command::new("kill");
        command.args([&format!("-{signal}"), &self.id().to_string()]);
        let status = command.stderr(Stdio::null()).status().told("kill")?;
        if status.success() { Ok(()) } else { Err(format!("{} has ended", self.name)) }
    }

    /// Waits until it has a listener here.
    pub(crate) fn listens(&mut self, port: u16) -> Outcome {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        for _ in 0..PATIENCE {
            if self.has_ended() {
                return Err(format!("{} has ended", self.name));
            }
            if TcpStream::connect(address).is_ok() {
                return Ok(());
            }
            pause(STEP);
        }
        Err(format!("{} does not listen", self.name))
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Those that have children of their own end them on this signal.
        drop(self.signal("TERM"));
        for _ in 0..100 {
            if self.has_ended() {
                return;
            }
            pause(STEP);
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A command whose process gets a signal if this one is killed, where the system has a program
/// that arranges it.
fn dying_with_this_one(program: &Path) -> Command {
    match find(&["setpriv"]) {
        Some(setpriv) if printed(&setpriv, &["--help"]).contains("--pdeathsig") => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "TERM", "--"]).arg(program);
            command
        }
        _ => Command::new(program),
    }
}
