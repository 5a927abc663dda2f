//! Everything a change has to pass, and how long each part of it may take.

use std::time::{Duration, Instant};

use crate::cli::Ci;
use crate::command::{Outcome, cargo, rules, run};
use crate::gates::{
    clippy, deny, docs, examples, external_types, gateways, interop, minimal, msrv, old_http,
    platforms, quickstart, spelling,
};
use crate::passed::Check;
use crate::tools::{DENY, TYPOS, Tool, version};
use crate::{bench, chaos, generate, release, simulate, test};

/// A part of `.ci/run`, which has so much time for it on a fresh machine with two cores.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Part {
    Tools,
    Builds,
    Tests,
    Rest,
}

/// In the order of the table, with their minutes.
const BUDGET: [(Part, &str, u64); 4] = [
    (Part::Tools, "tools", 6),
    (Part::Builds, "builds", 6),
    (Part::Tests, "tests", 6),
    (Part::Rest, "rest", 11),
];

struct Step {
    name: &'static str,
    about: &'static str,
    part: Part,
    needs: Need,
    run: fn() -> Outcome,
}

/// The tool without which a step is skipped.
enum Need {
    Nothing,
    Tool(&'static Tool),
    /// A component of Rust, by its command and its name.
    Component(&'static str, &'static str),
}

const CLIPPY: Need = Need::Component("clippy", "clippy");

const fn step(part: Part, name: &'static str, about: &'static str, run: fn() -> Outcome) -> Step {
    Step { name, about, part, needs: Need::Nothing, run }
}

impl Step {
    const fn needs(mut self, needs: Need) -> Self {
        self.needs = needs;
        self
    }
}

/// The step that is the README's second command.
const TEST: &str = "test";

/// The quick ones first; those that share build products beside each other.
const STEPS: &[Step] = &[
    step(Part::Tools, "tools", "what nothing goes without: cargo-deny", || DENY.provide()),
    step(Part::Rest, "format", "rustfmt has nothing to change", format)
        .needs(Need::Component("fmt", "rustfmt")),
    step(Part::Rest, "tidy", "the text rules", || rules(&["check"])),
    step(Part::Rest, "spelling", "spelling, in code and documents", spelling::check)
        .needs(Need::Tool(&TYPOS)),
    step(Part::Rest, "generated", "what is written from other files", generate::check),
    step(Part::Rest, "deps", "which crates may stand in whose tree", || rules(&["trees"])),
    step(Part::Rest, "deny", "licences, bans and sources of dependencies", deny::check),
    step(Part::Builds, "quickstart", "the main job, as the README runs it", quickstart::check),
    step(Part::Tests, TEST, "every test", test::all),
    step(Part::Builds, "examples", "the other examples, to their ends", examples::check),
    step(Part::Builds, "clippy", "the lints, for each package and its features", clippy::check)
        .needs(CLIPPY),
    step(Part::Builds, "platforms", "a check for Windows and macOS", platforms::check),
    step(Part::Rest, "interop", "Python clients against the fake server", interop::check),
    step(Part::Rest, "gateways", "sessions through gateways of others", gateways::check),
    step(Part::Rest, "chaos", "sessions over a network that fails at random", chaos::check),
    step(Part::Rest, "simulate", "whole lives of connections in virtual time", simulate::check),
    step(Part::Rest, "isahc-rustls", "isahc with rustls, not OpenSSL", test::isahc_rustls),
    step(Part::Rest, "costs", "what a request costs, and the timeline", bench::costs),
    step(Part::Rest, "docs", "the documentation, with warnings denied", docs::check),
    step(Part::Rest, "msrv", "the minimum supported Rust version", msrv::check).needs(CLIPPY),
];

/// Steps that take too long for every change, and run before a release.
const BEFORE_A_RELEASE: &[Step] = &[
    step(Part::Rest, "planted", "the simulation finds what it has to", simulate::planted),
    step(Part::Rest, "old-http", "isahc in a program that keeps http 0.2", old_http::check),
    step(Part::Rest, "minimal", "the oldest dependencies allowed", minimal::check),
    step(Part::Rest, "external-types", "whose types the crates show", external_types::check),
    step(Part::Rest, "archives", "what would be published builds alone", release::archives),
];

/// What was done so far: a step's name, its part and how long it took, if it was not skipped.
type Done = Vec<(&'static str, Part, Option<Duration>)>;

pub(crate) fn run_some(ci: Ci) -> Outcome {
    if ci.list {
        for Step { name, about, .. } in STEPS {
            println!("{name:<14} {about}");
        }
        println!("\nwith --release also:");
        for Step { name, about, .. } in BEFORE_A_RELEASE {
            println!("{name:<14} {about}");
        }
        return Ok(());
    }
    if let Some(name) = ci.step {
        return one(&name);
    }
    if ci.release {
        return before_a_release();
    }
    let mut done = Vec::new();
    for spent in ci.spent {
        let (name, seconds) = spent.split_once('=').unwrap_or_default();
        let part = BUDGET.iter().find(|(_, part, _)| *part == name);
        let (Some((part, ..)), Ok(seconds)) = (part, seconds.parse()) else {
            return Err(format!("\"{spent}\" is not PART=SECONDS, as in tests=240"));
        };
        done.push(("before", *part, Some(Duration::from_secs(seconds))));
    }
    let is_wanted = |step: &&Step| !(ci.tested && step.name == TEST);
    finish(STEPS.iter().filter(is_wanted), done)
}

/// Every step, those that take long among them. A release skips none.
pub(crate) fn before_a_release() -> Outcome {
    let steps = || STEPS.iter().chain(BEFORE_A_RELEASE);
    let absent = steps().filter_map(|step| Some((step.name, step.needs.absent()?)));
    let absent = absent.map(|(name, how)| format!("the step \"{name}\" cannot run here: {how}"));
    let absent: Vec<String> = absent.collect();
    if !absent.is_empty() {
        return Err(absent.join("\n"));
    }
    Check::Ci.remember(|| finish(steps(), Vec::new()))
}

/// Runs these steps, stops at the first that fails, and shows how long each took.
fn finish<'s>(steps: impl Iterator<Item = &'s Step>, mut done: Done) -> Outcome {
    for step in steps {
        done.push((step.name, step.part, timed(step)?));
    }
    println!("\n{:<14} {:>8}  part", "step", "seconds");
    for (name, part, took) in &done {
        let took = took.map_or("SKIPPED".to_owned(), |took| format!("{:.1}", took.as_secs_f64()));
        println!("{name:<14} {took:>8}  {}", name_of(*part));
    }
    println!("\n{:<14} {:>8} {:>8}", "part", "minutes", "budget");
    for (part, name, minutes) in BUDGET {
        let took = total(&done, |other| other == part);
        let over = if took > Duration::from_secs(minutes * 60) { "  more than it may" } else { "" };
        println!("{name:<14} {:>8.1} {minutes:>8}{over}", took.as_secs_f64() / 60.0);
    }
    let budget: u64 = BUDGET.iter().map(|(.., minutes)| minutes).sum();
    println!("{:<14} {:>8.1} {budget:>8}", "total", total(&done, |_| true).as_secs_f64() / 60.0);
    println!("all steps passed, but for what says SKIPPED");
    Ok(())
}

fn total(done: &Done, of: impl Fn(Part) -> bool) -> Duration {
    done.iter().filter(|(_, part, _)| of(*part)).filter_map(|(.., took)| *took).sum()
}

fn name_of(part: Part) -> &'static str {
    BUDGET.iter().find(|(other, ..)| *other == part).map_or("", |(_, name, _)| name)
}

