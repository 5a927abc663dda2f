//! What figures were measured on: neither the name of the machine nor a path on it.

use std::fs;
use std::process::Command;

use crate::command::{Outcome, git, output, root};

pub(super) fn described(quick: bool) -> Outcome<Vec<(String, String)>> {
    let cores = match std::thread::available_parallelism().map(usize::from) {
        Ok(1) => "1 core".to_owned(),
        Ok(cores) => format!("{cores} cores"),
        Err(error) => return Err(error.to_string()),
    };
    let mut machine = vec![
        ("processor", format!("{}, {cores}", processor())),
        ("system", system()),
        (
            "compiler",
            output(Command::new("rustc").arg("--version").current_dir(root()))?.trim().to_owned(),
        ),
        ("revision", revision()?),
    ];
    if quick {
        machine.push(("rounds", "few (--quick), so these numbers are rough".to_owned()));
    }
    Ok(machine.into_iter().map(|(subject, said)| (subject.to_owned(), said)).collect())
}

fn processor() -> String {
    let linux = fs::read_to_string("/proc/cpuinfo").ok();
    let model = linux.as_deref().and_then(|text| value(text, "model name", ':'));
    let mac = || output(Command::new("sysctl").args(["-n", "machdep.cpu.brand_string"])).ok();
    model.or_else(mac).map_or_else(|| std::env::consts::ARCH.to_owned(), |it| it.trim().to_owned())
}

fn system() -> String {
    let linux = fs::read_to_string("/etc/os-release").ok();
    let name = linux.as_deref().and_then(|text| value(text, "PRETTY_NAME", '='));
    let kernel = output(Command::new("uname").args(["-s", "-r"])).ok();
    // Without what a distribution or a host adds to the version.
    let kernel = kernel.map(|it| it.split('-').next().unwrap_or_default().to_owned());
    let said: Vec<String> =
        [name, kernel].into_iter().flatten().map(|it| it.trim().to_owned()).collect();
    if said.is_empty() { std::env::consts::OS.to_owned() } else { said.join(", ") }
}

/// `name: value`, `name="value"`.
fn value(text: &str, name: &str, sign: char) -> Option<String> {
    let pairs = text.lines().filter_map(|line| line.split_once(sign));
    let mut values = pairs.filter(|pair| pair.0.trim() == name).map(|pair| pair.1);
    values.next().map(|value| value.trim().trim_matches('"').to_owned())
}

fn revision() -> Outcome<String> {
    let revision = output(&mut git(&["rev-parse", "--short=12", "HEAD"]))?;
    let changed = output(&mut git(&["status", "--porcelain", "--untracked-files=no"]))?;
    let note = if changed.is_empty() { "" } else { ", with changes that are not committed" };
    Ok(format!("{}{note}", revision.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_their_names() {
        let text = "cpu family\t: 25\nmodel name\t: AMD EPYC: 9\n\nmodel name\t: another\n";
        assert_eq!(value(text, "model name", ':').unwrap(), "AMD EPYC: 9");
        assert_eq!(value("NAME=a\nPRETTY_NAME=\"b c\"\n", "PRETTY_NAME", '=').unwrap(), "b c");
        assert_eq!(value(text, "model", ':'), None);
    }
}
