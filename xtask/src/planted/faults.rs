//! The planted faults: files in `tests/simulate/planted`, and what they make of the sources.
//!
//! A file is a fault, and has its name. It begins with what the fault is, which promise it breaks and
//! which test of this repository notices it. Then come its changes: a file, whole lines that are there
//! exactly once, and the lines that replace them.
//!
//! ```text
//! what: The password is sent twice.
//! breaks: docs/reliability.md, "a refused password".
//! noticed: tests/tests/reliability/refusals.rs::name_of_a_test
//!
//! file: crates/mstr-core/src/session/opening.rs
//! <<<<
//!         self.refuse(error);
//! ====
//!         if !crate::planted::is("password-twice") {
//!             self.refuse(error);
//!         }
//! >>>>
//! ```

use std::collections::BTreeMap;
use std::fs;

use crate::command::{Outcome, root};

/// Where they are.
const FOLDER: &str = "tests/simulate/planted";
/// In these folders there. What a blind one is, is not told.
const FOLDERS: [&str; 2] = ["known", BLIND];
const BLIND: &str = "blind";
/// The module that says which fault is switched on is in this crate.
const CRATE: &str = "crates/mstr-core/src/";
const ROOT: &str = "crates/mstr-core/src/lib.rs";
const MODULE: &str = "crates/mstr-core/src/planted.rs";
const SWITCH: &str = r#"//! Which planted fault is switched on.

use std::sync::OnceLock;

/// Whether it is the one of this name.
pub(crate) fn is(name: &str) -> bool {
    static CHOSEN: OnceLock<String> = OnceLock::new();
    CHOSEN.get_or_init(|| std::env::var("MSTR_PLANTED").unwrap_or_default()) == name
}
"#;

/// A fault, and how the sources are changed to have it.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) name: String,
    what: String,
    /// A test of this repository, as `file::name`.
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers, and for a test"))]
    noticed: String,
    /// The simulation's authors have not read it.
    blind: bool,
    changes: Vec<Change>,
}

#[derive(Debug)]
struct Change {
    file: String,
    /// Whole lines.
    find: String,
    replacement: String,
}

/// All of them, in the order of their folders and names.
pub(super) fn all() -> Outcome<Vec<Fault>> {
    let mut faults = Vec::new();
    for folder in FOLDERS {
        let folder = format!("{FOLDER}/{folder}");
        let entries = fs::read_dir(root().join(&folder)).map_err(|it| format!("{folder}: {it}"))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| format!("{folder}: {error}"))?;
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        for file in names {
            let path = format!("{folder}/{file}");
            let Some(name) = file.strip_suffix(".fault") else {
                return Err(format!("{path} is not a planted fault: those end with .fault"));
            };
            let fault = Fault::read(name, &crate::command::read(&path)?)?;
            faults.push(Fault { blind: folder.ends_with(BLIND), ..fault });
        }
    }
    Ok(faults)
}

/// The files that differ with all faults in them, and the switch. `source` gives a file of the
/// workspace.
pub(super) fn plant(
    faults: &[Fault],
    source: impl Fn(&str) -> Outcome<String>,
) -> Outcome<BTreeMap<String, String>> {
    let mut changes: BTreeMap<&str, Vec<(&Fault, &Change)>> = BTreeMap::new();
    for fault in faults {
        for change in &fault.changes {
            changes.entry(&change.file).or_default().push((fault, change));
        }
    }
    let mut planted = BTreeMap::new();
    for (file, changes) in changes {
        let text = source(file).map_err(|error| {
            let names: Vec<&str> = changes.iter().map(|(fault, _)| &*fault.name).collect();
            let names = names.join(", ");
            format!("a file that is to have the planted faults {names} is not there: {error}")
        })?;
        planted.insert(file.to_owned(), changed(file, &text, &changes)?);
    }
    let lib = match planted.remove(ROOT) {
        Some(lib) => lib,
        None => source(ROOT)?,
    };
    planted.insert(ROOT.to_owned(), lib + "\nmod planted;\n");
    planted.insert(MODULE.to_owned(), SWITCH.to_owned());
    Ok(planted)
}

