//! How many lines of code there are: without comments, empty lines and tests.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{ImplItem, Item, Stmt, TraitItem};

use crate::attributes::{is_test, of_impl_item, of_item, of_statement, of_trait_item};
use crate::file::File;
use crate::layers::CRATE;
use crate::modules::Crate;

/// The folders of the core whose sum says how much of it decides and drives.
const SUMMED: [&str; 3] = ["call", "session", "driver"];

/// A table of the lines of these crates; of the core by folder.
pub(crate) fn table(files: &[File], names: &[String]) -> Result<String, String> {
    let mut table = String::new();
    let mut total = 0;
    for name in names {
        let folders = folders(files, name)?;
        let sum = folders.values().sum::<usize>();
        total += sum;
        table.push_str(&row(0, name, sum));
        if name == CRATE {
            for (folder, lines) in &folders {
                table.push_str(&row(2, folder, *lines));
            }
            let summed = SUMMED.iter().filter_map(|folder| folders.get(*folder)).sum();
            table.push_str(&row(2, &SUMMED.join(" + "), summed));
        }
    }
    table.push_str(&row(0, "total", total));
    Ok(table)
}

fn row(indent: usize, name: &str, lines: usize) -> String {
    format!("{:indent$}{name:<width$}{lines:>8}\n", "", width = 32 - indent)
}

/// The lines of a crate by the first folder below `src`; a file at the root stands for itself.
fn folders(files: &[File], name: &str) -> Result<BTreeMap<String, usize>, String> {
    let krate = Crate::read(files, name)?;
    let mut folders = BTreeMap::new();
    for (index, source) in krate.sources.iter().enumerate() {
        let path = krate.path(index);
        let folder = path.split_once('/').map_or(path, |(folder, _)| folder);
        *folders.entry(folder.to_owned()).or_default() += lines(&source.file.text)?;
    }
    // A program is a crate of its own, and counts as a part of its package.
    let bin = format!("{}bin/", krate.folder);
    for file in files.iter().filter(|file| file.is_source() && file.path.starts_with(&bin)) {
        *folders.entry("bin".to_owned()).or_default() += lines(&file.text)?;
    }
    Ok(folders)
}

/// The lines of a file that the compiler reads and that are not tests.
fn lines(text: &str) -> Result<usize, String> {
    let written: Vec<&str> = text.lines().collect();
    let tokens: TokenStream = text.parse().map_err(|error| format!("{error}"))?;
    let mut found = BTreeSet::new();
    collect(tokens, &written, &mut found);
    let mut tests = Tests::default();
    tests.visit_file(&syn::parse_file(text).map_err(|error| error.to_string())?);
    for lines in tests.0 {
        found.retain(|line| !lines.contains(line));
    }
    Ok(found.len())
}

fn collect(tokens: TokenStream, written: &[&str], found: &mut BTreeSet<usize>) {
    for tree in tokens {
        match &tree {
            TokenTree::Group(group) if !is_comment(group.span(), written) => {
                found.extend(range(group.span_open()));
                collect(group.stream(), written, found);
                found.extend(range(group.span_close()));
            }
            tree if !is_comment(tree.span(), written) => {
                // A string may have empty lines in it.
                let is_filled = |line: &usize| {
                    written.get(*line - 1).is_some_and(|text| !text.trim().is_empty())
                };
                found.extend(range(tree.span()).filter(is_filled));
            }
            _ => {}
        }
    }
}

/// Whether this is the attribute that a comment of documentation becomes.
fn is_comment(span: Span, written: &[&str]) -> bool {
    let start = span.start();
    let line = written.get(start.line - 1).copied().unwrap_or_default();
    let rest: String = line.chars().skip(start.column).take(2).collect();
    rest == "//" || rest == "/*"
}

fn range(span: Span) -> RangeInclusive<usize> {
    span.start().line..=span.end().line
}

/// Where that stands which is compiled for tests only.
#[derive(Default)]
struct Tests(Vec<RangeInclusive<usize>>);

impl<'ast> Visit<'ast> for Tests {
    fn visit_item(&mut self, item: &'ast Item) {
        if is_test(of_item(item)) {
            self.0.push(range(item.span()));
        } else {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        if is_test(of_impl_item(item)) {
            self.0.push(range(item.span()));
        } else {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_trait_item(&mut self, item: &'ast TraitItem) {
        if is_test(of_trait_item(item)) {
            self.0.push(range(item.span()));
        } else {
            visit::visit_trait_item(self, item);
        }
    }

    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        if is_test(of_statement(statement)) {
            self.0.push(range(statement.span()));
        } else {
            visit::visit_stmt(self, statement);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_empty_lines_and_tests_are_not_counted_as_code() {
        let text = "\
//! What.
#![forbid(unsafe_code)]

// A comment.
/// A sentence,
/// and one more.
#[must_use]
fn f() -> &'static str { // code
    /* a comment
       over lines */
    \"a string

    // over lines\"
}

#[cfg(test)]
use a::{b, c};

/** More. */
impl X {
    /// For tests.
    #[cfg(test)]
    const ALL: &[u8] = &[
        1,
    ];
}

#[cfg(all(test, unix))]
mod tests {
    fn g() {}
}
";
        assert_eq!(lines(text).unwrap(), 8);
    }

    #[test]
    fn the_core_is_counted_by_folder() {
        let file = |path: &str, text: &str| File::new(&format!("crates/{path}"), text);
        let files = [
            file("mstr-core/src/lib.rs", "mod call;\n"),
            file("mstr-core/src/call/mod.rs", "mod a;\n#[cfg(test)]\nmod tests;\n"),
            file("mstr-core/src/call/a.rs", "fn f() {\n}\n"),
            file("mstr-core/src/call/tests.rs", "fn f() {\n}\n"),
            file("mstr-core/src/driver/tasks/mod.rs", "fn f() {}\n"),
            file("b/src/lib.rs", "fn f() {}\n"),
            file("b/src/bin/b.rs", "fn main() {}\n"),
            file("b/tests/b.rs", "fn f() {}\n"),
        ];
        let table = table(&files, &[CRATE.to_owned(), "b".to_owned()]).unwrap();
        let rows: Vec<Vec<&str>> =
            table.lines().map(|row| row.rsplitn(2, ' ').map(str::trim).collect()).collect();
        assert_eq!(
            rows,
            [
                ["5", "mstr-core"],
                ["3", "call"],
                ["1", "driver"],
                ["1", "lib.rs"],
                ["4", "call + session + driver"],
                ["2", "b"],
                ["7", "total"],
            ]
        );
    }
}
