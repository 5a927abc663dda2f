//! The cores that a benchmark may use. A program cannot keep itself on some without unsafe code, and has
//! `taskset` do it.

use std::path::Path;
use std::process::Command;

/// Their numbers, which need not begin with 0: a container may have others. Only Linux tells them.
#[must_use]
pub fn allowed() -> Vec<usize> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    numbers(list.unwrap_or_default())
}

/// A program on these cores only.
#[must_use]
pub fn on(cores: &[usize], program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", &list(cores)]).arg(program);
    command
}

/// As `taskset` reads them.
#[must_use]
pub fn list(cores: &[usize]) -> String {
    cores.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// `0-2,5`
fn numbers(list: &str) -> Vec<usize> {
    let ranges = list.trim().split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse().ok()?..=last.parse().ok()?)
    });
    ranges.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_listed_one_by_one_and_in_ranges() {
        assert_eq!(numbers("\t0-2,5\n"), [0, 1, 2, 5]);
        assert_eq!(list(&numbers("4")), "4");
        assert!(numbers("").is_empty());
    }
}
