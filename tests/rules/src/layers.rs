//! The layers of `mstr-core`, and what each may import.
//!
//! The table in `ARCHITECTURE.md` is generated from the one here.

use std::collections::BTreeSet;

use crate::imports::Import;
use crate::modules::Crate;

pub(crate) const CRATE: &str = "mstr-core";

/// What may be imported by what stands in the same places. Within a layer everything may be
/// imported, except in a circle.
struct Layer {
    name: &'static str,
    /// Files, or folders with a `/` at the end, below `src`. What stands in a place within a place
    /// belongs to the inner one.
    places: &'static [&'static str],
    /// The names of other layers, each of which stands above in the table.
    may_import: &'static [&'static str],
}

/// From the bottom to the top.
const LAYERS: [Layer; 19] = [
    Layer {
        name: "ground",
        places: &[
            "duration.rs",
            "generation.rs",
            "park.rs",
            "seed.rs",
            "shown.rs",
            "simulation.rs",
            "sync.rs",
            "timeouts.rs",
        ],
        may_import: &[],
    },
    Layer { name: "contract", places: &["contract/"], may_import: &["ground"] },
    Layer { name: "timeline", places: &["timeline/"], may_import: &["ground", "contract"] },
    Layer { name: "error", places: &["error/"], may_import: &["ground", "contract", "timeline"] },
    Layer { name: "retry", places: &["retry.rs"], may_import: &["ground", "error"] },
    Layer { name: "environment", places: &["environment.rs"], may_import: &["ground", "error"] },
    Layer { name: "settings", places: &["settings/"], may_import: &["ground", "contract"] },
    Layer {
        name: "protocol",
        places: &["protocol/"],
        may_import: &["ground", "contract", "error", "environment"],
    },
    Layer {
        name: "session",
        places: &["session/"],
        may_import: &["ground", "contract", "error", "retry", "protocol"],
    },
    Layer {
        name: "call",
        places: &["call/"],
        may_import: &["ground", "contract", "timeline", "error", "retry", "protocol", "session"],
    },
    Layer {
        name: "request",
        places: &["request/"],
        may_import: &["ground", "contract", "error", "retry", "protocol", "session", "call"],
    },
    Layer {
        name: "trace",
        places: &["trace.rs"],
        may_import: &["ground", "contract", "error", "session", "call"],
    },
    Layer {
        name: "workstation",
        places: &["workstation.rs"],
        may_import: &["ground", "contract", "error", "environment", "protocol"],
    },
    Layer {
        name: "builder",
        places: &["builder.rs"],
        may_import: &[
            "ground",
            "contract",
            "timeline",
            "error",
            "environment",
            "retry",
            "settings",
            "protocol",
            "session",
            "workstation",
        ],
    },
    Layer { name: "toolkit", places: &["toolkit/"], may_import: &["ground", "contract"] },
    Layer { name: "driver", places: &["driver/"], may_import: DRIVER },
    Layer { name: "driver/tasks", places: &["driver/tasks/"], may_import: HALF },
    Layer { name: "driver/threads", places: &["driver/threads/"], may_import: HALF },
    Layer {
        name: "adapter",
        places: &["adapter/"],
        may_import: &["ground", "contract", "toolkit"],
    },
];

/// Both halves of the driver need what is here; it needs neither.
const DRIVER: &[&str] = &[
    "ground",
    "contract",
    "timeline",
    "error",
    "retry",
    "protocol",
    "session",
    "call",
    "request",
    "trace",
    "workstation",
    "builder",
    "toolkit",
];

/// The halves do not know each other.
const HALF: &[&str] = &[
    "ground",
    "contract",
    "timeline",
    "error",
    "retry",
    "protocol",
    "session",
    "call",
    "request",
    "trace",
    "workstation",
    "builder",
    "toolkit",
    "driver",
];

/// The file at the root, which shows everything and stands in no layer.
const ROOT: &str = "lib.rs";

pub(crate) fn check(krate: &Crate<'_>, imports: &BTreeSet<Import>) -> Vec<String> {
    let mut complaints = places(krate);
    let forbidden = imports.iter().filter_map(|import| forbidden(krate, import));
    complaints.extend(forbidden);
    complaints
}

/// Every file stands in a layer, and every place in the table is one.
fn places(krate: &Crate<'_>) -> Vec<String> {
    let paths: BTreeSet<&str> = (0..krate.sources.len()).map(|file| krate.path(file)).collect();
    let mut complaints = BTreeSet::new();
    for path in paths.iter().filter(|path| **path != ROOT && layer(path).is_none()) {
        // One for a folder is enough.
        let place = path.split_inclusive('/').next().unwrap_or(path);
        complaints.insert(format!("{}{place}: stands in no layer", krate.folder));
    }
    for place in LAYERS.iter().flat_map(|layer| layer.places) {
        if !paths.iter().any(|path| is_in(path, place)) {
            complaints.insert(format!("{}{place}: stands in a layer and is missing", krate.folder));
        }
    }
    let table = "see the table in tests/rules/src/layers.rs";
    complaints.into_iter().map(|complaint| format!("{complaint}: {table}")).collect()
}

fn forbidden(krate: &Crate<'_>, import: &Import) -> Option<String> {
    let (from, to) = (krate.path(import.from), krate.path(import.to));
    let from = layer(from)?;
    let what = if to == ROOT {
        format!("{to}, which is for users")
    } else {
        // A file without a layer is complained about once, not in each place that imports it.
        let to_layer = layer(to)?;
        if to_layer.name == from.name || from.may_import.contains(&to_layer.name) {
            return None;
        }
        format!("{to} in the layer {}", to_layer.name)
    };
    let what = format!(
        "imports {} of {what}; {} may import {}",
        import.path,
        from.name,
        listed(from.may_import, "")
    );
    Some(krate.sources.get(import.from)?.file.at(import.line, &what))
}

