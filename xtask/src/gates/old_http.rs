//! mstr-isahc with the old `http` under isahc.
//!
//! isahc takes `http` 0.2 and 1.x, and a program whose `Cargo.lock` has the old one keeps it. Then
//! isahc's requests are of other types than everybody else's. This builds such a program and runs
//! both suites in it.

use std::fs;

use crate::command::{Outcome, cargo, output, root, run};
use crate::tools::openssl;

const OLD: &str = "0.2.12";

const MANIFEST: &str = r#"# Written by `cargo xtask old-http`.
[package]
name = "mstr-old-http"
version = "0.1.0"
edition = "2024"
publish = false

[dependencies]
mstr-fake = { path = "../../crates/mstr-fake", features = ["loopback"] }
mstr-tests = { path = "../../tests" }

[workspace]

[profile.dev]
debug = "line-tables-only"
"#;

const TESTS: &str = r"
mod contract {
    mstr_fake::conformance!(mstr_tests::backends::Isahc);
}

mod end_to_end {
    use mstr_tests::{Lab, Stack};

    fn lab<F: Future<Output = ()>>(test: impl FnOnce(Lab) -> F) {
        Lab::over(Stack::Isahc, test);
    }

    mstr_tests::suite_on!(lab);
}
";

pub(crate) fn check() -> Outcome {
    openssl()?;
    let folder = root().join("target/old-http");
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        let parent = path.parent().map_or(Ok(()), fs::create_dir_all);
        parent.and_then(|()| fs::write(&path, text)).map_err(|error| format!("{name}: {error}"))
    };
    let lock = fs::read_to_string(root().join("Cargo.lock")).map_err(|error| error.to_string())?;
    write("Cargo.toml", MANIFEST)?;
    write("Cargo.lock", &with_old_http(&lock)?)?;
    write("src/lib.rs", "")?;
    write("tests/isahc.rs", TESTS)?;

    let manifest = folder.join("Cargo.toml");
    let within = |words: &str| {
        let mut command = cargo(words);
        command.arg("--manifest-path").arg(&manifest);
        command.env("CARGO_TARGET_DIR", folder.join("target"));
        command
    };
    let tree = output(&mut within("tree --package isahc --depth 1 --prefix none"))?;
    if !tree.lines().any(|line| line.starts_with(&format!("http v{OLD}"))) {
        return Err(format!("isahc was not given the old http:\n{tree}"));
    }
    println!("    isahc has http {OLD}");
    run(&mut within("test"))
}

/// The lock with http 0.2 for isahc beside what everybody else has.
fn with_old_http(lock: &str) -> Outcome<String> {
    let current = "name = \"http\"\nversion = \"";
    let current = lock.split(current).nth(1).and_then(|rest| rest.split('"').next());
    let current = current.ok_or("Cargo.lock has no http")?.to_owned();
    // With two of them, everybody says which.
    let lock = lock.replace("\n \"http\",\n", &format!("\n \"http {current}\",\n"));
    let start = lock.find("name = \"isahc\"\n").ok_or("Cargo.lock has no isahc")?;
    let end = lock[start..].find("\n\n").map_or(lock.len(), |length| start + length);
    let isahc =
        lock[start..end].replace(&format!("\"http {current}\""), &format!("\"http {OLD}\""));
    let registry = lock.split("source = \"registry").nth(1).and_then(|rest| rest.split('"').next());
    let registry = registry.ok_or("Cargo.lock names no registry")?;
    let old = format!(
        "\n[[package]]\nname = \"http\"\nversion = \"{OLD}\"\nsource = \"registry{registry}\"\n\
         dependencies = [\n \"bytes\",\n \"fnv\",\n \"itoa\",\n]\n"
    );
    Ok(format!("{}{isahc}{}{old}", &lock[..start], &lock[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_isahc_gets_the_old_one() {
        let lock = "[[package]]\nname = \"http\"\nversion = \"1.5.0\"\nsource = \"registry+x\"\n\n\
                    [[package]]\nname = \"hyper\"\ndependencies = [\n \"bytes\",\n \"http\",\n]\n\n\
                    [[package]]\nname = \"isahc\"\ndependencies = [\n \"curl\",\n \"http\",\n]\n\n\
                    [[package]]\nname = \"mstr\"\ndependencies = [\n \"bytes\",\n \"http\",\n]\n";
        let changed = with_old_http(lock).unwrap();
        let of = |name: &str| {
            let entry = changed
                .split("[[package]]\n")
                .find(|entry| entry.starts_with(&format!("name = \"{name}\"\n")));
            entry.unwrap().to_owned()
        };
        assert!(of("isahc").contains("\"http 0.2.12\""));
        assert!(of("hyper").contains("\"http 1.5.0\"") && of("mstr").contains("\"http 1.5.0\""));
        assert!(changed.contains("name = \"http\"\nversion = \"0.2.12\"\nsource = \"registry+x\""));
        assert!(with_old_http("").is_err());
    }
}
