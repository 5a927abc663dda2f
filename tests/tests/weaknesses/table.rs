//! The tables in `docs/weaknesses.md` and `docs/reliability.md` name tests; here it is made sure that
//! they exist.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const TABLE: &str = include_str!("../../../docs/weaknesses.md");
const RELIABILITY: &str = include_str!("../../../docs/reliability.md");
/// How many weaknesses there are.
const WEAKNESSES: usize = 46;

/// One row: its number, and all its cells as text.
fn rows() -> Vec<(usize, &'static str)> {
    let numbered = TABLE.lines().filter_map(|line| {
        let number = line.strip_prefix("| ")?.split(" |").next()?;
        Some((number.parse().ok()?, line))
    });
    numbered.collect()
}

/// The names of functions in backquotes: `path/to/file.rs::name`.
fn references(text: &str) -> Vec<(&str, &str)> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted
        .filter_map(|code| code.split_once(".rs::").map(|_| code.rsplit_once("::").unwrap()))
        .collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn every_weakness_has_its_row_and_every_row_a_test_or_a_reason() {
    let rows = rows();
    let numbers: Vec<usize> = rows.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=WEAKNESSES).collect::<Vec<_>>());
    for (number, row) in rows {
        let excused = row.contains("Not applicable:") || row.contains("Later:");
        assert!(!references(row).is_empty() || excused, "{number}: {row}");
    }
}

#[test]
fn every_promise_of_reliability_has_a_test() {
    let rows =
        RELIABILITY.lines().filter(|line| line.starts_with("| ") && !line.contains("what holds"));
    let mut promises = 0;
    for row in rows {
        assert!(!references(row).is_empty(), "{row}");
        promises += 1;
    }
    assert!(promises > 10, "{promises}");
}

#[test]
fn every_test_the_table_names_exists_and_is_run() {
    let mut files = BTreeMap::new();
    let mut read = |path: &str| -> String {
        let load =
            || std::fs::read_to_string(root().join(path)).unwrap_or_else(|_| panic!("{path}"));
        files.entry(path.to_owned()).or_insert_with(load).clone()
    };
    let suite = read("tests/suite/src/cases/mod.rs");
    let all = references(TABLE);
    assert!(all.len() >= WEAKNESSES, "{}", all.len());
    for (path, name) in all.into_iter().chain(references(RELIABILITY)) {
        let text = read(path);
        let function = text.find(&format!("fn {name}("));
        let place = function.unwrap_or_else(|| panic!("{path} has no function {name}"));
        if let Some(module) = path.strip_prefix("tests/suite/src/cases/") {
            let case = format!("{}: {name},", module.trim_end_matches(".rs"));
            assert!(suite.contains(&case), "the suite does not run {name}");
        } else {
            let above: Vec<&str> = text[..place].lines().rev().take(4).collect();
            let marked =
                above.iter().any(|line| line.contains("#[test]") || line.contains("::test"));
            assert!(marked, "{path}: {name} is not a test");
            assert!(!above.iter().any(|line| line.contains("#[ignore")), "{name} is not run");
        }
    }
}

#[test]
fn a_name_that_does_not_exist_would_be_noticed() {
    let found = references("| 1 | a `token` | `tests/tests/idle.rs::some_name`, `x.rs::y` |");
    assert_eq!(found, [("tests/tests/idle.rs", "some_name"), ("x.rs", "y")]);
}
