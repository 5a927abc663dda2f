//! Which files of a crate a file depends on, by the paths that are written in it.
//!
//! Counted are `use`, paths in the code and paths in what a macro is given. Not counted are `mod`
//! and a `pub use` of what stands below: with these a file says what its parts are, it does not
//! need them. It does if the code beside names a type that such a `pub use` shows. A call of a
//! method names no file, so it is not an import either.

use std::collections::BTreeSet;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Arm, Attribute, Field, ImplItem, Item, ItemUse, Macro, Stmt, TraitItem};
use syn::{Variant, VisRestricted, Visibility};

use crate::attributes::{is_test_or_doc, of_impl_item, of_item, of_statement, of_trait_item};
use crate::modules::{Crate, Names, Source, leaves};

/// A place where a file names something of another one.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Import {
    /// Places in `Crate::sources`.
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// In `from`.
    pub(crate) line: usize,
    /// As it is written.
    pub(crate) path: String,
}

/// Every import of a crate: by file, then by what is imported.
pub(crate) fn imports(krate: &Crate<'_>) -> BTreeSet<Import> {
    let mut imports = BTreeSet::new();
    for (from, Source { module, syntax, .. }) in krate.sources.iter().enumerate() {
        let mut reader = Reader {
            krate,
            from,
            module: module.clone(),
            shown: BTreeSet::new(),
            imports: &mut imports,
        };
        reader.shown = reader.shown_parts(syntax);
        reader.visit_file(syntax);
    }
    imports
}

struct Reader<'a> {
    krate: &'a Crate<'a>,
    from: usize,
    /// Where the reader is: the module of the file or one that stands in it.
    module: Names,
    /// The types that the file shows and that stand in its parts.
    shown: BTreeSet<String>,
    imports: &'a mut BTreeSet<Import>,
}

