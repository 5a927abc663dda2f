//! Rules for every text file.

use std::path::{Component, Path, PathBuf};

use crate::file::File;

/// Whether a file (relative to the root) exists.
type Exists<'a> = &'a dyn Fn(&Path) -> bool;

pub(crate) fn check(file: &File, files: &[File], exists: Exists<'_>) -> Vec<String> {
    let mut complaints = spaces(file);
    complaints.extend(unfinished(file));
    complaints.extend(links(file, files, exists));
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

/// Relative links lead to a file and, where they name one, to a heading in it.
fn links(file: &File, files: &[File], exists: Exists<'_>) -> Vec<String> {
    if !file.path.ends_with(".md") {
        return Vec::new();
    }
    let folder = Path::new(&file.path).parent().unwrap_or_else(|| Path::new(""));
    let mut complaints = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        for link in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (target, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = match target {
                "" => PathBuf::from(&file.path),
                target => normal(&folder.join(target)),
            };
            let mut texts = files.iter().filter(|file| Path::new(&file.path) == target);
            let heading_found = heading.is_empty()
                || texts.any(|file| anchors(&file.text).any(|anchor| anchor == heading));
            if !exists(&target) || !heading_found {
                complaints.push(file.at(index + 1, &format!("the link to {link} leads nowhere")));
            }
        }
    }
    complaints
}

/// What links to the headings of a document look like.
fn anchors(text: &str) -> impl Iterator<Item = String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| {
        let words = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        words.chars().filter(|letter| letter.is_alphanumeric() || "-_".contains(*letter)).collect()
    })
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
        let text = "# A B, c!\n[a](b.md) [c](../d) [e](https://example.com/x) [f](#a-b-c)\n\
                    [g](gone.md#i) [h](b.md#gone)\n[j](b.md#there)\n";
        let files = [File::new("docs/x.md", text), File::new("docs/b.md", "## There\n")];
        let known = ["docs/b.md", "docs/x.md", "d"];
        let exists = |path: &Path| known.iter().any(|known| path == Path::new(known));
        assert_eq!(
            links(&files[0], &files, &exists),
            [
                "docs/x.md:3: the link to gone.md#i leads nowhere",
                "docs/x.md:3: the link to b.md#gone leads nowhere"
            ]
        );
    }
}
