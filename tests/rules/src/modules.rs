//! The modules of a crate, and which file defines what a path leads to.
//!
//! Decided by the text alone. What it cannot see, such as an item that a macro writes, is taken to
//! stand in the file of the module that the path names.

use std::collections::{BTreeMap, BTreeSet};

use syn::{Item, UseTree};

use crate::attributes::{is_test, is_test_or_doc, of_item};
use crate::file::File;

/// The names of a module and of those around it, from the root of the crate.
pub(crate) type Names = Vec<String>;

/// The sources of one crate, without its tests.
pub(crate) struct Crate<'a> {
    /// With `src/` at its end.
    pub(crate) folder: String,
    pub(crate) sources: Vec<Source<'a>>,
    modules: BTreeMap<Names, Module>,
}

/// One file of a crate.
pub(crate) struct Source<'a> {
    pub(crate) file: &'a File,
    pub(crate) module: Names,
    pub(crate) syntax: syn::File,
}

#[derive(Default)]
struct Module {
    /// Its place in `Crate::sources`.
    source: usize,
    items: BTreeSet<String>,
    /// By the name that `use` gives it: where it leads in this crate, or nowhere.
    uses: Vec<(String, Option<Names>)>,
    /// Where `use path::*` leads.
    globs: Vec<Names>,
}

/// One name that a `use` brings in, or everything of a module.
pub(crate) struct Leaf {
    /// `None` for everything.
    pub(crate) name: Option<String>,
    /// As it is written.
    pub(crate) path: Names,
    pub(crate) line: usize,
}

/// How many re-exports may stand in one another: there are circles.
const DEPTH: usize = 16;

impl<'a> Crate<'a> {
    /// Reads the files below `crates/NAME/src`. Programs in `src/bin` are crates of their own.
    pub(crate) fn read(files: &'a [File], name: &str) -> Result<Self, String> {
        let folder = format!("crates/{name}/src/");
        let bin = format!("{folder}bin/");
        let mut sources = Vec::new();
        for file in files.iter().filter(|file| file.is_source()) {
            let Some(path) = file.path.strip_prefix(&folder) else { continue };
            let is_test_folder = path.split('/').any(|folder| folder == "tests");
            if file.path.starts_with(&bin) || path == "main.rs" || is_test_folder {
                continue;
            }
            let syntax = syn::parse_file(&file.text).map_err(|error| {
                file.at(error.span().start().line, &format!("cannot be parsed: {error}"))
            })?;
            if !is_test(&syntax.attrs) {
                sources.push(Source { file, module: module_of(path), syntax });
            }
        }
        remove_tests(&mut sources);
        let mut read = Self { folder, sources, modules: BTreeMap::new() };
        read.take_in();
        Ok(read)
    }

    /// A file's path below `src`.
    pub(crate) fn path(&self, source: usize) -> &str {
        let path = self.sources.get(source).map(|source| source.file.path.as_str());
        path.and_then(|path| path.strip_prefix(&self.folder)).unwrap_or_default()
    }

    fn take_in(&mut self) {
        let mut modules = BTreeMap::new();
        let mut found = Vec::new();
        for (source, Source { module, syntax, .. }) in self.sources.iter().enumerate() {
            found.extend(take(&mut modules, source, module, &syntax.items));
        }
        self.modules = modules;
        // What a `use` leads to depends on which modules and which other `use` there are.
        let bound: BTreeSet<(Names, String)> = found
            .iter()
            .filter(|(_, leaf)| leaf.path.first() != leaf.name.as_ref())
            .filter_map(|(module, leaf)| Some((module.clone(), leaf.name.clone()?)))
            .collect();
        for (module, leaf) in found {
            let first = leaf.path.first().cloned().unwrap_or_default();
            let target = self.rooted(&module, &leaf.path).or_else(|| {
                let is_bound = bound.contains(&(module.clone(), first));
                is_bound.then(|| [module.as_slice(), leaf.path.as_slice()].concat())
            });
            let Some(module) = self.modules.get_mut(&module) else { continue };
            match (leaf.name, target) {
                (Some(name), target) => module.uses.push((name, target)),
                (None, Some(target)) => module.globs.push(target),
                (None, None) => {}
            }
        }
    }

