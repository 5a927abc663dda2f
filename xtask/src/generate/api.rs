//! Where the documentation of a public item stands on docs.rs.
//!
//! Decided by the source alone: rustdoc knows better, but says so in a form for programs with
//! nightly toolchains only. What this cannot decide has no address; what it decides is compared
//! with rustdoc's pages by the step `docs`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use syn::{ImplItem, Item, TraitItem, Type, UseTree, Visibility};

use crate::command::Outcome;

/// The text of a file, relative to the crate's folder.
type Read<'a> = &'a dyn Fn(&Path) -> Outcome<String>;

/// The crates of the workspace and what they hold.
#[derive(Default)]
pub(crate) struct Api {
    crates: BTreeMap<String, Crate>,
}

#[derive(Default)]
struct Crate {
    package: String,
    root: Module,
    /// By the name of a type and of its member: the kind in rustdoc's anchors.
    members: BTreeMap<(String, String), &'static str>,
}

#[derive(Default)]
struct Module {
    entries: BTreeMap<String, Entry>,
    /// The paths of `pub use path::*`.
    globs: Vec<Vec<String>>,
}

enum Entry {
    Module {
        module: Module,
        public: bool,
    },
    /// An item with a page of its own, of this kind in rustdoc's file names.
    Page(&'static str),
    /// What `use` brings in.
    Use {
        path: Vec<String>,
        public: bool,
    },
}

/// What a path leads to.
#[derive(Clone)]
enum Found {
    Module { krate: String, path: Vec<String> },
    Page { krate: String, name: String, kind: &'static str },
}

/// How many re-exports may stand in one another: there are cycles.
const DEPTH: usize = 16;

impl Api {
    /// Reads a crate's sources.
    pub(crate) fn add(&mut self, package: &str, read: Read<'_>) -> Outcome {
        let mut krate = Crate { package: package.to_owned(), ..Crate::default() };
        let mut root = Module::default();
        let file = parse(Path::new("src/lib.rs"), read)?;
        krate.take(&mut root, &file.items, Path::new("src"), read)?;
        krate.root = root;
        self.crates.insert(package.replace('-', "_"), krate);
        Ok(())
    }

    /// The address of what a link in the documentation at the root of a crate leads to.
    pub(crate) fn address(&self, krate: &str, link: &str) -> Option<String> {
        let (link, fragment) = link.split_once('#').map_or((link, None), |(l, f)| (l, Some(f)));
        let link = link.split_once('@').map_or(link, |(_, path)| path);
        // Macros have names of their own, and are not kept.
        if link.ends_with('!') {
            return None;
        }
        let link = link.trim_end_matches("()");
        let mut segments: Vec<&str> = link.split("::").collect();
        if segments.first().is_some_and(|first| ["crate", "self"].contains(first)) {
            segments.remove(0);
        }
        let first = segments.first()?;
        let mut own = krate;
        if self.find(own, &[], first, 0).is_none() && self.crates.contains_key(*first) {
            own = segments.remove(0);
        }
        let package = &self.crates.get(own)?.package;
        let mut folders: Vec<String> = Vec::new();
        let mut page = "index.html".to_owned();
        let mut at = Found::Module { krate: own.to_owned(), path: Vec::new() };
        let mut anchor = None;
        for segment in segments {
            at = match &at {
                Found::Module { krate, path } => {
                    self.is_public(krate, path, segment).then_some(())?;
                    let found = self.find(krate, path, segment, 0)?;
                    match &found {
                        Found::Module { .. } => folders.push(segment.to_owned()),
                        Found::Page { kind, .. } => {
                            // Under the name it has there.
                            let mut name = segment.to_owned();
                            if krate == own {
                                (folders, name) = self.home(krate, path, segment, 0);
                            }
                            page = format!("{kind}.{name}.html");
                        }
                    }
                    found
                }
                Found::Page { krate, name, .. } if anchor.is_none() => {
                    let members = &self.crates.get(krate)?.members;
                    let kind = members.get(&(name.clone(), segment.to_owned()))?;
                    anchor = Some(format!("{kind}.{segment}"));
                    at
                }
                Found::Page { .. } => return None,
            };
        }
        let folders: String = folders.iter().map(|folder| format!("{folder}/")).collect();
        let address = format!("https://docs.rs/{package}/latest/{own}/{folders}{page}");
        let anchor = anchor.or_else(|| fragment.map(str::to_owned));
        Some(anchor.map_or_else(|| address.clone(), |anchor| format!("{address}#{anchor}")))
    }

