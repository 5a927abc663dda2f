//! The tools that are missing on this machine, their purpose, and how to get them.

use crate::command::{Outcome, cargo};
use crate::gates::msrv;
use crate::tools::{
    ALL, GATEWAYS, NEXTEST, OPENSSL, TYPOS, Tool, first_number, gateways, has_openssl, version,
};

/// What was found of one thing.
#[derive(Debug, Eq, PartialEq)]
enum Finding {
    /// It is there; its version, if it says so.
    Present(String),
    /// It is not, and what needs it gets it by itself.
    Installed(String),
    /// It is not, and some steps say `SKIPPED`.
    Skipped(String),
    /// It is not, and nothing goes without it.
    Missing(String),
}

struct Examination {
    what: &'static str,
    needed_by: &'static str,
    finding: Finding,
}

pub(crate) fn run() -> Outcome {
    let mut findings = vec![
        program("git", &["git", "--version"], "everything", "your system's package git"),
        rust()?,
        component("rustfmt", "fmt", "ci (format)"),
        component("clippy", "clippy", "ci (clippy, msrv)"),
        compiler(),
        headers(),
        program("tar", &["tar", "--version"], "release check", "your system's package tar"),
    ];
    findings.extend(ALL.into_iter().map(tool));
    findings.push(python());
    findings.push(found_gateways());
    println!("{:<28} {:<42} found", "what", "needed by");
    for Examination { what, needed_by, finding } in &findings {
        println!("{what:<28} {needed_by:<42} {}", shown(finding));
    }
    let missing: Vec<&str> = findings
        .iter()
        .filter(|examination| matches!(examination.finding, Finding::Missing(_)))
        .map(|examination| examination.what)
        .collect();
    if missing.is_empty() {
        println!("\nnothing is missing that is not installed by the step that needs it");
        return Ok(());
    }
    Err(format!("missing here: {}; the table says how to get it", missing.join(", ")))
}

fn shown(finding: &Finding) -> String {
    match finding {
        Finding::Present(version) if version.is_empty() => "yes".into(),
        Finding::Present(version) => version.clone(),
        Finding::Installed(how) => format!("no; what needs it installs it: {how}"),
        Finding::Skipped(how) => format!("no; done without. To have it: {how}"),
        Finding::Missing(how) => format!("MISSING. To get it: {how}"),
    }
}

fn rust() -> Outcome<Examination> {
    let declared = msrv::declared()?;
    let how = format!("rustup update (Rust {declared} or newer)");
    let finding = match version(&["rustc", "--version"]) {
        Some(found) if msrv::parts(&found) >= msrv::parts(&declared) => Finding::Present(found),
        Some(found) => Finding::Missing(format!("{how}; this is {found}")),
        None => Finding::Missing(how),
    };
    Ok(Examination { what: "Rust", needed_by: "everything", finding })
}

fn component(what: &'static str, subcommand: &str, needed_by: &'static str) -> Examination {
    let answer = cargo(&format!("{subcommand} --version")).output();
    let finding = match answer {
        Ok(answer) if answer.status.success() => Finding::Present(first_number(&answer.stdout)),
        _ => Finding::Skipped(format!("rustup component add {what}")),
    };
    Examination { what, needed_by, finding }
}

/// aws-lc-rs and libcurl are written in C.
fn compiler() -> Examination {
    let needed_by = "the default TLS provider, libcurl";
    if cfg!(windows) {
        // Cargo finds Microsoft's by the registry of Windows, which is not worth repeating.
        let finding = Finding::Present("the one that Rust links with".into());
        return Examination { what: "a C compiler", needed_by, finding };
    }
    let how = "apt-get install build-essential, or your system's equal";
    program("a C compiler", &["cc", "--version"], needed_by, how)
}

fn headers() -> Examination {
    let finding = if has_openssl() {
        Finding::Present(String::new())
    } else {
        let how = OPENSSL.split("    ").next().unwrap_or_default();
        Finding::Skipped(format!("mstr-isahc has its rustls TLS; {how}"))
    };
    Examination { what: "OpenSSL's headers", needed_by: "mstr-isahc's TLS, releases", finding }
}

fn tool(tool: &Tool) -> Examination {
    let Tool { name, version, needed_by, .. } = tool;
    let finding = match tool.present() {
        Some(found) if found.is_empty() || found == *version => Finding::Present(found),
        Some(found) => Finding::Present(format!("{found} (tested with {version})")),
        None if ci_skips(tool) => Finding::Skipped(format!("cargo {}", tool.install())),
        None => Finding::Installed(format!("cargo {}", tool.install())),
    };
    Examination { what: name, needed_by, finding }
}

/// Whether everything goes on without it.
fn ci_skips(tool: &Tool) -> bool {
    [&NEXTEST, &TYPOS].iter().any(|other| other.name == tool.name)
}

fn python() -> Examination {
    let how = "Python 3.10 or newer with venv, and the Python package index";
    let finding = match version(&["python3", "-c", PROBE]) {
        Some(found) => Finding::Present(found),
        None => Finding::Skipped(how.into()),
    };
    Examination { what: "Python with venv", needed_by: "ci (interop)", finding }
}

fn found_gateways() -> Examination {
    let finding = match gateways() {
        found if found.is_empty() => Finding::Skipped(GATEWAYS.into()),
        found => Finding::Present(found.join(", ")),
    };
    Examination { what: "gateways and proxies", needed_by: "ci (gateways)", finding }
}

const PROBE: &str = "import ensurepip, platform, venv; print(platform.python_version())";

fn program(what: &'static str, probe: &[&str], needed_by: &'static str, how: &str) -> Examination {
    let finding = version(probe).map_or_else(|| Finding::Missing(how.into()), Finding::Present);
    Examination { what, needed_by, finding }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_is_missing_and_says_how_to_get_it() {
        let examination = program("x", &["mstr-no-such-program"], "nothing", "make it");
        assert_eq!(examination.finding, Finding::Missing("make it".into()));
        assert_eq!(shown(&examination.finding), "MISSING. To get it: make it");
    }
}