/// Runs the step of this name.
fn one(name: &str) -> Outcome {
    let steps = || STEPS.iter().chain(BEFORE_A_RELEASE);
    let step = steps().find(|step| step.name == name);
    let step = step.ok_or_else(|| {
        let names: Vec<&str> = steps().map(|step| step.name).collect();
        format!("there is no step \"{name}\": it is one of {}", names.join(", "))
    })?;
    timed(step).map(drop)
}

/// Runs a step; nothing, if it is skipped.
fn timed(step: &Step) -> Outcome<Option<Duration>> {
    println!("\n=== {}: {}", step.name, step.about);
    if let Some(how) = step.needs.absent() {
        println!("    SKIPPED: to have it, {how}");
        return Ok(None);
    }
    #[expect(clippy::disallowed_methods, reason = "people want to know how long steps take")]
    let begun = Instant::now();
    (step.run)().map_err(|error| format!("the step \"{}\" failed: {error}", step.name))?;
    #[expect(clippy::disallowed_methods, reason = "people want to know how long steps take")]
    let took = begun.elapsed();
    Ok(Some(took))
}

impl Need {
    /// How to get the tool, if it is absent.
    fn absent(&self) -> Option<String> {
        match self {
            Self::Nothing => None,
            Self::Tool(tool) => {
                tool.present().is_none().then(|| format!("cargo {}", tool.install()))
            }
            Self::Component(command, name) => version(&["cargo", command, "--version"])
                .is_none()
                .then(|| format!("rustup component add {name}")),
        }
    }
}

fn format() -> Outcome {
    run(&mut cargo("fmt --all --check"))
}
