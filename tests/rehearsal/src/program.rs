//! A program of a user's: outside of the workspace, with nothing but the registry.

use std::fs;
use std::path::{Path, PathBuf};

use semver::Version;

use crate::command::{Outcome, build_folder, cargo, output, read};
use crate::registry::{Environment, Registry};

const QUICKSTART: &str = "crates/mstr/examples/quickstart.rs";
const MANIFEST: &str = r#"[package]
name = "program"
version = "0.1.0"
edition = "2024"
publish = false

[dependencies]
mstr-sdk = { version = "VERSION", registry = "rehearsal" }
mstr-fake = { version = "VERSION", registry = "rehearsal", features = ["loopback"] }
serde_json = "1"
tokio = { version = "1", features = ["macros", "rt-multi-thread"] }

[workspace]

[profile.dev]
debug = "line-tables-only"
"#;

pub(crate) struct Program {
    folder: PathBuf,
    environment: Environment,
}

impl Program {
    pub(crate) fn new(folder: &Path, registry: &Registry) -> Outcome<Self> {
        let program = Self { folder: folder.to_owned(), environment: registry.environment() };
        // The dependencies that everything else was tested with.
        program.write("Cargo.lock", &read("Cargo.lock")?)?;
        Ok(program)
    }

    /// Depends on this version and runs the code of the quickstart.
    pub(crate) fn quickstart(&self, version: &Version) -> Outcome {
        let text = self.run(version, &read(QUICKSTART)?)?;
        print!("{text}");
        if text.lines().any(|line| line == "sessions still open on the server: 0") {
            Ok(())
        } else {
            Err("the quickstart over the registry leaves sessions open".into())
        }
    }

    /// Depends on this version and uses what it has added.
    pub(crate) fn uses(&self, function: &str, version: &Version) -> Outcome {
        let main = format!("fn main() {{\n    println!(\"{{}}\", mstr::{function}());\n}}\n");
        let text = self.run(version, &main)?;
        println!("ok  a program uses mstr {version}");
        if text.trim() == "7" { Ok(()) } else { Err(format!("{function} returned {text}")) }
    }

    fn run(&self, version: &Version, main: &str) -> Outcome<String> {
        self.write("Cargo.toml", &MANIFEST.replace("VERSION", &version.to_string()))?;
        self.write("src/main.rs", main)?;
        let mut run = cargo("run --quiet");
        run.current_dir(&self.folder).envs(self.environment.clone());
        run.env("CARGO_TARGET_DIR", build_folder());
        output(&mut run)
    }

    fn write(&self, path: &str, text: &str) -> Outcome {
        let file = self.folder.join(path);
        let written = file.parent().map_or(Ok(()), fs::create_dir_all);
        written.and_then(|()| fs::write(&file, text)).map_err(|error| format!("{path}: {error}"))
    }
}
