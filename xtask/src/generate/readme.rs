//! The README of a crate, from the documentation in its `lib.rs`.
//!
//! cargo-rdme does the same, but needs one certain nightly toolchain to resolve links, and to
//! check, on every machine. The parsing of Markdown is pulldown-cmark's; what remains is little.

use std::ops::Range;

use pulldown_cmark::{BrokenLink, CodeBlockKind, CowStr, Event, LinkType, Options, Parser, Tag};

use super::features;
use crate::command::Outcome;
use crate::packages::Package;

/// What rustdoc understands and no other reader of Markdown does.
const RUSTDOC: [&str; 5] = ["compile_fail", "ignore", "no_run", "rust", "should_panic"];

/// Where a link of the documentation leads outside of rustdoc, if that can be decided.
type Address<'a> = &'a dyn Fn(&str) -> Option<String>;

pub(super) fn text(package: &Package, library: &str, address: Address<'_>) -> Outcome<String> {
    let documentation = documentation(library);
    if documentation.trim().is_empty() {
        return Err(format!("{}/src/lib.rs: has no documentation (//!)", package.folder));
    }
    let body = transformed(&documentation, address);
    let Package { name, .. } = package;
    let link = format!("https://docs.rs/{name}");
    let rust = package.says("rust_version");
    let licence = licence(package.says("license"));
    Ok(format!(
        "<!-- Generated from src/lib.rs by `cargo xtask generate`: change it there. -->\n\n\
         # {name}\n\n{}\n\n## Documentation, versions, licence\n\n\
         The documentation is at [docs.rs/{name}]({link}). The minimum supported Rust version is \
         {rust}.\n\n{licence}\n",
        body.trim()
    ))
}

/// The sentence for an SPDX expression.
fn licence(expression: &str) -> String {
    match expression.split_once(" OR ") {
        Some((one, other)) => {
            format!(
                "Licensed under either of {one} or {other}, at your option; this package holds both texts."
            )
        }
        None => format!("Licensed under {expression}; this package holds the text."),
    }
}

