//! The peak of this process's memory while something is done.

use std::fs;
use std::process::Command;

/// Says so to the process that is measured.
const VARIABLE: &str = "MSTR_TEST_HOSTILE";

pub(crate) fn is_measured() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

/// Runs this test in a process that gives freed memory back to the system at once, where its
/// allocator is glibc's: what was freed would hide what comes next.
pub(crate) fn start_again(test: &str) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(VARIABLE, "yes")
        .env("MALLOC_MMAP_THRESHOLD_", "65536")
        .env("MALLOC_TRIM_THRESHOLD_", "65536")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

/// Does this, and says how much memory it took at its peak, in KiB, where the system tells.
pub(crate) fn of<T>(work: impl FnOnce() -> T) -> (T, Option<u64>) {
    // Sets the peak to what there is now.
    let before = fs::write("/proc/self/clear_refs", "5").ok().and_then(|()| read("VmRSS:"));
    let done = work();
    let peak = read("VmHWM:").zip(before).map(|(peak, before)| peak.saturating_sub(before));
    (done, peak)
}

fn read(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}