    /// Where rustdoc puts the page of an item that is seen in a module of the same crate: where its
    /// path leads through public modules only, there; otherwise in the module that shows it.
    fn home(&self, krate: &str, at: &[String], name: &str, depth: usize) -> (Vec<String>, String) {
        let here = (at.to_vec(), name.to_owned());
        let entry = self.module(krate, at).and_then(|module| module.entries.get(name));
        let Some(Entry::Use { path, .. }) = entry.filter(|_| depth < DEPTH) else { return here };
        let Some((last, before)) = path.split_last() else { return here };
        match self.follow(krate, at, before, depth + 1) {
            Some(Found::Module { krate: target, path })
                if target == krate && self.is_public_path(krate, &path) =>
            {
                self.home(krate, &path, last, depth + 1)
            }
            _ => here,
        }
    }

    fn is_public_path(&self, krate: &str, path: &[String]) -> bool {
        path.iter().enumerate().all(|(depth, name)| self.is_public(krate, &path[..depth], name))
    }

    fn module(&self, krate: &str, path: &[String]) -> Option<&Module> {
        path.iter().try_fold(&self.crates.get(krate)?.root, |module, name| {
            match module.entries.get(name)? {
                Entry::Module { module, .. } => Some(module),
                _ => None,
            }
        })
    }

    /// Whether a module shows this name to everybody.
    fn is_public(&self, krate: &str, path: &[String], name: &str) -> bool {
        let entry = self.module(krate, path).and_then(|module| module.entries.get(name));
        match entry {
            Some(Entry::Module { public, .. } | Entry::Use { public, .. }) => *public,
            // Only public items are kept, and only public globs.
            Some(Entry::Page(_)) | None => true,
        }
    }

    fn find(&self, krate: &str, path: &[String], name: &str, depth: usize) -> Option<Found> {
        let module = self.module(krate, path).filter(|_| depth < DEPTH)?;
        match module.entries.get(name) {
            Some(Entry::Module { .. }) => {
                let path = path.iter().cloned().chain([name.to_owned()]).collect();
                Some(Found::Module { krate: krate.to_owned(), path })
            }
            Some(Entry::Page(kind)) => {
                Some(Found::Page { krate: krate.to_owned(), name: name.to_owned(), kind })
            }
            Some(Entry::Use { path: target, .. }) => self.follow(krate, path, target, depth + 1),
            None => module.globs.iter().find_map(|glob| {
                match self.follow(krate, path, glob, depth + 1)? {
                    Found::Module { krate, path } if self.is_public(&krate, &path, name) => {
                        self.find(&krate, &path, name, depth + 1)
                    }
                    _ => None,
                }
            }),
        }
    }

