//! What one call costs that other programs count: callgrind its instructions, strace its system calls.
//!
//! The program that measures starts itself under them, with words by which it makes calls and nothing else,
//! so many times and then more times. The difference, divided, is one call without what happens once.

use std::io::{self, ErrorKind};
use std::process::Command;

/// Why there are no [`instructions`].
pub const NO_VALGRIND: &str = "SKIPPED: valgrind is not installed";
/// Why there are no [`system_calls`].
pub const NO_STRACE: &str = "SKIPPED: strace is not installed, or may not trace here";

/// How often the call is made, at first and then.
pub type Times = [u64; 2];

/// Instructions of one of the calls that this program makes with these words and their number after them.
/// None where valgrind is not installed.
///
/// # Panics
///
/// If this program fails under valgrind.
#[must_use]
pub fn instructions(words: &[&str], times: Times) -> Option<u64> {
    let tool = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"];
    match one_call(&tool, words, times, collected) {
        Ok(counted) => Some(counted as u64),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => panic!("valgrind: {error}"),
    }
}

/// System calls of the same. None where strace is not installed, or is not allowed to trace, which some
/// containers forbid.
#[must_use]
pub fn system_calls(words: &[&str], times: Times) -> Option<f64> {
    one_call(&["strace", "-f", "-c", "-q"], words, times, total).ok()
}

/// `==1234== Collected : 56789`
fn collected(said: &str) -> Option<u64> {
    let number = said.lines().find_map(|line| line.split_once("Collected :"))?.1;
    number.trim().parse().ok()
}

/// `100.00    0.012345           1      1234        12 total`
fn total(said: &str) -> Option<u64> {
    let line = said.lines().find(|line| line.trim_end().ends_with(" total"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

fn one_call(
    tool: &[&str],
    words: &[&str],
    [few, many]: Times,
    read: fn(&str) -> Option<u64>,
) -> io::Result<f64> {
    let own = std::env::current_exe()?;
    let counted = |times: u64| {
        let mut command = Command::new(tool[0]);
        command.args(&tool[1..]).arg(&own).args(words).arg(times.to_string());
        let output = command.output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        match read(&said) {
            Some(number) if output.status.success() => Ok(number as f64),
            _ => Err(io::Error::other(format!("{}\n{said}", output.status))),
        }
    };
    let (few_cost, many_cost) = (counted(few)?, counted(many)?);
    Ok((many_cost - few_cost) / (many - few) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_in_what_the_tools_say() {
        let callgrind = "==1== Events    : Ir\n==1== Collected : 56789\n==1==\n";
        assert_eq!(collected(callgrind), Some(56_789));
        let strace = "% time     seconds  usecs/call     calls    errors syscall\n\
                      ------ ----------- ----------- --------- --------- ----------------\n \
                      50.00    0.000100           1       600           read\n\
                      100.00    0.000200           1      1234        12 total\n";
        assert_eq!(total(strace), Some(1_234));
        assert_eq!((collected("killed"), total("killed")), (None, None));
    }
}
