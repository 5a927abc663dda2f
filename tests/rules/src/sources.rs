//! Rules for Rust files: the laws that a text shows.

use crate::file::File;

/// The longest a source file may be.
const LIMIT: usize = 600;
/// The sans-IO machines.
const MACHINES: [&str; 2] = ["crates/mstr-core/src/session/", "crates/mstr-core/src/call/"];
/// Where secrets are read in clear, and where that is defined.
const READS_SECRETS: [&str; 3] = [
    "crates/mstr-core/src/protocol/wire.rs",
    "crates/mstr-core/src/protocol/record.rs",
    "crates/mstr-core/src/protocol/secret.rs",
];

pub(crate) fn check(file: &File) -> Vec<String> {
    let mut complaints = Vec::new();
    complaints.extend(length(file));
    complaints.extend(essay(file));
    complaints.extend(unsafe_code(file));
    complaints.extend(machine(file));
    complaints.extend(secrets(file));
    complaints.extend(enums(file));
    complaints.extend(tests(file));
    complaints
}

fn length(file: &File) -> Option<String> {
    let lines = file.text.lines().count();
    (lines > LIMIT).then(|| file.at(lines, &format!("{LIMIT} lines are enough: split it")))
}

/// Every file says first what it is.
fn essay(file: &File) -> Option<String> {
    let says = file.text.starts_with("//!");
    (!says).then(|| file.at(1, "a file begins with //! and what it is"))
}

fn unsafe_code(file: &File) -> Option<String> {
    let path = &file.path;
    let is_root =
        path.ends_with("src/lib.rs") || path.ends_with("src/main.rs") || path.contains("/src/bin/");
    let forbidden = file.text.contains("#![forbid(unsafe_code)]");
    (is_root && !forbidden).then(|| file.at(1, "#![forbid(unsafe_code)] is missing"))
}

/// The machine decides and does nothing: no waiting, no sending, no clock.
fn machine(file: &File) -> Vec<String> {
    let is_machine = MACHINES.iter().any(|folder| file.path.starts_with(folder));
    if !is_machine || file.path.contains("/tests") {
        return Vec::new();
    }
    let forbidden = ["async", "await", "Future", "Mutex", "Transport", "Timer", "Waker"];
    file.lines(|line| {
        let code = line.split("//").next().unwrap_or_default();
        let word = words(code).find(|word| forbidden.contains(word));
        let word = word.or_else(|| code.contains("Instant::now").then_some("Instant::now"));
        word.map(|word| format!("{word} has no place in the machine: let the drivers do it"))
    })
}

fn secrets(file: &File) -> Vec<String> {
    if READS_SECRETS.contains(&file.path.as_str()) || !file.path.starts_with("crates/mstr-core/") {
        return Vec::new();
    }
    file.lines(|line| {
        line.contains(concat!(".expose", "()"))
            .then(|| "secrets are read in clear in protocol/wire.rs and record.rs only".to_owned())
    })
}

/// Every public enum can grow, or says why it cannot.
fn enums(file: &File) -> Vec<String> {
    if !file.path.starts_with("crates/") {
        return Vec::new();
    }
    let lines: Vec<&str> = file.text.lines().collect();
    let mut complaints = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        if !line.trim_start().starts_with("pub enum ") {
            continue;
        }
        let attributes = lines[..index].iter().rev();
        let mut attributes = attributes.take_while(|line| {
            let line = line.trim_start();
            line.starts_with('#')
                || line.starts_with("//")
                || line.starts_with("reason")
                || line == ")]"
        });
        let decided = attributes
            .any(|line| line.contains("non_exhaustive") || line.contains("exhaustive_enums"));
        if !decided {
            complaints
                .push(file.at(index + 1, "a public enum is #[non_exhaustive] or says why not"));
        }
    }
    complaints
}