    /// Follows the path of a `use` that stands in this module.
    fn follow(&self, krate: &str, at: &[String], path: &[String], depth: usize) -> Option<Found> {
        let (first, mut rest) = path.split_first()?;
        let here = |path: &[String]| Found::Module { krate: krate.to_owned(), path: path.to_vec() };
        let mut found = match first.as_str() {
            "crate" => here(&[]),
            "self" => here(at),
            "super" => here(at.split_last()?.1),
            name if self.module(krate, at)?.entries.contains_key(name) => {
                rest = path;
                here(at)
            }
            name if self.crates.contains_key(name) => {
                Found::Module { krate: name.to_owned(), path: Vec::new() }
            }
            _ => return None,
        };
        for name in rest {
            found = match &found {
                Found::Module { krate, path } => self.find(krate, path, name, depth + 1)?,
                Found::Page { .. } => return None,
            };
        }
        Some(found)
    }
}

impl Crate {
    /// Takes in the items of a module whose files stand in `folder`.
    fn take(
        &mut self,
        module: &mut Module,
        items: &[Item],
        folder: &Path,
        read: Read<'_>,
    ) -> Outcome {
        for item in items {
            let page = match item {
                Item::Struct(item) => {
                    for field in item.fields.iter().filter(|field| is_public(&field.vis)) {
                        if let Some(name) = &field.ident {
                            self.member(&item.ident, name, "structfield");
                        }
                    }
                    Some(("struct", &item.ident, &item.vis))
                }
                Item::Enum(item) => {
                    for variant in &item.variants {
                        self.member(&item.ident, &variant.ident, "variant");
                    }
                    Some(("enum", &item.ident, &item.vis))
                }
                Item::Trait(item) => {
                    for member in &item.items {
                        match member {
                            TraitItem::Fn(function) if function.default.is_some() => {
                                self.member(&item.ident, &function.sig.ident, "method");
                            }
                            TraitItem::Fn(function) => {
                                self.member(&item.ident, &function.sig.ident, "tymethod");
                            }
                            TraitItem::Type(r#type) => {
                                self.member(&item.ident, &r#type.ident, "associatedtype");
                            }
                            _ => {}
                        }
                    }
                    Some(("trait", &item.ident, &item.vis))
                }
                Item::Fn(item) => Some(("fn", &item.sig.ident, &item.vis)),
                Item::Type(item) => Some(("type", &item.ident, &item.vis)),
                Item::Const(item) => Some(("constant", &item.ident, &item.vis)),
                Item::Impl(item) => {
                    self.members_of(item);
                    None
                }
                Item::Use(item) => {
                    brought_in(module, &item.tree, &mut Vec::new(), is_public(&item.vis));
                    None
                }
                Item::Mod(item) if !item.ident.to_string().ends_with("tests") => {
                    let name = item.ident.to_string();
                    let mut child = Module::default();
                    match &item.content {
                        Some((_, items)) => {
                            self.take(&mut child, items, &folder.join(&name), read)?;
                        }
                        None => {
                            let file = source(folder, &name, read)?;
                            self.take(&mut child, &file.items, &folder.join(&name), read)?;
                        }
                    }
                    let public = is_public(&item.vis);
                    module.entries.insert(name, Entry::Module { module: child, public });
                    None
                }
                _ => None,
            };
            if let Some((kind, name, visibility)) = page
                && is_public(visibility)
            {
                module.entries.insert(name.to_string(), Entry::Page(kind));
            }
        }
        Ok(())
    }

    fn member(&mut self, of: &syn::Ident, name: &syn::Ident, kind: &'static str) {
        self.members.insert((of.to_string(), name.to_string()), kind);
    }

    fn members_of(&mut self, item: &syn::ItemImpl) {
        let Type::Path(path) = &*item.self_ty else { return };
        let Some(of) = path.path.segments.last().map(|segment| &segment.ident) else { return };
        for member in &item.items {
            match member {
                ImplItem::Fn(function) if item.trait_.is_some() || is_public(&function.vis) => {
                    self.member(of, &function.sig.ident, "method");
                }
                ImplItem::Const(constant) if is_public(&constant.vis) => {
                    self.member(of, &constant.ident, "associatedconstant");
                }
                _ => {}
            }
        }
    }
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// Takes in what a `use` brings in.
fn brought_in(module: &mut Module, tree: &UseTree, path: &mut Vec<String>, public: bool) {
    match tree {
        UseTree::Path(part) => {
            path.push(part.ident.to_string());
            brought_in(module, &part.tree, path, public);
            path.pop();
        }
        UseTree::Group(group) => {
            for tree in &group.items {
                brought_in(module, tree, path, public);
            }
        }
        UseTree::Glob(_) if public => module.globs.push(path.clone()),
        UseTree::Glob(_) => {}
        UseTree::Name(name) if name.ident == "self" => {}
        UseTree::Name(name) => {
            let path = path.iter().cloned().chain([name.ident.to_string()]).collect();
            module.entries.insert(name.ident.to_string(), Entry::Use { path, public });
        }
        UseTree::Rename(name) => {
            let path = path.iter().cloned().chain([name.ident.to_string()]).collect();
            module.entries.insert(name.rename.to_string(), Entry::Use { path, public });
        }
    }
}

/// The file of `mod name;`.
fn source(folder: &Path, name: &str, read: Read<'_>) -> Outcome<syn::File> {
    let candidates: [PathBuf; 2] =
        [folder.join(format!("{name}.rs")), folder.join(name).join("mod.rs")];
    let present = candidates.iter().find(|path| read(path).is_ok());
    let path = present.ok_or_else(|| format!("{}: has no file", candidates[0].display()))?;
    parse(path, read)
}

fn parse(path: &Path, read: Read<'_>) -> Outcome<syn::File> {
    syn::parse_file(&read(path)?).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CORE: &[(&str, &str)] = &[
        (
            "src/lib.rs",
            "pub mod open; mod closed; pub use closed::{Thing, Kind as Sort}; pub use open::Name as Alias;
             pub use closed::inner::Transport; use open::Hidden; pub fn go() {}
             pub mod inline { pub const LIMIT: u8 = 1; }
             mod tests;",
        ),
        ("src/open.rs", "pub struct Hidden; pub use crate::Thing; pub type Name = u8;"),
        (
            "src/closed/mod.rs",
            "pub mod inner; pub struct Thing { pub field: u8, private: u8 }
             impl Thing { pub const ONE: u8 = 1; pub async fn call(&self) {} fn own(&self) {} }
             impl Clone for Thing { fn clone(&self) -> Self { loop {} } }
             pub enum Kind { First }",
        ),
        (
            "src/closed/inner.rs",
            "pub trait Transport { type Body; fn send(&self); fn timer(&self) {} }",
        ),
    ];
    const FACADE: &[(&str, &str)] = &[(
        "src/lib.rs",
        "pub use mstr_core::*; pub mod core { pub use mstr_core::*; } pub use elsewhere::Other;
         pub mod a { pub use crate::b::*; } pub mod b { pub use crate::a::*; }",
    )];

    fn add(api: &mut Api, package: &str, files: &[(&str, &str)]) -> Outcome {
        api.add(package, &|path| {
            let file = files.iter().find(|(name, _)| path == Path::new(name));
            file.map(|(_, text)| (*text).to_owned()).ok_or_else(|| format!("{path:?}"))
        })
    }

    fn api() -> Api {
        let mut api = Api::default();
        add(&mut api, "mstr-core", CORE).unwrap();
        add(&mut api, "mstr", FACADE).unwrap();
        api
    }

    #[test]
    fn items_have_addresses() {
        let api = api();
        for (link, address) in [
            ("Thing", "struct.Thing.html"),
            ("crate::Thing", "struct.Thing.html"),
            ("struct@Thing", "struct.Thing.html"),
            ("Thing::call", "struct.Thing.html#method.call"),
            ("Thing::call()", "struct.Thing.html#method.call"),
            ("Thing::clone", "struct.Thing.html#method.clone"),
            ("Thing::ONE", "struct.Thing.html#associatedconstant.ONE"),
            ("Thing::field", "struct.Thing.html#structfield.field"),
            ("Sort", "enum.Sort.html"),
            ("Sort::First", "enum.Sort.html#variant.First"),
            ("Transport::send", "trait.Transport.html#tymethod.send"),
            ("Transport::timer", "trait.Transport.html#method.timer"),
            ("Transport::Body", "trait.Transport.html#associatedtype.Body"),
            ("go", "fn.go.html"),
            ("open", "open/index.html"),
            ("open#how", "open/index.html#how"),
            ("open::Name", "open/type.Name.html"),
            ("Alias", "open/type.Name.html"),
            // `pub use crate::Thing`: the root shows it, and is public.
            ("open::Thing", "struct.Thing.html"),
            ("inline::LIMIT", "inline/constant.LIMIT.html"),
        ] {
            let address = format!("https://docs.rs/mstr-core/latest/mstr_core/{address}");
            assert_eq!(api.address("mstr_core", link).as_deref(), Some(&*address), "{link}");
        }
    }

    #[test]
    fn a_reexport_stands_where_it_is_reexported() {
        let address = |link| api().address("mstr", link).unwrap_or_default();
        let base = "https://docs.rs/mstr/latest/mstr/";
        assert_eq!(address("Thing::call"), format!("{base}struct.Thing.html#method.call"));
        assert_eq!(address("core::Thing"), format!("{base}core/struct.Thing.html"));
        assert_eq!(address("open::Thing"), format!("{base}open/struct.Thing.html"));
        assert_eq!(address("open"), format!("{base}open/index.html"));
        let other = "https://docs.rs/mstr-core/latest/mstr_core/struct.Thing.html";
        assert_eq!(address("mstr_core::Thing"), other);
    }

    #[test]
    fn what_cannot_be_decided_has_no_address() {
        let api = api();
        for link in [
            "Gone",
            "Self::call",
            "closed",
            "closed::Thing",
            "Hidden",
            "std::vec::Vec",
            "Thing::own",
            "Thing::private",
            "Thing::call::more",
            "open!",
            "tests",
            "",
        ] {
            assert_eq!(api.address("mstr_core", link), None, "{link}");
        }
        for link in ["Other", "a::Nothing"] {
            assert_eq!(api.address("mstr", link), None, "{link}");
        }
    }

    #[test]
    fn a_source_that_cannot_be_read_is_named() {
        let broken = [("src/lib.rs", "pub mod open;"), ("src/open.rs", "pub struct")];
        let error = add(&mut Api::default(), "a", &broken).unwrap_err();
        assert!(error.contains("open.rs"), "{error}");
        let absent = add(&mut Api::default(), "a", &broken[..1]).unwrap_err();
        assert!(absent.contains("open.rs"), "{absent}");
    }
}
