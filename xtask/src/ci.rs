//! Everything a change has to pass.

use std::time::{Duration, Instant};

use crate::command::{Outcome, cargo, output, root, run};
use crate::gates::{
    deny, deps, docs, external_types, interop, minimal, msrv, old_http, spelling, unused,
};
use crate::members::{MEMBERS, everything};
use crate::passed::Check;

use crate::tools::{NEXTEST, openssl};
use crate::{generate, release, tidy};

struct Step {
    name: &'static str,
    about: &'static str,
    run: fn() -> Outcome,
}

/// The quick ones first; those that share build products beside each other.
const STEPS: &[Step] = &[
    Step { name: "format", about: "rustfmt has nothing to change", run: format },
    Step { name: "tidy", about: "the text rules", run: tidy::check },
    Step { name: "spelling", about: "spelling, in code and documents", run: spelling::check },
    Step { name: "unused", about: "dependencies that nothing uses", run: unused::check },
    Step {
        name: "generated",
        about: "files that are written from others have not drifted",
        run: generate::check,
    },
    Step { name: "deps", about: "which crates may stand in whose tree", run: deps::check },
    Step { name: "deny", about: "licences, bans and sources of dependencies", run: deny::check },
    Step {
        name: "quickstart",
        about: "the main job, as the README runs it, and without tokio",
        run: quickstart,
    },
    Step { name: "clippy", about: "the lints, for each package and its features", run: clippy },
    Step { name: "test", about: "every test", run: test },
    Step { name: "doc-test", about: "every example in the documentation", run: doc_test },
    Step {
        name: "old-http",
        about: "isahc in a program that keeps http 0.2",
        run: old_http::check,
    },
    Step { name: "interop", about: "Python clients against the fake server", run: interop::check },
    Step { name: "isahc-rustls", about: "isahc with rustls instead of OpenSSL", run: isahc_rustls },
    Step { name: "loom", about: "every interleaving of the shared flight", run: loom },
    Step {
        name: "docs",
        about: "the documentation, with warnings denied, and the links to it",
        run: docs::check,
    },
    Step { name: "msrv", about: "the minimum supported Rust version", run: msrv::check },
    Step {
        name: "external-types",
        about: "whose types the published crates show",
        run: external_types::check,
    },
    Step { name: "minimal", about: "the oldest dependencies allowed", run: minimal::check },
    Step {
        name: "archives",
        about: "what would be published builds and passes its tests alone",
        run: release::archives,
    },
    Step {
        name: "rehearsal",
        about: "releases to a registry on this machine, interrupted and refused ones too",
        run: release::run_if_equipped,
    },
];

/// Runs every step and stops at the first that fails.
pub(crate) fn all() -> Outcome {
    Check::Ci.remember(steps)
}

fn steps() -> Outcome {
    let mut table = Vec::new();
    for step in STEPS {
        table.push((step.name, timed(step)?));
    }
    println!("\n{:<14} {:>8}", "step", "seconds");
    let mut total = Duration::ZERO;
    for (name, took) in table {
        total += took;
        println!("{name:<14} {:>8.1}", took.as_secs_f64());
    }
    println!("{:<14} {:>8.1}\nall steps passed", "total", total.as_secs_f64());
    Ok(())
}

pub(crate) fn list() {
    for Step { name, about, .. } in STEPS {
        println!("{name:<14} {about}");
    }
}

/// Runs the step of this name.
pub(crate) fn one(name: &str) -> Outcome {
    let step = STEPS.iter().find(|step| step.name == name);
    let step = step.ok_or_else(|| {
        let names: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
        format!("there is no step \"{name}\": it is one of {}", names.join(", "))
    })?;
    timed(step).map(drop)
}

fn timed(step: &Step) -> Outcome<Duration> {
    println!("\n=== {}: {}", step.name, step.about);
    #[expect(clippy::disallowed_methods, reason = "people want to know how long steps take")]
    let begun = Instant::now();
    (step.run)().map_err(|error| format!("the step \"{}\" failed: {error}", step.name))?;
    #[expect(clippy::disallowed_methods, reason = "people want to know how long steps take")]
    let took = begun.elapsed();
    Ok(took)
}

fn format() -> Outcome {
    run(&mut cargo("fmt --all --check"))
}

fn quickstart() -> Outcome {
    openssl()?;
    for example in ["quickstart", "without_tokio --package mstr --features isahc"] {
        println!("    cargo run --example {example}");
        let text = output(&mut cargo(&format!("run --locked --quiet --example {example}")))?;
        print!("{text}");
        if !text.lines().any(|line| line == "sessions still open on the server: 0") {
            return Err(format!("{example} leaves sessions open on the server"));
        }
    }
    Ok(())
}

fn clippy() -> Outcome {
    openssl()?;
    for package in MEMBERS {
        let features = package.everything();
        run(&mut cargo(&format!(
            "clippy --locked --package {package} --all-targets {features} -- -D warnings"
        )))?;
    }
    // What is compiled only when a feature is off.
    for rest in [
        "mstr-fake --no-default-features",
        "mstr-fake --no-default-features --features tokio",
        "mstr-hyper --no-default-features",
        "mstr-hyper --no-default-features --features rustls-ring,webpki-roots",
        "mstr-isahc --no-default-features",
        "mstr --no-default-features",
        "mstr --no-default-features --features fake",
        "mstr --no-default-features --features isahc",
        "mstr --no-default-features --features tower",
    ] {
        run(&mut cargo(&format!("clippy --locked --lib --package {rest} -- -D warnings")))?;
    }
    Ok(())
}

fn test() -> Outcome {
    openssl()?;
    NEXTEST.provide()?;
    run(&mut cargo(&format!("nextest run --locked --workspace {}", everything())))
}

/// What TLS has to do with, with isahc's other library: no build can have both.
fn isahc_rustls() -> Outcome {
    NEXTEST.provide()?;
    run(&mut cargo(
        "nextest run --locked --package mstr-tests --no-default-features --features \
         isahc-rustls-tls --test conformance --test suite --test transports isahc trust",
    ))
}

fn doc_test() -> Outcome {
    run(&mut cargo(&format!("test --locked --workspace --doc {}", everything())))
}

fn loom() -> Outcome {
    let mut command = cargo("test --locked --package mstr-core --lib -- loom");
    // A folder of its own: the flag rebuilds everything.
    command.env("CARGO_TARGET_DIR", root().join("target/loom"));
    command.env("RUSTFLAGS", "--cfg loom").env("LOOM_MAX_PREEMPTIONS", "3");
    println!("    RUSTFLAGS=\"--cfg loom\" cargo test --package mstr-core --lib -- loom");
    let text = output(&mut command)?;
    print!("{text}");
    if text.contains("running 0 tests") {
        return Err("no test has \"loom\" in its name".into());
    }
    Ok(())
}
