//! Rules for every text file.

use std::path::{Component, Path, PathBuf};

use super::File;

/// Whether a file (relative to the root) exists.
type Exists<'a> = &'a dyn Fn(&Path) -> bool;

pub(super) fn check(file: &File, exists: Exists<'_>) -> Vec<String> {
    let mut complaints = spaces(file);
    complaints.extend(unfinished(file));
    complaints.extend(links(file, exists));
    complaints
}

fn spaces(file: &File) -> Vec<String> {
    let trailing = |line: &str| line.ends_with([' ', '\t']).then(|| "spaces at its end".to_owned());
    let mut complaints = file.lines(trailing);
    if !file.text.is_empty() && (!file.text.ends_with('\n') || file.text.ends_with("\n\n")) {
        complaints.push(file.at(file.text.lines().count(), "a file ends in one line break"));
    }
    complaints
}

/// Work that is left for later has an issue.
fn unfinished(file: &File) -> Vec<String> {
    // Put together here, so that this file does not complain about itself.
    let words = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    file.lines(|line| {
        let word = words.iter().find(|word| line.contains(**word))?;
        let numbered = line.split('#').skip(1).any(|rest| rest.starts_with(char::is_numeric));
        (!numbered).then(|| format!("{word} without the number of an issue (#12)"))
    })
}

/// Relative links lead somewhere.
fn links(file: &File, exists: Exists<'_>) -> Vec<String> {
    if !file.path.ends_with(".md") {
        return Vec::new();
    }
    let folder = Path::new(&file.path).parent().unwrap_or_else(|| Path::new(""));
    let mut complaints = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        for link in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            if !exists(&normal(&folder.join(target))) {
                complaints.push(file.at(index + 1, &format!("the link to {link} leads nowhere")));
            }
        }
    }
    complaints
}

fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailing_spaces_and_missing_line_breaks_are_found() {
        assert_eq!(spaces(&File::new("a.rs", "fine\n")).len(), 0);
        assert_eq!(spaces(&File::new("a.rs", "bad \n")), ["a.rs:1: spaces at its end"]);
        assert_eq!(spaces(&File::new("a.rs", "no end")).len(), 1);
        assert_eq!(spaces(&File::new("a.rs", "two\n\n")).len(), 1);
    }

    #[test]
    fn unfinished_work_needs_an_issue() {
        let word = concat!("TO", "DO");
        assert_eq!(unfinished(&File::new("a.rs", &format!("// {word}: later\n"))).len(), 1);
        assert_eq!(unfinished(&File::new("a.rs", &format!("// {word}(#12): later\n"))).len(), 0);
    }

    #[test]
    fn links_that_lead_nowhere_are_found() {
        let text = "[a](b.md) [c](../d) [e](https://example.com/x) [f](#g) [h](gone.md#i)\n";
        let file = File::new("docs/x.md", text);
        let exists = |path: &Path| path == Path::new("docs/b.md") || path == Path::new("d");
        assert_eq!(links(&file, &exists), ["docs/x.md:1: the link to gone.md#i leads nowhere"]);
    }
}
