//! Every example in a document is compiled.
//!
//! The documents are included in the doc-tests of `tests/suite/src/lib.rs`.

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag};
use syn::{Expr, Stmt};

use crate::file::File;

/// Where documents are made doc-tests.
pub(crate) const TESTED: &str = "tests/suite/src/lib.rs";

/// `tests` is the text of [`TESTED`].
pub(crate) fn check(file: &File, tests: &str) -> Vec<String> {
    if file.is_source() {
        return ignored(file);
    }
    if !file.path.ends_with(".md") {
        return Vec::new();
    }
    let compiled = tests.contains(&format!("#[doc = include_str!(\"../../../{}\")]", file.path));
    let mut complaints = Vec::new();
    for (info, code, line) in blocks(&file.text) {
        let words: Vec<&str> = info.split([',', ' ']).collect();
        let problem = if words.contains(&"ignore") {
            "an example that is not compiled (ignore): complete it with lines that begin with #"
        } else if words.contains(&"rust") && !compiled {
            "Rust that is not compiled: include this document in the doc-tests of tests/suite/src/lib.rs"
        } else if ["", "text"].contains(&words[0]) && is_rust(code) {
            "this is Rust: say so with ```rust, so that it is compiled"
        } else {
            continue;
        };
        complaints.push(file.at(line, problem));
    }
    complaints
}

/// Info string, text and first line of each block of code between fences.
fn blocks(text: &str) -> Vec<(String, &str, usize)> {
    let mut blocks = Vec::new();
    let mut events = Parser::new(text).into_offset_iter().peekable();
    while let Some((event, range)) = events.next() {
        let Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) = event else { continue };
        // An empty block has no text; in a list each line of a block is a text of its own.
        let mut code: Option<Range<usize>> = None;
        while let Some((_, part)) = events.next_if(|(event, _)| matches!(event, Event::Text(_))) {
            code = Some(code.map_or(part.start, |code| code.start)..part.end);
        }
        let code = code.and_then(|code| text.get(code)).unwrap_or_default();
        blocks.push((info.trim().to_owned(), code, text[..range.start].matches('\n').count() + 1));
    }
    blocks
}

/// Whether this is an item or a statement of Rust, rather than words that parse as an expression.
fn is_rust(code: &str) -> bool {
    if syn::parse_file(code).is_ok_and(|file| !file.items.is_empty()) {
        return true;
    }
    let block = syn::parse_str::<syn::Block>(&format!("{{{code}\n}}"));
    block.is_ok_and(|block| {
        block.stmts.iter().any(|statement| match statement {
            Stmt::Local(_) | Stmt::Item(_) | Stmt::Macro(_) => true,
            Stmt::Expr(expression, end) => {
                end.is_some() && !matches!(expression, Expr::Path(_) | Expr::Lit(_))
            }
        })
    })
}

/// Examples in the documentation of items that are not compiled.
fn ignored(file: &File) -> Vec<String> {
    file.lines(|line| {
        let line = line.trim_start();
        let text = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"))?;
        let info = text.trim_start().strip_prefix("```")?;
        let ignored = info.split([',', ' ']).any(|word| word == "ignore");
        ignored.then(|| "an example that is not compiled: complete it with hidden lines".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TESTS: &str = "mod documents {\n    #[doc = include_str!(\"../../../docs/a.md\")]\n";

    fn complaints(path: &str, text: &str) -> Vec<String> {
        check(&File::new(path, text), TESTS)
    }

    #[test]
    fn rust_that_is_not_compiled_is_found() {
        let text = "# A\n\n```rust,no_run\nlet x = 1;\n```\n";
        assert!(complaints("docs/a.md", text).is_empty());
        let found = complaints("docs/b.md", text);
        assert!(found.len() == 1 && found[0].starts_with("docs/b.md:3: Rust that is"), "{found:?}");
        assert!(complaints("docs/b.txt", text).is_empty());
        let listed = "- a\n\n  ```rust\n  let x = 1;\n  ```\n";
        assert!(complaints("docs/b.md", listed)[0].starts_with("docs/b.md:3:"));
    }

    #[test]
    fn ignored_examples_are_found_in_documents_and_in_sources() {
        let found = complaints("docs/a.md", "```rust,ignore\nx\n```\n");
        assert!(found.len() == 1 && found[0].starts_with("docs/a.md:1: "), "{found:?}");
        assert_eq!(complaints("a.rs", "//! A.\n//! ```ignore\n//! x\n//! ```\n").len(), 1);
        assert_eq!(complaints("a.rs", "    /// ```rust, ignore\n").len(), 1);
        assert!(complaints("a.rs", "/// ```no_run\n/// ignore ```\n// ```ignore\n").is_empty());
    }

    #[test]
    fn rust_that_calls_itself_text_is_found() {
        for code in ["fn main() {}", "use a::b;", "let x = 1;\nx", "a.b().await?;", "x!(y);"] {
            for info in ["", "text"] {
                let found = complaints("docs/a.md", &format!("```{info}\n{code}\n```\n"));
                assert_eq!(found.len(), 1, "{code}");
            }
            assert!(complaints("docs/a.md", &format!("```python\n{code}\n```\n")).is_empty());
        }
        for words in ["", "cargo xtask ci   everything", "word", "a -> b", "├─▶ x", "curl -c jar"]
        {
            let text = format!("```text\n{words}\n```\n");
            assert!(complaints("docs/a.md", &text).is_empty(), "{words}");
        }
    }
}