/// A file with all its changes. Each is looked for in the text as it is, so their order means nothing.
fn changed(file: &str, text: &str, changes: &[(&Fault, &Change)]) -> Outcome<String> {
    let mut places = Vec::new();
    for (fault, change) in changes {
        let found: Vec<usize> = text
            .match_indices(&change.find)
            .map(|(index, _)| index)
            .filter(|index| text[..*index].ends_with('\n') || *index == 0)
            .collect();
        let name = &fault.name;
        match *found {
            [index] => places.push((index, *fault, *change)),
            [] => {
                return Err(format!(
                    "the planted fault {name} is stale: {file} does not have these lines, which it \
                     replaces:\n{}",
                    change.find
                ));
            }
            _ => {
                return Err(format!(
                    "the planted fault {name} is ambiguous: {file} has these lines {} times, and \
                     one place is to be replaced:\n{}",
                    found.len(),
                    change.find
                ));
            }
        }
    }
    places.sort_by_key(|(index, ..)| *index);
    let (mut planted, mut end, mut before) = (String::new(), 0, "");
    for (index, fault, change) in places {
        if index < end {
            return Err(format!(
                "the planted faults {before} and {} replace the same lines of {file}",
                fault.name
            ));
        }
        planted.push_str(&text[end..index]);
        planted.push_str(&change.replacement);
        (end, before) = (index + change.find.len(), &fault.name);
    }
    planted.push_str(&text[end..]);
    Ok(planted)
}

impl Fault {
    /// Reads a fault's file.
    fn read(name: &str, text: &str) -> Outcome<Self> {
        let wrong = |why: String| format!("the planted fault {name}: {why}");
        let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
        let mut head = BTreeMap::new();
        let mut file = None;
        let mut changes = Vec::new();
        while let Some((number, line)) = lines.next() {
            if line.is_empty() {
                continue;
            }
            if line == "<<<<" {
                let file = file.take().ok_or_else(|| {
                    wrong(format!("line {number}: a line \"file: …\" has to be before <<<<"))
                })?;
                let mut until = |end: &str| {
                    let mut part = String::new();
                    for (_, line) in lines.by_ref() {
                        if line == end {
                            return Ok(part);
                        }
                        part.push_str(line);
                        part.push('\n');
                    }
                    Err(wrong(format!("the change that begins at line {number} has no {end}")))
                };
                let (find, replacement) = (until("====")?, until(">>>>")?);
                if find.is_empty() {
                    return Err(wrong(format!("line {number}: no lines to be replaced")));
                }
                changes.push(Change { file, find, replacement });
                continue;
            }
            match line.split_once(": ") {
                Some(("file", path)) if path.starts_with(CRATE) => file = Some(path.to_owned()),
                Some(("file", path)) => {
                    return Err(wrong(format!("{path} is not in {CRATE}, where the switch is")));
                }
                Some((key @ ("what" | "breaks" | "noticed"), value)) => {
                    head.insert(key, value.to_owned());
                }
                _ => return Err(wrong(format!("line {number} is not understood: {line}"))),
            }
        }
        for key in ["what", "breaks", "noticed"] {
            if !head.contains_key(key) {
                return Err(wrong(format!("a line \"{key}: …\" is missing")));
            }
        }
        let switch = format!("crate::planted::is(\"{name}\")");
        if !changes.iter().any(|change| change.replacement.contains(&switch)) {
            return Err(wrong(format!("nothing is behind {switch}")));
        }
        let mut take = |key| head.remove(key).unwrap_or_default();
        let (what, noticed) = (take("what"), take("noticed"));
        Ok(Self { name: name.to_owned(), what, noticed, blind: false, changes })
    }

