//! The report of each run.

use std::time::Duration;

use crate::situations::{SITUATIONS, Situation};
use crate::stage::{Played, Stage};
use crate::way::Way;

/// A row of the table, and what is wrong.
#[derive(Clone)]
pub(crate) struct Row {
    situation: &'static Situation,
    text: String,
    complaints: Vec<String>,
    /// The first of each kind of failure, in full.
    examples: Vec<String>,
}

const HEAD: &str = "\
| gateway | situation | transport | calls | failed | of these carried out | doubled | wrong | sessions left | seconds | |
|---|---|---|---|---|---|---|---|---|---|---|";

/// Prints the table, and whatever is worth knowing. Says whether everything is as expected.
pub(crate) fn show(rows: &[Row]) -> bool {
    println!("\n{HEAD}");
    for row in rows {
        println!("{}", row.text);
    }
    println!("\nExpected, besides that no POST is doubled, no answer wrong and no session left:\n");
    let is_shown =
        |situation: &&Situation| rows.iter().any(|row| std::ptr::eq(row.situation, *situation));
    for situation in SITUATIONS.iter().filter(is_shown) {
        println!("- {}: {}", situation.name, situation.expected);
    }
    let failures = rows.iter().filter(|row| !row.examples.is_empty());
    println!("\nThe first failure of each kind:");
    for row in failures {
        print(row, &row.examples);
    }
    let failed: Vec<&Row> = rows.iter().filter(|row| !row.complaints.is_empty()).collect();
    for row in &failed {
        print(row, &row.complaints);
    }
    println!("\n{} runs, {} FAILED", rows.len(), failed.len());
    failed.is_empty()
}

fn print(row: &Row, lines: &[String]) {
    println!("\n{}", row.text);
    for line in lines {
        println!("    {line}");
    }
}

impl Row {
    pub(crate) fn of_run(
        situation: &'static Situation,
        stage: &Stage<'_>,
        played: &Played,
        took: Duration,
    ) -> Self {
        let Played { site, tally } = played;
        let evidence = site.evidence(tally);
        let labels = tally.by_label();
        let failed: Vec<String> =
            labels.iter().map(|(label, (count, _))| format!("{count} {label}")).collect();
        let failed = if failed.is_empty() { "0".to_owned() } else { failed.join(", ") };
        let complaints = complaints(situation, stage.way, played);
        let verdict = if complaints.is_empty() { "ok" } else { "FAILED" };
        let wrong = tally.wrong.len() + evidence.invented.len();
        let text = format!(
            "| {} | {} | {} | {} | {failed} | {} | {} | {wrong} | {} | {:.1} | {verdict} |",
            stage.installed.kind,
            situation.name,
            stage.way,
            tally.calls(),
            evidence.unanswered,
            evidence.doubled.len(),
            evidence.left,
            took.as_secs_f64(),
        );
        let examples = labels.iter().map(|(label, (_, text))| format!("{label}: {text}")).collect();
        Self { situation, text, complaints, examples }
    }

    /// Of a run that could not be made, or came to no end.
    pub(crate) fn of_failure(
        situation: &'static Situation,
        stage: &Stage<'_>,
        why: String,
    ) -> Self {
        let (kind, name, way) = (stage.installed.kind, situation.name, stage.way);
        let text = format!("| {kind} | {name} | {way} | | | | | | | | FAILED |");
        Self { situation, text, complaints: vec![why], examples: Vec::new() }
    }
}

fn complaints(situation: &Situation, way: Way, played: &Played) -> Vec<String> {
    let Played { site, tally } = played;
    let evidence = site.evidence(tally);
    let mut complaints = tally.complaints.clone();
    complaints.extend(tally.wrong.iter().cloned());
    complaints.extend(evidence.offences);
    let mark = |what: &'static str| move |mark: &String| format!("the POST {mark} was {what}");
    complaints.extend(evidence.doubled.iter().map(mark("carried out more than once")));
    complaints.extend(evidence.invented.iter().map(mark("answered and never carried out")));
    if evidence.left > 0 {
        complaints.push(format!("{} sessions are left", evidence.left));
    }
    let (may, may_not): (Vec<_>, Vec<_>) =
        tally.failures.iter().partition(|failure| (situation.may_fail)(failure));
    let at_most = (situation.at_most)(way);
    if may.len() > at_most {
        complaints.push(format!("{} calls failed, where {at_most} may", may.len()));
    }
    if !may_not.is_empty() {
        complaints.push(format!("{} calls failed that should not", may_not.len()));
    }
    complaints
}