impl Reader<'_> {
    /// A path that is written in the code.
    fn path(&mut self, path: &[String], line: usize) {
        let Some(first) = path.first() else { return };
        if self.shown.contains(first) {
            self.import(&[self.module.as_slice(), path].concat(), path, line);
        } else if path.len() > 1
            && let Some(rooted) = self.krate.in_code(&self.module, path)
        {
            // Any other single word names something of this file, or has its own `use`.
            self.import(&rooted, path, line);
        }
    }

    fn import(&mut self, rooted: &[String], path: &[String], line: usize) {
        let path = path.join("::");
        for to in self.krate.files(rooted).into_iter().filter(|to| *to != self.from) {
            self.imports.insert(Import { from: self.from, to, line, path: path.clone() });
        }
    }

    /// Whether this stands in a module below the file.
    fn is_part(&self, rooted: &[String]) -> bool {
        let Some(own) = self.krate.sources.get(self.from).map(|source| &source.module) else {
            return false;
        };
        let child = rooted.get(..=own.len());
        rooted.starts_with(own) && child.is_some_and(|child| self.krate.is_module(child))
    }

    /// By their names. Only what is written like a type is safe from being a variable.
    fn shown_parts(&self, syntax: &syn::File) -> BTreeSet<String> {
        let mut shown = BTreeSet::new();
        for item in syntax.items.iter().filter(|item| !is_test_or_doc(of_item(item))) {
            if let Item::Use(item) = item
                && !matches!(item.vis, Visibility::Inherited)
            {
                for leaf in leaves(&item.tree) {
                    let rooted = self.krate.in_use(&self.module, &leaf.path);
                    let is_type = |name: &String| name.starts_with(char::is_uppercase);
                    if rooted.is_some_and(|rooted| self.is_part(&rooted)) {
                        shown.extend(leaf.name.filter(is_type));
                    }
                }
            }
        }
        shown
    }

    fn tokens(&mut self, tokens: TokenStream) {
        let mut path = Names::new();
        let (mut colons, mut line) = (0, 0);
        for tree in tokens {
            match &tree {
                TokenTree::Ident(word) => {
                    if colons != 2 || path.is_empty() {
                        self.path(&path, line);
                        line = word.span().start().line;
                        // What `::` begins stands in another crate.
                        path = if colons < 2 { Names::new() } else { vec![String::new()] };
                    }
                    path.push(word.to_string());
                    colons = 0;
                }
                TokenTree::Punct(sign) if sign.as_char() == ':' => colons += 1,
                _ => {
                    self.path(&path, line);
                    path.clear();
                    colons = 0;
                    if let TokenTree::Group(group) = &tree {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        self.path(&path, line);
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if is_test_or_doc(of_item(item)) {
            return;
        }
        if let Item::Mod(item) = item {
            self.module.push(item.ident.to_string());
            visit::visit_item_mod(self, item);
            self.module.pop();
        } else {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if item.leading_colon.is_some() {
            return;
        }
        let shows = !matches!(item.vis, Visibility::Inherited);
        for leaf in leaves(&item.tree) {
            let Some(rooted) = self.krate.in_use(&self.module, &leaf.path) else { continue };
            if !(shows && self.is_part(&rooted)) {
                self.import(&rooted, &leaf.path, leaf.line);
            }
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none()
            && let Some(first) = path.segments.first()
        {
            let line = first.ident.span().start().line;
            let words: Names = path.segments.iter().map(|part| part.ident.to_string()).collect();
            self.path(&words, line);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        visit::visit_macro(self, call);
        self.tokens(call.tokens.clone());
    }

    /// Attributes name macros, lints and features.
    fn visit_attribute(&mut self, _: &'ast Attribute) {}

    /// `pub(in crate::a)` says who may see something, not who is needed.
    fn visit_vis_restricted(&mut self, _: &'ast VisRestricted) {}

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        if !is_test_or_doc(of_impl_item(item)) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_trait_item(&mut self, item: &'ast TraitItem) {
        if !is_test_or_doc(of_trait_item(item)) {
            visit::visit_trait_item(self, item);
        }
    }

    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        if !is_test_or_doc(of_statement(statement)) {
            visit::visit_stmt(self, statement);
        }
    }

    fn visit_arm(&mut self, arm: &'ast Arm) {
        if !is_test_or_doc(&arm.attrs) {
            visit::visit_arm(self, arm);
        }
    }

    fn visit_field(&mut self, field: &'ast Field) {
        if !is_test_or_doc(&field.attrs) {
            visit::visit_field(self, field);
        }
    }

    fn visit_variant(&mut self, variant: &'ast Variant) {
        if !is_test_or_doc(&variant.attrs) {
            visit::visit_variant(self, variant);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::File;

    /// `file:line -> file` for each import of a crate with these files below `src`.
    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let file = |(path, text): &(&str, &str)| File::new(&format!("crates/a/src/{path}"), text);
        let files: Vec<File> = files.iter().map(file).collect();
        let krate = Crate::read(&files, "a").unwrap();
        let told = |import: &Import| {
            let (from, to) = (krate.path(import.from), krate.path(import.to));
            format!("{from}:{} -> {to}", import.line)
        };
        imports(&krate).iter().map(told).collect()
    }

    const ROOT: (&str, &str) =
        ("lib.rs", "mod b;\nmod c;\npub use c::{C, inner::Inner as Kept};\n");
    const C: (&str, &str) = ("c/mod.rs", "mod inner;\npub(crate) use inner::*;\npub struct C;\n");
    const INNER: (&str, &str) = ("c/inner.rs", "pub struct Inner;\npub(crate) fn run() {}\n");

    /// What `b.rs` imports, with [`ROOT`], [`C`] and [`INNER`] beside it.
    fn of_b(text: &str) -> Vec<String> {
        found(&[ROOT, ("b.rs", text), C, INNER])
    }

    #[test]
    fn every_way_to_write_a_use_is_an_import() {
        for text in [
            "use crate::c::C;",
            "use super::c::C;",
            "use self::super::c::C;",
            "use crate::{c::{C as D}};",
            "use crate::c::{self};",
            "pub(crate) use super::c::C;",
            "use super::C;",
            "fn f() { use crate::C; }",
            "mod inside { use super::super::c::C; }",
        ] {
            assert_eq!(of_b(text), ["b.rs:1 -> c/mod.rs"], "{text}");
        }
        assert!(of_b("use ::c::C;\nuse std::c;\nuse C::x;").is_empty());
    }

    #[test]
    fn a_path_through_a_re_export_leads_to_the_file_that_defines_the_item() {
        for text in [
            "use crate::Kept;",
            "use crate::c::Inner;",
            "use super::c::run;",
            "use super::Kept::x;",
        ] {
            assert_eq!(of_b(text), ["b.rs:1 -> c/inner.rs"], "{text}");
        }
        // What a macro may have written there stands in the module that is named.
        assert_eq!(of_b("use crate::c::inner::Made;"), ["b.rs:1 -> c/inner.rs"]);
        assert_eq!(of_b("use crate::c::Made;"), ["b.rs:1 -> c/mod.rs"]);
    }

    #[test]
    fn a_path_in_the_code_is_an_import() {
        for text in [
            "fn f() { crate::c::run() }",
            "fn f(kept: &super::Kept) {}",
            "fn f() -> Option<crate::c::Inner> { None }",
            "impl From<<u8 as crate::Kept>::X> for u8 {}",
            "mod inside { fn f() { super::super::c::run() } }",
        ] {
            assert_eq!(of_b(text), ["b.rs:1 -> c/inner.rs"], "{text}");
        }
        let through_a_module = of_b("use crate::c;\nfn f() {\n    c::run()\n}\n");
        assert_eq!(through_a_module, ["b.rs:1 -> c/mod.rs", "b.rs:3 -> c/inner.rs"]);
        assert!(
            of_b("fn f() { ::c::run(); c::run(); x.run() }\npub(in crate::c) fn g() {}").is_empty()
        );
    }

    #[test]
    fn path_in_the_arguments_of_a_macro_is_an_import() {
        for text in [
            "fn f() { println!(\"{}\", crate::c::run()) }",
            "fn f() { a! { [x => super::Kept { y: 1 }] } }",
            "macro_rules! m { () => { $crate::c::run() } }",
            "m!(x: crate::Kept);",
        ] {
            assert_eq!(of_b(text), ["b.rs:1 -> c/inner.rs"], "{text}");
        }
        assert!(of_b("m!(::crate::c::run, c::run, self.c, a ? b : crate);").is_empty());
    }

    #[test]
    fn a_macro_that_is_exported_is_found_where_it_is_written() {
        let inner = "#[macro_export]\nmacro_rules! told { () => {} }\n";
        let files = [ROOT, ("b.rs", "fn f() { crate::told!() }"), C, ("c/inner.rs", inner)];
        assert_eq!(found(&files), ["b.rs:1 -> c/inner.rs"]);
    }

    #[test]
    fn re_export_of_a_child_is_not_an_import_and_a_use_is() {
        let parent = |text: &str| found(&[("c/mod.rs", text), INNER]);
        assert!(
            parent("mod inner;\npub use inner::Inner;\npub(crate) use self::inner::run;")
                .is_empty()
        );
        assert!(parent("mod inner;\nmod shown { pub use super::inner::Inner; }").is_empty());
        assert_eq!(parent("mod inner;\nuse inner::Inner;"), ["c/mod.rs:2 -> c/inner.rs"]);
        assert_eq!(parent("mod inner;\nfn f() { inner::run() }"), ["c/mod.rs:2 -> c/inner.rs"]);
        for text in ["fn f(inner: &Inner) {}", "fn f() { m!(Inner::new()) }"] {
            let shown = parent(&format!("mod inner;\npub use inner::{{Inner, run}};\n{text}"));
            assert_eq!(shown, ["c/mod.rs:3 -> c/inner.rs"], "{text}");
        }
        assert!(parent("mod inner;\npub use inner::run;\nfn f(run: u8) { run }").is_empty());
        let inner = ("c/inner.rs", "pub use super::C;");
        assert_eq!(found(&[C, inner]), ["c/inner.rs:1 -> c/mod.rs"]);
    }

    #[test]
    fn imports_for_tests_or_documentation_are_left_out() {
        for text in [
            "#[cfg(test)]\nuse crate::C;",
            "#[cfg(doc)]\nuse crate::C;",
            "#[cfg(all(test, unix))]\nmod tests { use crate::C; }",
            "impl B { #[cfg(test)] fn f() { crate::c::run() } }",
            "fn f() { #[cfg(test)] crate::c::run!(); #[cfg(test)] let x = crate::C; }",
            "fn f() { match x { #[cfg(test)] y => crate::c::run(), z => {} } }",
        ] {
            assert!(of_b(text).is_empty(), "{text}");
        }
        assert_eq!(of_b("#[cfg(not(test))]\nuse crate::C;").len(), 1);
        let uses = "use crate::C;";
        let root = ("lib.rs", "mod c;\n#[cfg(test)]\nmod checks;\npub use c::C;\n");
        let tests = [("checks.rs", uses), ("checks/more.rs", uses), ("c/tests/a.rs", uses)];
        assert!(found(&[root, tests[0], tests[1], tests[2], C, INNER]).is_empty());
    }

    #[test]
    fn re_exports_in_a_circle_end() {
        let files =
            [("b.rs", "pub use crate::c::*;\nuse crate::c::X;"), ("c.rs", "pub use crate::b::X;")];
        let imports = found(&files);
        assert!(imports.contains(&"b.rs:1 -> c.rs".to_owned()), "{imports:?}");
    }

    #[test]
    fn items_of_another_crate_belong_to_the_file_that_re_exports_them() {
        let sync = ("sync.rs", "pub(crate) use std::sync::Mutex;\n");
        assert_eq!(found(&[("b.rs", "use crate::sync::Mutex;"), sync]), ["b.rs:1 -> sync.rs"]);
    }
}
