//! Which gateways and proxies this machine has.

use std::fmt;
use std::path::PathBuf;

use crate::process::{find, printed};

/// A program that is known here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Nginx,
    Haproxy,
    Apache,
    Squid,
    Tinyproxy,
}

/// One that is there.
pub(crate) struct Installed {
    pub(crate) kind: Kind,
    pub(crate) program: PathBuf,
    pub(crate) version: String,
    /// Where its modules are, for the one that has them in files.
    pub(crate) modules: PathBuf,
}

/// Where the modules of Apache httpd may be.
const MODULES: [&str; 3] =
    ["/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/usr/lib/httpd/modules"];

impl Kind {
    pub(crate) const ALL: [Self; 5] =
        [Self::Nginx, Self::Haproxy, Self::Apache, Self::Squid, Self::Tinyproxy];

    const fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Nginx => &["nginx"],
            Self::Haproxy => &["haproxy"],
            Self::Apache => &["apache2", "httpd"],
            Self::Squid => &["squid"],
            Self::Tinyproxy => &["tinyproxy"],
        }
    }

    /// Finds it.
    pub(crate) fn installed(self) -> Option<Installed> {
        let program = find(self.programs())?;
        let version = first_version(&printed(&program, &["-v"]));
        // The one that comes in a package of its own on some systems.
        let all = |folder: &PathBuf| folder.join("mod_ssl.so").is_file();
        let modules = MODULES.iter().map(PathBuf::from).find(all);
        if self == Self::Apache && modules.is_none() {
            return None;
        }
        Some(Installed { kind: self, program, version, modules: modules.unwrap_or_default() })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
            Self::Apache => "Apache httpd",
            Self::Squid => "Squid",
            Self::Tinyproxy => "tinyproxy",
        })
    }
}

/// The first numbers with a dot between them.
fn first_version(text: &str) -> String {
    let words = text.split(|letter: char| letter != '.' && !letter.is_ascii_digit());
    let version = words.map(|word| word.trim_matches('.')).find(|word| word.contains('.'));
    version.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_in_what_gateways_say() {
        for (said, version) in [
            ("nginx version: nginx/1.22.1\n", "1.22.1"),
            ("HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/\n", "2.6.12"),
            ("Server version: Apache/2.4.71 (Debian)\n", "2.4.71"),
            ("Squid Cache: Version 5.7\n", "5.7"),
            ("nothing. At all\n", ""),
        ] {
            assert_eq!(first_version(said), version);
        }
    }
}