    /// From the root of the crate, a path that is written in this module and begins with `crate`,
    /// `super`, `self` or a module below it.
    fn rooted(&self, module: &[String], path: &[String]) -> Option<Names> {
        let (first, rest) = path.split_first()?;
        let goes_on = rest.first().is_some_and(|next| next == "super");
        match first.as_str() {
            "crate" => Some(rest.to_vec()),
            "self" if goes_on => self.rooted(module, rest),
            "self" => Some([module, rest].concat()),
            "super" => {
                let (_, above) = module.split_last()?;
                if goes_on { self.rooted(above, rest) } else { Some([above, rest].concat()) }
            }
            name => {
                let is_child = self.is_module(&[module, &[name.to_owned()]].concat());
                is_child.then(|| [module, path].concat())
            }
        }
    }

    /// The same for a path in the code: it may also begin with a module that a `use` has brought
    /// in. Types that were brought in are not followed: their `use` says it already.
    pub(crate) fn in_code(&self, module: &[String], path: &[String]) -> Option<Names> {
        self.rooted(module, path).or_else(|| {
            let first = [module, path.get(..1)?].concat();
            let leads_to_module = self.is_used(module, path.first()?)
                && self.walk(&first, 0).iter().any(|found| matches!(found, Found::Module(_)));
            leads_to_module.then(|| [module, path].concat())
        })
    }

    /// The same for a path in a `use`.
    pub(crate) fn in_use(&self, module: &[String], path: &[String]) -> Option<Names> {
        self.rooted(module, path).or_else(|| self.in_code(module, path))
    }

    pub(crate) fn is_module(&self, names: &[String]) -> bool {
        self.modules.contains_key(names)
    }

    fn is_used(&self, module: &[String], name: &str) -> bool {
        let module = self.modules.get(module);
        module.is_some_and(|module| module.uses.iter().any(|(used, _)| used == name))
    }

    /// The files that define what a path from the root leads to: more than one where it depends on
    /// how the crate is built.
    pub(crate) fn files(&self, path: &[String]) -> BTreeSet<usize> {
        let sources = self.follow(path, 0).into_iter().filter_map(|found| match found {
            Found::Module(names) => self.modules.get(&names).map(|module| module.source),
            Found::Item(source) => Some(source),
        });
        sources.collect()
    }

    /// Where a path leads; to the last known module in it otherwise.
    fn follow(&self, path: &[String], depth: usize) -> Vec<Found> {
        let found = self.walk(path, depth);
        if !found.is_empty() {
            return found;
        }
        let prefixes = (0..=path.len()).rev().filter_map(|end| path.get(..end));
        let module = prefixes.into_iter().find_map(|names| self.modules.get(names));
        module.map(|module| Found::Item(module.source)).into_iter().collect()
    }

    /// Where a path leads, through re-exports; `None` if unknown.
    fn walk(&self, path: &[String], depth: usize) -> Vec<Found> {
        let prefixes = (0..=path.len()).rev().filter_map(|end| path.split_at_checked(end));
        let longest = prefixes.into_iter().find(|(names, _)| self.is_module(names));
        let Some((names, rest)) = longest else { return Vec::new() };
        let (Some(module), Some((name, rest))) = (self.modules.get(names), rest.split_first())
        else {
            return vec![Found::Module(names.to_vec())];
        };
        if depth >= DEPTH {
            return Vec::new();
        }
        let mut found = Vec::new();
        for (_, target) in module.uses.iter().filter(|(used, _)| used == name) {
            match target {
                Some(target) => {
                    found.extend(self.follow(&[target.as_slice(), rest].concat(), depth + 1));
                }
                // From another crate: a file that imports it from here depends on this file.
                None => found.push(Found::Item(module.source)),
            }
        }
        if module.items.contains(name) {
            found.push(Found::Item(module.source));
        }
        if found.is_empty() {
            for glob in &module.globs {
                let path = [glob.as_slice(), std::slice::from_ref(name), rest].concat();
                found.extend(self.walk(&path, depth + 1));
            }
        }
        found
    }
}

/// What a path leads to.
enum Found {
    Module(Names),
    /// An item of this file.
    Item(usize),
}

