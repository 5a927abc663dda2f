//! A smaller life that breaks the same law.

use std::sync::Arc;
use std::time::Duration;

use crate::laws::Law;
use crate::ops::Whim;
use crate::plan::{CLASSES, Plan};
use crate::run::{self, Driver};

/// So many lives are tried at most.
const TRIES: u32 = 2_000;

/// Leaves out what is not needed, as long as anything can be.
pub(crate) fn shrunk(plan: &Plan, driver: Driver, law: Law) -> Plan {
    let mut smallest = plan.clone();
    let mut tries = 0;
    let breaks = |plan: &Plan| {
        let life = run::run(&Arc::new(plan.clone()), driver);
        life.verdict.is_some_and(|broken| broken.law == law)
    };
    loop {
        let mut changed = false;
        for smaller in smaller(&smallest) {
            tries += 1;
            if tries > TRIES {
                return smallest;
            }
            if breaks(&smaller) {
                smallest = smaller;
                changed = true;
                break;
            }
        }
        if !changed {
            return smallest;
        }
    }
}

/// The same plan without one thing each, large ones first.
fn smaller(plan: &Plan) -> Vec<Plan> {
    let mut all = Vec::new();
    let mut without = |change: &dyn Fn(&mut Plan)| {
        let mut smaller = plan.clone();
        change(&mut smaller);
        all.push(smaller);
    };
    for caller in 0..plan.callers.len() {
        without(&|it| drop(it.callers.remove(caller)));
    }
    for epoch in 0..plan.epochs.len() {
        if plan.epochs[epoch].strength > 0 {
            without(&|it| it.epochs[epoch].strength = 0);
        }
    }
    for class in CLASSES.iter().filter(|class| plan.has(**class)) {
        without(&|it| it.classes.retain(|other| other != class));
    }
    for trouble in 0..plan.troubles.len() {
        without(&|it| drop(it.troubles.remove(trouble)));
    }
    for caller in 0..plan.callers.len() {
        for step in 0..plan.callers[caller].len() {
            without(&|it| drop(it.callers[caller].remove(step)));
            if plan.callers[caller][step].whim != Whim::None {
                without(&|it| it.callers[caller][step].whim = Whim::None);
            }
        }
    }
    if plan.project.is_some() {
        without(&|it| it.project = None);
    }
    if plan.checks {
        without(&|it| it.checks = false);
    }
    if plan.total.is_some() {
        without(&|it| it.total = None);
    }
    for caller in 0..plan.callers.len() {
        for step in 0..plan.callers[caller].len() {
            let pause = plan.callers[caller][step].pause;
            if pause > Duration::from_secs(1) {
                without(&|it| it.callers[caller][step].pause = pause / 10);
            }
        }
    }
    all
}
