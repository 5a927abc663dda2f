//! What a request may cost at most, and the table of what it costs, which two programs fill.

use crate::clients::named;

/// What may not be exceeded, a line each: name, allocations, bytes, instructions in hundredths of
/// those of hyper-util's client.
const LIMITS: &str = include_str!("costs.txt");

/// `sockets` adds its columns to those of `allocated`.
pub(crate) const TABLE: &str = "Costs of a request of 200 bytes over HTTP/1.1";

#[allow(dead_code, reason = "each of the two programs checks a part")]
pub(crate) struct Limit {
    name: &'static str,
    pub(crate) allocations: u64,
    pub(crate) bytes: u64,
    /// Of instructions, to those of the client that all are compared with.
    pub(crate) ratio: f64,
}

/// That of the client of this name, if it has one.
///
/// # Panics
///
/// If a line is not a limit, or not of a client that can be counted: it would not be checked.
pub(crate) fn limit(name: &str) -> Option<Limit> {
    let lines = LIMITS.lines().filter(|line| !line.starts_with('#'));
    let mut limits = lines.map(|line| read(line).unwrap_or_else(|| panic!("costs.txt: {line}")));
    limits.find(|limit| limit.name == name)
}

fn read(line: &'static str) -> Option<Limit> {
    let (name, numbers) = line.split_once(':')?;
    let numbers: Result<Vec<u64>, _> = numbers.split_whitespace().map(str::parse).collect();
    let [allocations, bytes, hundredths] = numbers.ok()?[..] else { return None };
    let ratio = hundredths as f64 / 100.0;
    named(name).alone.then_some(Limit { name, allocations, bytes, ratio })
}