/// A test is named after what holds, which takes more than a word or two.
fn tests(file: &File) -> Vec<String> {
    let mut is_test = false;
    let mut complaints = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        let line = line.trim_start();
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if is_test && let Some((_, rest)) = line.split_once("fn ") {
            is_test = false;
            let name = rest.split('(').next().unwrap_or_default();
            // In a macro the name comes from elsewhere.
            let named = name.starts_with('$') || name.split('_').count() > 2;
            if name.starts_with("test_") || !named {
                let what = format!("the test {name} is named after what holds, as a sentence");
                complaints.push(file.at(index + 1, &what));
            }
        }
    }
    complaints
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|character: char| !(character.is_alphanumeric() || character == '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine_file(text: &str) -> File {
        File::new("crates/mstr-core/src/session/x.rs", text)
    }

    #[test]
    fn the_machine_may_not_wait_or_send() {
        assert_eq!(machine(&machine_file("async fn x() {}\n")).len(), 1);
        assert_eq!(machine(&machine_file("let t: &dyn Transport;\n")).len(), 1);
        assert_eq!(machine(&machine_file("let now = Instant::now();\n")).len(), 1);
        assert_eq!(machine(&machine_file("// async in words\nlet e: TransportError;\n")).len(), 0);
        let call = File::new("crates/mstr-core/src/call/x.rs", "async fn x() {}\n");
        assert_eq!(machine(&call).len(), 1);
        let elsewhere = File::new("crates/mstr-core/src/driver/x.rs", "async fn x() {}\n");
        assert_eq!(machine(&elsewhere).len(), 0);
    }

    #[test]
    fn secrets_are_read_in_one_place() {
        let text = concat!("let clear = token.expose", "();\n");
        assert_eq!(secrets(&File::new("crates/mstr-core/src/request/x.rs", text)).len(), 1);
        assert_eq!(secrets(&File::new(READS_SECRETS[0], text)).len(), 0);
    }

    #[test]
    fn a_public_enum_has_to_decide() {
        let bare = "/// Doc.\n#[derive(Debug)]\npub enum A {}\n";
        assert_eq!(enums(&File::new("crates/a/src/lib.rs", bare)).len(), 1);
        let open = "#[derive(Debug)]\n#[non_exhaustive]\npub enum A {}\n";
        assert_eq!(enums(&File::new("crates/a/src/lib.rs", open)).len(), 0);
        let reasoned = "#[expect(clippy::exhaustive_enums, reason = \"two\")]\npub enum A {}\n";
        assert_eq!(enums(&File::new("crates/a/src/lib.rs", reasoned)).len(), 0);
    }

    #[test]
    fn a_test_is_named_by_a_sentence() {
        let named = |name: &str| tests(&File::new("a.rs", &format!("#[test]\nfn {name}() {{}}\n")));
        assert!(named("closed_stays_closed").is_empty());
        assert_eq!(named("closing").len(), 1);
        assert_eq!(named("test_that_it_works").len(), 1);
        let asynchronous =
            "#[tokio::test(start_paused = true)]\n#[should_panic]\nasync fn x() {}\n";
        assert_eq!(tests(&File::new("a.rs", asynchronous)).len(), 1);
        assert!(tests(&File::new("a.rs", "fn helper() {}\n")).is_empty());
    }

    #[test]
    fn a_file_says_what_it_is_and_is_not_too_long() {
        assert!(essay(&File::new("a.rs", "fn main() {}\n")).is_some());
        assert!(essay(&File::new("a.rs", "//! What.\n")).is_none());
        assert!(length(&File::new("a.rs", &"x\n".repeat(LIMIT + 1))).is_some());
        assert!(length(&File::new("a.rs", &"x\n".repeat(LIMIT))).is_none());
    }

    #[test]
    fn crate_roots_forbid_unsafe_code() {
        assert!(unsafe_code(&File::new("crates/a/src/lib.rs", "//! A.\n")).is_some());
        assert!(unsafe_code(&File::new("crates/a/src/b.rs", "//! B.\n")).is_none());
        let forbidden = "//! A.\n#![forbid(unsafe_code)]\n";
        assert!(unsafe_code(&File::new("crates/a/src/bin/c.rs", forbidden)).is_none());
    }
}
