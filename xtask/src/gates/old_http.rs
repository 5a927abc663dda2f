//! mstr-isahc with the old `http` under isahc.
//!
//! isahc takes `http` 0.2 and 1.x, and a program whose `Cargo.lock` has the old one keeps it. Then
//! isahc's requests are of other types than those of other crates. `tests/old-http` is such a program, and
//! runs both suites.

use std::fs;

use crate::command::{Outcome, cargo, output, read, root, run};
use crate::tools::openssl;

const OLD: &str = "0.2.12";

pub(crate) fn check() -> Outcome {
    openssl()?;
    let manifest = root().join("tests/old-http/Cargo.toml");
    let lock = with_old_http(&read("Cargo.lock")?)?;
    fs::write(manifest.with_file_name("Cargo.lock"), lock).map_err(|error| error.to_string())?;
    let within = |words: &str| {
        let mut command = cargo(words);
        command.arg("--manifest-path").arg(&manifest);
        command.env("CARGO_TARGET_DIR", root().join("target/old-http"));
        command
    };
    let tree = output(&mut within("tree --package isahc --depth 1 --prefix none"))?;
    if !tree.lines().any(|line| line.starts_with(&format!("http v{OLD}"))) {
        return Err(format!("isahc was not given the old http:\n{tree}"));
    }
    println!("    isahc has http {OLD}");
    run(&mut within("test"))
}

/// The lock with http 0.2 for isahc beside the version of the other crates.
fn with_old_http(lock: &str) -> Outcome<String> {
    let current = "name = \"http\"\nversion = \"";
    let current = lock.split(current).nth(1).and_then(|rest| rest.split('"').next());
    let current = current.ok_or("Cargo.lock has no http")?.to_owned();
    // With two of them, each dependent names the version.
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