/// The layer of a file below `src`.
fn layer(path: &str) -> Option<&'static Layer> {
    let places = LAYERS.iter().flat_map(|layer| layer.places.iter().map(move |at| (at, layer)));
    let around = places.filter(|(place, _)| is_in(path, place));
    around.max_by_key(|(place, _)| place.len()).map(|(_, layer)| layer)
}

fn is_in(path: &str, place: &str) -> bool {
    path == place || (place.ends_with('/') && path.starts_with(place))
}

fn listed(names: &[&str], mark: &str) -> String {
    if names.is_empty() {
        return "nothing".into();
    }
    names.iter().map(|name| format!("{mark}{name}{mark}")).collect::<Vec<_>>().join(", ")
}

/// The table for people.
pub(crate) fn table() -> String {
    let mut table = "| layer | where | may import |\n|---|---|---|\n".to_owned();
    for Layer { name, places, may_import } in &LAYERS {
        let (places, may) = (listed(places, "`"), listed(may_import, ""));
        table.push_str(&format!("| {name} | {places} | {may} |\n"));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::File;
    use crate::imports::imports;

    /// What is wrong with the imports of these files below `src`.
    fn complaints(files: &[(&str, &str)]) -> Vec<String> {
        in_crate(files, |krate| {
            imports(krate).iter().filter_map(|import| forbidden(krate, import)).collect()
        })
    }

    fn in_crate<T>(files: &[(&str, &str)], look: impl Fn(&Crate<'_>) -> T) -> T {
        let file =
            |(path, text): &(&str, &str)| File::new(&format!("crates/{CRATE}/src/{path}"), text);
        let files: Vec<File> = files.iter().map(file).collect();
        look(&Crate::read(&files, CRATE).unwrap())
    }

    #[test]
    fn an_import_against_the_table_is_found() {
        let protocol = ("protocol/mod.rs", "//! P.\n\nuse crate::session::Verdict;\n");
        let session = ("session/mod.rs", "use crate::protocol::Grant;\npub struct Verdict;\n");
        assert_eq!(
            complaints(&[protocol, session]),
            ["crates/mstr-core/src/protocol/mod.rs:3: imports crate::session::Verdict of \
              session/mod.rs in the layer session; protocol may import ground, contract, error, \
              environment"]
        );
        let sync = ("sync.rs", "fn f() { crate::protocol::f() }\n");
        let found = complaints(&[("protocol/mod.rs", ""), sync]);
        assert!(found.len() == 1 && found[0].ends_with("ground may import nothing"), "{found:?}");
    }

    #[test]
    fn an_import_through_the_root_of_the_crate_is_one_of_the_layer_behind_it() {
        let root =
            ("lib.rs", "mod contract;\nmod session;\npub use session::Event;\npub struct X;\n");
        let session = ("session/mod.rs", "pub struct Event;\n");
        let found = complaints(&[root, session, ("contract/mod.rs", "use crate::Event;\n")]);
        assert!(found.len() == 1 && found[0].contains("in the layer session"), "{found:?}");
        let found = complaints(&[root, session, ("contract/mod.rs", "use crate::X;\n")]);
        assert!(found.len() == 1 && found[0].contains("lib.rs, which is for users"), "{found:?}");
    }

    #[test]
    fn halves_of_the_driver_may_import_the_driver_but_not_each_other() {
        let driver = |own: &'static str, tasks: &'static str| {
            complaints(&[
                ("driver/mod.rs", own),
                ("driver/shared.rs", ""),
                ("driver/tasks/mod.rs", tasks),
                ("driver/threads/mod.rs", ""),
            ])
        };
        let shows = "mod shared;\nmod tasks;\npub use tasks::Connection;\nuse shared::Shared;\n";
        assert!(driver(shows, "use super::shared::Shared;\n").is_empty());
        assert_eq!(driver("use tasks::Connection;\n", "").len(), 1);
        let other = driver("", "use crate::driver::threads::f;\n");
        assert!(other.len() == 1 && other[0].contains("in the layer driver/threads"), "{other:?}");
    }

    #[test]
    fn a_file_without_a_layer_and_a_place_without_a_file_are_found() {
        let files = [("lib.rs", ""), ("extra.rs", ""), ("more/a.rs", ""), ("more/b.rs", "")];
        let found = in_crate(&files, places);
        let stray: Vec<&String> =
            found.iter().filter(|text| text.contains("in no layer")).collect();
        assert_eq!(stray.len(), 2, "{found:?}");
        assert!(stray[0].starts_with("crates/mstr-core/src/extra.rs: "), "{stray:?}");
        assert!(stray[1].starts_with("crates/mstr-core/src/more/: "), "{stray:?}");
        assert!(found.iter().any(|text| text.contains("src/session/: stands in a layer and is")));
    }

    #[test]
    fn a_layer_imports_from_below_only() {
        for (index, layer) in LAYERS.iter().enumerate() {
            for name in layer.may_import {
                let below = &LAYERS[..index];
                assert!(below.iter().any(|layer| layer.name == *name), "{}: {name}", layer.name);
            }
        }
    }

    #[test]
    fn the_table_has_a_row_for_each_layer() {
        let table = table();
        assert_eq!(table.lines().count(), LAYERS.len() + 2);
        assert!(table.contains("`sync.rs`, `timeouts.rs` | nothing |\n"), "{table}");
        assert!(table.contains("| contract | `contract/` | ground |\n"), "{table}");
    }
}