/// The text of the `//!` lines at a file's head, without the markers of generated parts.
fn documentation(library: &str) -> String {
    let lines = library.lines().map_while(|line| line.strip_prefix("//!"));
    let lines = lines.map(|line| line.strip_prefix(' ').unwrap_or(line));
    let mut text = String::new();
    for line in lines.filter(|line| ![features::BEGIN, features::END].contains(line)) {
        // One empty line where a marker stood between two.
        if !(line.is_empty() && text.ends_with("\n\n")) {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// Headings one level lower, code as readers of Markdown know it, links that lead somewhere.
fn transformed(text: &str, address: Address<'_>) -> String {
    // Rustdoc's links are references without a definition: the parser asks about each.
    let broken = |link: BrokenLink<'_>| {
        let target = link.reference.trim_matches('`').to_owned();
        Some((CowStr::from(target), CowStr::from("")))
    };
    let options = Options::ENABLE_TABLES;
    let parser = Parser::new_with_broken_link_callback(text, options, Some(broken));
    let parser = parser.into_offset_iter();
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    for (_, definition) in parser.reference_definitions().iter() {
        if is_rustdoc(&definition.dest) {
            // With the end of its line.
            let end =
                definition.span.end + usize::from(text[definition.span.end..].starts_with('\n'));
            edits.push((definition.span.start..end, String::new()));
        }
    }
    for (event, range) in parser {
        match event {
            Event::Start(Tag::Heading { .. }) if text[range.clone()].starts_with('#') => {
                edits.push((range.start..range.start, "#".into()));
            }
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                if let Some(info) = shown(&info) {
                    edits.push((range.clone(), code(&text[range], &info)));
                }
            }
            Event::Start(Tag::Link { link_type, dest_url, .. }) if is_rustdoc(&dest_url) => {
                let label = label(&text[range.clone()], link_type);
                // The parser leaves the brackets of `[Foo][]` out.
                let brackets = text[range.end..].starts_with("[]");
                let range = range.start..range.end + if brackets { 2 } else { 0 };
                edits.push((range, link(label, link_type, address(&dest_url))));
            }
            _ => {}
        }
    }
    edits.sort_by_key(|(range, _)| range.start);
    let mut result = text.to_owned();
    for (range, new) in edits.into_iter().rev() {
        result.replace_range(range, &new);
    }
    result
}

fn is_rustdoc(destination: &str) -> bool {
    let elsewhere = ["https://", "http://", "mailto:", "#"];
    !elsewhere.iter().any(|start| destination.starts_with(start))
}

/// The info string of a fence for other readers; none where the block is not rustdoc's.
fn shown(info: &str) -> Option<String> {
    let words: Vec<&str> = info.split([',', ' ']).filter(|word| !word.is_empty()).collect();
    let rustdoc = |word: &&str| RUSTDOC.contains(word) || word.starts_with("edition");
    words.iter().all(rustdoc).then(|| "rust".to_owned())
}

/// A block of Rust without the lines that rustdoc hides.
fn code(block: &str, info: &str) -> String {
    let mut result = String::new();
    for (index, line) in block.lines().enumerate() {
        let trimmed = line.trim_start();
        if index == 0 {
            let fence = line.trim_end_matches(|character| character != '`' && character != '~');
            result.push_str(fence);
            result.push_str(info);
        } else if trimmed == "#" || trimmed.starts_with("# ") {
            continue;
        } else if trimmed.starts_with("##") {
            result.push_str(&line.replacen("##", "#", 1));
        } else {
            result.push_str(line);
        }
        result.push('\n');
    }
    if !block.ends_with('\n') {
        result.pop();
    }
    result
}

/// What stands in the first brackets of a link.
fn label(link: &str, link_type: LinkType) -> &str {
    let end = match link_type {
        LinkType::Inline => link.rfind("]("),
        LinkType::Reference | LinkType::ReferenceUnknown => link.rfind("]["),
        _ => link.trim_end_matches("[]").rfind(']'),
    };
    link.get(1..end.unwrap_or(link.len())).unwrap_or(link)
}

fn link(label: &str, link_type: LinkType, address: Option<String>) -> String {
    // The label is the name of something, unless another text was given for it.
    let named = matches!(
        link_type,
        LinkType::Shortcut
            | LinkType::ShortcutUnknown
            | LinkType::Collapsed
            | LinkType::CollapsedUnknown
    );
    match address {
        Some(address) => format!("[{label}]({address})"),
        None if named && !label.contains('`') => format!("`{label}`"),
        None => label.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn address(link: &str) -> Option<String> {
        ["Foo", "Foo::bar", "module"].contains(&link).then(|| format!("https://docs.rs/{link}"))
    }

    #[test]
    fn links_lead_somewhere_or_are_plain() {
        for (before, after) in [
            ("[`Foo`] and [Foo]", "[`Foo`](https://docs.rs/Foo) and [Foo](https://docs.rs/Foo)"),
            ("[x](Foo::bar), [`y`](Self::y)", "[x](https://docs.rs/Foo::bar), `y`"),
            ("[`Gone`], [Gone], [a word](Gone)", "`Gone`, `Gone`, a word"),
            ("[a `b`][Foo] [`Foo`][]", "[a `b`](https://docs.rs/Foo) [`Foo`](https://docs.rs/Foo)"),
            ("[x][m] [n]\n\n[m]: module\n[n]: Gone\n", "[x](https://docs.rs/module) `n`\n\n"),
            (
                "[y](https://a.b) [z](#here) [w]\n\n[w]: https://c.d\n",
                "[y](https://a.b) [z](#here) [w]\n\n[w]: https://c.d\n",
            ),
            (
                "| [`Foo`] |\n|---|\n| [`Foo`] |\n",
                "| [`Foo`](https://docs.rs/Foo) |\n|---|\n| [`Foo`](https://docs.rs/Foo) |\n",
            ),
            ("`a[0]` and \\[Foo\\]", "`a[0]` and \\[Foo\\]"),
        ] {
            assert_eq!(transformed(before, &address), after);
        }
    }

    #[test]
    fn headings_are_one_level_lower_and_code_is_left_alone() {
        let before = "# A\n\n## B\n\n```text\n# C [Foo]\n```\n\n    # D\n";
        let after = "## A\n\n### B\n\n```text\n# C [Foo]\n```\n\n    # D\n";
        assert_eq!(transformed(before, &address), after);
    }

    #[test]
    fn hidden_lines_and_the_words_of_rustdoc_are_gone() {
        let before = "```no_run\n# use a::b;\n#\nlet x = [Foo];\n## y\n#[test]\n    # z\n```\n";
        assert_eq!(transformed(before, &address), "```rust\nlet x = [Foo];\n# y\n#[test]\n```\n");
        for info in
            ["", "rust", "rust,no_run", "should_panic", "edition2021", "compile_fail, ignore"]
        {
            assert_eq!(shown(info).as_deref(), Some("rust"), "{info}");
        }
        for info in ["text", "sh", "toml", "json,x"] {
            assert_eq!(shown(info), None, "{info}");
        }
        let listed = "- a\n\n  ```\n  # x\n  y\n  ```\n- [Foo]\n";
        let after = "- a\n\n  ```rust\n  y\n  ```\n- [Foo](https://docs.rs/Foo)\n";
        assert_eq!(transformed(listed, &address), after);
    }

    #[test]
    fn a_readme_has_a_heading_a_version_and_a_licence() {
        let manifest = json!({"rust_version": "1.88", "license": "MIT OR Apache-2.0"});
        let package = Package::new("mstr-core", manifest);
        let library = format!(
            "//! What [`Foo`] is.\n//!\n//! {}\n//!\n//! | a |\n//! |---|\n//!\n//! {}\n\npub mod a;\n\n//! no\n",
            features::BEGIN,
            features::END,
        );
        let readme = text(&package, &library, &address).unwrap();
        let begin =
            "\n\n# mstr-core\n\nWhat [`Foo`](https://docs.rs/Foo) is.\n\n| a |\n|---|\n\n## ";
        assert!(readme.contains(begin), "{readme}");
        assert!(readme.contains("Rust version is 1.88."), "{readme}");
        assert!(readme.contains("either of MIT or Apache-2.0"), "{readme}");
        assert!(!readme.contains("features:") && !readme.contains("pub mod"), "{readme}");
        assert!(licence("MIT").starts_with("Licensed under MIT;"));
    }

    #[test]
    fn a_crate_without_documentation_is_named() {
        let error = text(&Package::new("a", json!({})), "pub mod a;\n", &address).unwrap_err();
        assert!(error.starts_with("crates/a/src/lib.rs"), "{error}");
    }
}