/// The module of a file with this path below `src`.
fn module_of(path: &str) -> Names {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let path = path.strip_suffix("/mod").unwrap_or(path);
    if path == "lib" { Vec::new() } else { path.split('/').map(str::to_owned).collect() }
}

/// Removes the files of modules that are declared for tests only.
fn remove_tests(sources: &mut Vec<Source<'_>>) {
    let mut tests: Vec<Names> = Vec::new();
    for Source { module, syntax, .. } in sources.iter() {
        for item in &syntax.items {
            if let Item::Mod(declared) = item
                && is_test(&declared.attrs)
            {
                tests.push([module.as_slice(), &[declared.ident.to_string()]].concat());
            }
        }
    }
    sources.retain(|source| !tests.iter().any(|test| source.module.starts_with(test)));
}

/// Takes in the items of a module and of those that stand in it. Returns what it uses.
fn take(
    modules: &mut BTreeMap<Names, Module>,
    source: usize,
    names: &[String],
    items: &[Item],
) -> Vec<(Names, Leaf)> {
    let mut module = Module { source, ..Module::default() };
    let mut found = Vec::new();
    for item in items.iter().filter(|item| !is_test_or_doc(of_item(item))) {
        let name = match item {
            Item::Const(item) => &item.ident,
            Item::Enum(item) => &item.ident,
            Item::Fn(item) => &item.sig.ident,
            Item::Static(item) => &item.ident,
            Item::Struct(item) => &item.ident,
            Item::Trait(item) => &item.ident,
            Item::Type(item) => &item.ident,
            Item::Union(item) => &item.ident,
            Item::Macro(item) => {
                let Some(name) = &item.ident else { continue };
                if item.attrs.iter().any(|attribute| attribute.path().is_ident("macro_export")) {
                    // Such a macro stands at the root of the crate, wherever it is written.
                    let path = [&["crate".to_owned()], names, &[name.to_string()]].concat();
                    let leaf = Leaf { name: Some(name.to_string()), path, line: 0 };
                    found.extend((!names.is_empty()).then_some((Vec::new(), leaf)));
                }
                name
            }
            Item::Use(item) if item.leading_colon.is_none() => {
                found.extend(leaves(&item.tree).into_iter().map(|leaf| (names.to_vec(), leaf)));
                continue;
            }
            Item::Mod(item) => {
                if let Some((_, items)) = &item.content {
                    let names = [names, &[item.ident.to_string()]].concat();
                    found.extend(take(modules, source, &names, items));
                }
                continue;
            }
            _ => continue,
        };
        module.items.insert(name.to_string());
    }
    modules.insert(names.to_vec(), module);
    found
}

/// Every name that a `use` brings in.
pub(crate) fn leaves(tree: &UseTree) -> Vec<Leaf> {
    let mut found = Vec::new();
    collect(tree, &mut Vec::new(), &mut found);
    found
}

fn collect(tree: &UseTree, before: &mut Names, found: &mut Vec<Leaf>) {
    let mut leaf = |name: Option<String>, last: Option<String>, line: usize| {
        // `path::{self}` is the path itself.
        let last = last.filter(|last| last != "self" || before.is_empty());
        let path: Names = before.iter().cloned().chain(last).collect();
        let name = name.map(|name| match path.last() {
            Some(last) if name == "self" => last.clone(),
            _ => name,
        });
        found.push(Leaf { name, path, line });
    };
    match tree {
        UseTree::Path(tree) => {
            before.push(tree.ident.to_string());
            collect(&tree.tree, before, found);
            before.pop();
        }
        UseTree::Name(tree) => {
            let name = tree.ident.to_string();
            leaf(Some(name.clone()), Some(name), tree.ident.span().start().line);
        }
        UseTree::Rename(tree) => {
            let (name, last) = (tree.rename.to_string(), tree.ident.to_string());
            leaf(Some(name), Some(last), tree.ident.span().start().line);
        }
        UseTree::Glob(tree) => leaf(None, None, tree.star_token.span.start().line),
        UseTree::Group(tree) => {
            for tree in &tree.items {
                collect(tree, before, found);
            }
        }
    }
}
