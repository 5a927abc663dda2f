//! The table of deliberate differences.

use std::collections::BTreeSet;

use super::{known, names};

const TABLE: &str = include_str!("../../../docs/parity.md");

/// The ids of its rows, and the reasons beside them.
fn rows() -> Vec<(String, String)> {
    let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    TABLE
        .lines()
        .map(cells)
        .filter(|cells| cells.len() == 5 && cells[1].starts_with('`'))
        .map(|cells| (cells[1].trim_matches('`').to_owned(), cells[3].clone()))
        .collect()
}

#[test]
fn every_row_has_a_reason_and_is_used_and_every_difference_has_a_row() {
    let rows = rows();
    for (row, reason) in &rows {
        assert!(reason.len() > 20, "{row} has no reason");
    }
    let listed: BTreeSet<String> = rows.iter().map(|(row, _)| row.clone()).collect();
    assert_eq!(listed.len(), rows.len(), "no id twice");
    let used: BTreeSet<String> = names("parity", "diff")
        .iter()
        .flat_map(|situation| known(situation))
        .map(|(row, _)| row)
        .collect();
    assert_eq!(used, listed);
}
