//! A gateway that runs.

use std::net::SocketAddr;
use std::path::Path;

use mstr::fake::loopback::Authority;

use super::installed::{Installed, Kind};
use super::setting::{Places, Setting, Text};
use super::{apache, haproxy, nginx, squid, tinyproxy};
use crate::folder::Folder;
use crate::outcome::{Outcome, Told};
use crate::process::{Process, find, free_port, printed};
use crate::site::LIBRARY;

/// A port may be taken by another process before the gateway has it.
const STARTS: usize = 3;

/// Dropping it ends the gateway and removes its folder.
pub(crate) struct Gateway<'i> {
    /// The last one takes what is new. The others finish what they have begun.
    processes: Vec<Process>,
    installed: &'i Installed,
    port: u16,
    authority: Authority,
    folder: Folder,
}

impl<'i> Gateway<'i> {
    /// Starts it in front of these servers.
    pub(crate) fn start(
        installed: &'i Installed,
        setting: Setting,
        servers: &[SocketAddr],
    ) -> Outcome<Self> {
        let mut last = String::new();
        for _ in 0..STARTS {
            match Self::try_to_start(installed, setting, servers) {
                Ok(started) => return Ok(started),
                Err(why) => last = why,
            }
        }
        Err(last)
    }

    fn try_to_start(
        installed: &'i Installed,
        setting: Setting,
        servers: &[SocketAddr],
    ) -> Outcome<Self> {
        let folder = Folder::new()?;
        let authority = Authority::new().told("an authority")?;
        let identity = authority.issue("127.0.0.1").told("a certificate")?;
        let places = Places {
            folder: folder.path(),
            port: free_port()?,
            servers,
            unused: free_port()?,
            identity: folder.write("identity.pem", &identity.pem())?,
            version: &installed.version,
            modules: &installed.modules,
            root: find(&["id"]).is_some_and(|id| printed(&id, &["-u"]).trim() == "0"),
        };
        folder.write("settings", &settings(installed.kind, setting, &places)?)?;
        if installed.kind == Kind::Squid {
            folder.write(squid::ASKED, &squid::asked())?;
            // As root it changes to another user.
            folder.open_to_all()?;
        }
        let port = places.port;
        let process = launch(installed, &folder, words(installed.kind, folder.path()), port)?;
        Ok(Self { processes: vec![process], installed, port, authority, folder })
    }

    /// Has it read its settings again, as after a change: what is under way is finished.
    pub(crate) fn reload(&mut self) -> Outcome {
        let Some(process) = self.processes.last() else { return Ok(()) };
        let signal = match self.installed.kind {
            Kind::Apache => "USR1",
            Kind::Haproxy => {
                let words = haproxy::words_of_successor(self.folder.path(), process.id());
                let next = launch(self.installed, &self.folder, words, self.port)?;
                self.processes.push(next);
                return Ok(());
            }
            _ => "HUP",
        };
        process.signal(signal)
    }

    /// `127.0.0.1:40001`.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Where the Library is, through it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}{LIBRARY}", self.address())
    }

    /// The same where it speaks TLS.
    pub(crate) fn https_url(&self) -> String {
        format!("https://{}{LIBRARY}", self.address())
    }

    /// The authority to trust if it speaks TLS.
    pub(crate) fn authority(&self) -> String {
        self.authority.pem()
    }
}

fn launch(
    installed: &Installed,
    folder: &Folder,
    words: Vec<String>,
    port: u16,
) -> Outcome<Process> {
    let mut process = Process::start(&installed.program, &words, &folder.path().join("printed"))?;
    process.listens(port).map_err(|why| {
        let said = [folder.tail("printed"), folder.tail("error.log")].join("\n    ");
        format!("{why}:\n    {said}")
    })?;
    Ok(process)
}

fn words(kind: Kind, folder: &Path) -> Vec<String> {
    match kind {
        Kind::Nginx => nginx::words(folder),
        Kind::Haproxy => haproxy::words(folder),
        Kind::Apache => apache::words(folder),
        Kind::Squid => squid::words(folder),
        Kind::Tinyproxy => tinyproxy::words(folder),
    }
}

fn settings(kind: Kind, setting: Setting, places: &Places<'_>) -> Text {
    match kind {
        Kind::Nginx => nginx::settings(setting, places),
        Kind::Haproxy => haproxy::settings(setting, places),
        Kind::Apache => apache::settings(setting, places),
        Kind::Squid => squid::settings(setting, places),
        Kind::Tinyproxy => tinyproxy::settings(setting, places),
    }
}
