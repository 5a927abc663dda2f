//! Our traffic against what the vendor's client sends in the same situations.
//!
//! `tests/fixtures/transcripts` has what was recorded. A line that we send and it does not, or the
//! reverse, stands in `tests/fixtures/parity`, with the row of `docs/parity.md` that says why.

#![expect(clippy::unwrap_used, reason = "this is test code")]

mod rows;
mod situations;
mod wire;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use mstr_suite::Lab;

use self::situations::{Rig, SITUATIONS};

fn fixtures(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(folder)
}

/// The names of the files of this kind in a folder of fixtures.
fn names(folder: &str, extension: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(fixtures(folder)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}

/// The requests of the vendor's client.
fn recorded(situation: &str) -> Vec<String> {
    let text = std::fs::read_to_string(fixtures("transcripts").join(format!("{situation}.txt")));
    let text = text.unwrap();
    text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

/// The differences that are known, each as the id of its row and the line with its sign.
fn known(situation: &str) -> Vec<(String, String)> {
    let path = fixtures("parity").join(format!("{situation}.diff"));
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let split = |line: &str| {
        let (row, line) = line.split_once(": ").unwrap();
        (row.to_owned(), line.to_owned())
    };
    text.lines().filter(|line| !line.is_empty()).map(split).collect()
}

#[test]
fn requests_equal_the_vendor_s_client_s_but_for_the_differences_in_the_table() {
    let mut complaints = String::new();
    for situation in SITUATIONS {
        let sent = Rc::new(RefCell::new(Vec::new()));
        let noted = Rc::clone(&sent);
        Lab::in_memory(|lab| {
            let rig = Rig::new(&lab, (situation.server)());
            let capture = rig.capture.clone();
            let program = (situation.program)(rig);
            async move {
                program.await;
                *noted.borrow_mut() = wire::lines(&capture.captured());
            }
        });
        let sent = sent.take();
        let found = wire::difference(&recorded(situation.name), &sent);
        let known: Vec<String> = known(situation.name).into_iter().map(|(_, line)| line).collect();
        if found != known {
            complaints.push_str(&format!(
                "== {}\nfound:\n{}\nknown:\n{}\n",
                situation.name,
                found.join("\n"),
                known.join("\n")
            ));
        }
    }
    assert!(complaints.is_empty(), "{complaints}");
}

#[test]
fn every_recorded_situation_is_compared() {
    let compared: BTreeSet<String> =
        SITUATIONS.iter().map(|situation| situation.name.to_owned()).collect();
    assert_eq!(compared.len(), SITUATIONS.len(), "no name twice");
    assert_eq!(compared, names("transcripts", "txt"));
    assert!(compared.len() >= 35, "{}", compared.len());
    assert!(names("parity", "diff").is_subset(&compared));
}