    /// What is told of one that was not found.
    pub(super) fn told(&self) -> &str {
        if self.blind { "a blind one" } else { &self.what }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::read;

    const FILE: &str = "crates/mstr-core/src/a.rs";

    /// A fault that replaces `find` in [`FILE`] by itself and the switch.
    fn fault(name: &str, find: &str) -> Outcome<Fault> {
        let text = format!(
            "what: w\nbreaks: b\nnoticed: n\n\nfile: {FILE}\n<<<<\n{find}\n====\n{find}\n\
             crate::planted::is(\"{name}\")\n>>>>\n"
        );
        Fault::read(name, &text)
    }

    fn planted(text: &str, faults: &[(&str, &str)]) -> Outcome<String> {
        let faults: Outcome<Vec<Fault>> = faults.iter().map(|(name, it)| fault(name, it)).collect();
        let source = |path: &str| match path {
            FILE => Ok(text.to_owned()),
            ROOT => Ok("//! The crate.\n".to_owned()),
            _ => Err(format!("{path}: no such file")),
        };
        let mut planted = plant(&faults?, source)?;
        assert_eq!(planted[ROOT], "//! The crate.\n\nmod planted;\n");
        assert!(planted[MODULE].contains("MSTR_PLANTED"));
        Ok(planted.remove(FILE).expect("the file"))
    }

    #[test]
    fn faults_apply_to_the_sources_as_they_are() {
        let faults = all().expect("the faults");
        let planted = plant(&faults, read).expect("a text that each fault replaces");
        assert!(planted.len() > 2, "no fault changes anything");
    }

    #[test]
    fn faults_name_a_test_that_notices_them() {
        for fault in all().expect("the faults") {
            let (file, test) = fault.noticed.split_once("::").expect("a file and a test");
            let text = read(file).expect("the file of a test");
            assert!(text.contains(&format!("fn {test}(")), "{}: {}", fault.name, fault.noticed);
        }
    }

    #[test]
    fn fault_replaces_whole_lines_wherever_the_others_are() {
        let text = "    one\none\ntwo\nthree\n";
        let both = planted(text, &[("b", "three"), ("a", "one")]).expect("both");
        let (a, b) = ("crate::planted::is(\"a\")", "crate::planted::is(\"b\")");
        assert_eq!(both, format!("    one\none\n{a}\ntwo\nthree\n{b}\n"));
    }

    #[test]
    fn fault_that_is_stale_or_ambiguous_is_named_with_its_file_and_text() {
        let stale = planted("two\n", &[("a", "one")]).expect_err("stale");
        assert!(stale.contains("fault a is stale: crates/mstr-core/src/a.rs"), "{stale}");
        assert!(stale.ends_with(":\none\n"), "{stale}");
        let twice = planted("one\ntwo\none\n", &[("a", "one")]).expect_err("twice");
        assert!(twice.contains("a.rs has these lines 2 times"), "{twice}");
        let both = planted("one\ntwo\n", &[("a", "one\ntwo"), ("b", "two")]).expect_err("both");
        assert!(both.contains("faults a and b replace the same lines"), "{both}");
    }

    #[test]
    fn fault_in_an_unknown_file_is_named() {
        let faults = [fault("a", "one").expect("a fault")];
        let error = plant(&faults, |path| Err(format!("{path}: no such file"))).expect_err("none");
        assert!(error.contains("is to have the planted faults a is not there"), "{error}");
        assert!(error.contains(FILE), "{error}");
    }

    #[test]
    fn file_of_a_fault_that_is_wrong_says_where() {
        let head = "what: w\nbreaks: b\nnoticed: n\n";
        let change = "file: crates/mstr-core/src/a.rs\n<<<<\none\n====\ntwo\n>>>>\n";
        for (text, why) in [
            (format!("what: w\n{change}"), "\"breaks: …\" is missing"),
            (format!("{head}{change}"), "nothing is behind crate::planted::is(\"a\")"),
            (format!("{head}<<<<\n"), "line 4: a line \"file: …\" has to be before"),
            (format!("{head}{}", &change[..change.len() - 5]), "line 5 has no >>>>"),
            (format!("{head}file: crates/mstr/src/lib.rs\n"), "is not in crates/mstr-core/src/"),
            (format!("{head}why: so\n"), "line 4 is not understood: why: so"),
            (format!("{head}{}", change.replace("one\n", "")), "no lines to be replaced"),
        ] {
            let error = Fault::read("a", &text).expect_err(why);
            assert!(error.contains(why), "{error}");
        }
    }
}
