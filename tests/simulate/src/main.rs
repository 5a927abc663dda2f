//! Whole lives of connections, in virtual time and from one seed each, and the laws they keep.
//!
//! A seed decides everything: the server, the network, what goes wrong, what callers do, and which
//! task or thread runs next. What must hold is in [`laws`].

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "this is a program that tells what it finds")]

mod bare;
#[cfg(mstr_simulation)]
mod baton;
mod client;
mod compare;
mod coverage;
mod excuses;
mod laws;
mod net;
mod observer;
mod ops;
mod plan;
mod renewals;
mod rooted;
mod run;
mod sending;
mod shrink;
#[cfg(mstr_simulation)]
mod threads;
mod world;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;

use laws::{Broken, Law};
use plan::Plan;
use run::{Driver, Life};

/// Simulates whole lives of connections, in virtual time.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many seeds.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Stop after so many seconds.
    #[arg(long)]
    seconds: Option<u64>,
    /// How many run at a time.
    #[arg(long, default_value_t = 2)]
    jobs: u64,
    /// Go on after a law was broken, and tell each in one line.
    #[arg(long)]
    all: bool,
    /// Simulate this driver only. Otherwise each seed is lived by tasks, one in four by threads and one in
    /// four by the bare machines, and one in eight compares all three.
    #[arg(long)]
    driver: Option<Driver>,
    /// With a seed: compare the drivers by it.
    #[arg(long)]
    compare: bool,
    /// Tell which rows of the machines' state tables the lives of the bare machines do not reach.
    #[arg(long)]
    coverage: bool,
    /// Run this seed, and tell all about it.
    #[arg(long)]
    seed: Option<u64>,
}

impl Arguments {
    /// Which drivers live the life of a seed.
    fn drivers(&self, seed: u64) -> Vec<Driver> {
        match self.driver {
            Some(driver) => vec![driver],
            None => Driver::ALL.iter().copied().filter(|driver| driver.lives(seed)).collect(),
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // A law that is broken is told once, with its seed.
    std::panic::set_hook(Box::new(|_| ()));
    if let Some(seed) = arguments.seed.filter(|_| arguments.compare) {
        return tell_comparison(seed);
    }
    if let Some(seed) = arguments.seed {
        let plan = if arguments.coverage { coverage::plan(seed) } else { Plan::new(seed) };
        let plan = Arc::new(Plan { told: true, ..plan });
        let usual = if arguments.coverage { Driver::Bare } else { Driver::Tasks };
        let driver = arguments.driver.unwrap_or(usual);
        let broken = tell(&plan, driver, &run::run(&plan, driver), true);
        return if broken { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    }
    if arguments.coverage {
        return coverage::search(arguments.from..arguments.from + arguments.seeds, arguments.jobs);
    }
    search(&arguments)
}

fn search(arguments: &Arguments) -> ExitCode {
    let begun = now();
    let next = AtomicU64::new(arguments.from);
    let found = AtomicBool::new(false);
    let last = arguments.from + arguments.seeds;
    let limit = arguments.seconds.map(Duration::from_secs);
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let over = limit.is_some_and(|limit| now() - begun > limit);
                    if seed >= last || over || found.load(Ordering::Relaxed) {
                        return;
                    }
                    let compared = arguments.driver.is_none() && compare::is_compared(seed);
                    match compared.then(|| compare::compare(&compare::plan(seed))).flatten() {
                        Some(broken) if arguments.all => {
                            println!("{seed} --compare: {} {}", broken.law, broken.said);
                        }
                        Some(broken) if !found.swap(true, Ordering::Relaxed) => {
                            tell_difference(seed, &broken);
                        }
                        _ => {}
                    }
                    let plan = Arc::new(Plan::new(seed));
                    for driver in arguments.drivers(seed) {
                        let life = run::run(&plan, driver);
                        match &life.verdict {
                            Some(broken) if arguments.all => {
                                println!("{seed} {driver}: {} {}", broken.law, broken.said);
                            }
                            Some(broken) if !found.swap(true, Ordering::Relaxed) => {
                                let smaller = shrink::shrunk(&plan, driver, broken.law);
                                let smaller = Arc::new(Plan { told: true, ..smaller });
                                println!("The smallest life that was found to break the law:");
                                tell(&smaller, driver, &run::run(&smaller, driver), true);
                            }
                            _ => {}
                        }
                    }
                }
            });
        }
    });
    let seeds = next.load(Ordering::Relaxed).min(last) - arguments.from;
    let took = (now() - begun).as_secs_f64();
    println!("{seeds} seeds in {took:.1} s; the next ones are --from {}", arguments.from + seeds);
    if found.load(Ordering::Relaxed) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

#[expect(clippy::disallowed_methods, reason = "how long it took is told, and when it is to end")]
fn now() -> Instant {
    Instant::now()
}

/// Says what became of a life; whether a law was broken.
fn tell(plan: &Plan, driver: Driver, life: &Life, all: bool) -> bool {
    if all {
        println!("{plan}");
        life.story.iter().for_each(|line| println!("{line}"));
    }
    if all || life.verdict.is_some() {
        println!("{}", life.timeline);
    }
    if let Some(broken) = &life.verdict {
        let sentence = Law::ALL.iter().find(|(law, _)| *law == broken.law).map(|(_, says)| *says);
        println!("law broken: {} {}", broken.law, broken.said);
        println!("{}", sentence.unwrap_or_default());
        println!("seed: {} --driver {driver}", plan.seed);
    }
    life.verdict.is_some()
}

/// Says whether the drivers differ by this seed, after the stories of their lives.
fn tell_comparison(seed: u64) -> ExitCode {
    let plan = compare::plan(seed);
    let told = Arc::new(Plan { told: true, ..plan.clone() });
    println!("{told}");
    for driver in Driver::ALL {
        println!("{driver}:");
        run::run(&told, *driver).story.iter().for_each(|line| println!("{line}"));
    }
    let Some(broken) = compare::compare(&plan) else { return ExitCode::SUCCESS };
    tell_difference(seed, &broken);
    ExitCode::FAILURE
}

fn tell_difference(seed: u64, broken: &Broken) {
    println!("law broken: {} {}", broken.law, broken.said);
    println!("seed: {seed} --compare");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lives_of_connections_break_no_law() {
        for seed in 1..=400 {
            let plan = Arc::new(Plan::new(seed));
            for driver in Driver::ALL.iter().copied().filter(|driver| driver.lives(seed)) {
                let life = run::run(&plan, driver);
                assert!(!tell(&plan, driver, &life, false), "by {driver}");
            }
        }
    }

    #[test]
    fn life_of_a_seed_is_always_the_same() {
        for seed in 1..=20 {
            let plan = Arc::new(Plan { told: true, ..Plan::new(seed) });
            let lives = || run::run(&plan, Driver::Tasks).story;
            assert_eq!(lives(), lives(), "{seed}");
        }
    }

    #[test]
    fn laws_are_those_of_the_documentation() {
        let page = include_str!("../../../docs/simulation.md");
        for (law, says) in Law::ALL {
            assert!(
                page.contains(&format!("| {law} | {says} |")),
                "docs/simulation.md lacks {law}"
            );
        }
    }
}
