//! Links to the documentation on docs.rs, compared with the pages that rustdoc has just written.

use std::fs;
use std::path::Path;

use crate::command::{Outcome, target};
use crate::packages::packages;
use crate::tidy::{self, File};

/// Complains about each link to a page or anchor of this project that is not there.
///
/// Needs `cargo doc` to have run.
pub(crate) fn check() -> Outcome {
    let pages = target()?.join("doc");
    let documents = tidy::files()?;
    let mut complaints = Vec::new();
    let mut count = 0;
    for package in packages()? {
        let start = format!("https://docs.rs/{}/latest/", package.name);
        for File { path, text } in documents.iter().filter(|file| file.path.ends_with(".md")) {
            for (line, page) in links(text, &start) {
                count += 1;
                if let Some(problem) = problem(&pages, page) {
                    complaints.push(format!("{path}:{line}: {start}{page}: {problem}"));
                }
            }
        }
    }
    if complaints.is_empty() {
        println!("    {count} links to docs.rs, all of them to something");
        return Ok(());
    }
    Err(complaints.join("\n"))
}

/// What follows `start` in each link, and its line.
fn links<'a>(text: &'a str, start: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
    text.lines().enumerate().flat_map(move |(index, line)| {
        let ends = |character: char| ")>\"' `".contains(character);
        let rests = line.split(start).skip(1);
        rests.map(move |rest| (index + 1, rest.split(ends).next().unwrap_or_default()))
    })
}

/// Why a link into this folder leads nowhere.
fn problem(folder: &Path, link: &str) -> Option<&'static str> {
    let (page, anchor) = link.split_once('#').unwrap_or((link, ""));
    let page = if page.ends_with('/') { format!("{page}index.html") } else { page.to_owned() };
    let Ok(html) = fs::read_to_string(folder.join(page)) else {
        return Some("there is no such page");
    };
    let there = anchor.is_empty() || html.contains(&format!("id=\"{anchor}\""));
    (!there).then_some("the page has no such anchor")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_with_their_line() {
        let text = "x\n[a](https://docs.rs/m/latest/m/a.html) [b](https://docs.rs/m/latest/m/#c)\n";
        let found: Vec<_> = links(text, "https://docs.rs/m/latest/").collect();
        assert_eq!(found, [(2, "m/a.html"), (2, "m/#c")]);
        assert_eq!(links(text, "https://docs.rs/other/latest/").count(), 0);
    }

    #[test]
    fn a_missing_page_or_anchor_is_a_problem() {
        let folder = std::env::temp_dir().join(format!("xtask-addresses-{}", std::process::id()));
        fs::create_dir_all(folder.join("m")).unwrap();
        fs::write(folder.join("m/index.html"), "<section id=\"method.a\">").unwrap();
        assert_eq!(problem(&folder, "m/index.html"), None);
        assert_eq!(problem(&folder, "m/#method.a"), None);
        assert_eq!(problem(&folder, "m/#method.b"), Some("the page has no such anchor"));
        assert_eq!(problem(&folder, "m/struct.A.html"), Some("there is no such page"));
        fs::remove_dir_all(&folder).unwrap();
    }
}
