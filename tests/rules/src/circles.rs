//! No circle of files: each file of a crate can be understood with those that it imports alone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::imports::Import;
use crate::modules::Crate;

/// By file: which files it imports, and in which line first.
type Graph = BTreeMap<usize, BTreeMap<usize, usize>>;

pub(crate) fn check(krate: &Crate<'_>, imports: &BTreeSet<Import>) -> Vec<String> {
    let mut graph = Graph::new();
    for Import { from, to, line, .. } in imports {
        let first = graph.entry(*from).or_default().entry(*to).or_insert(*line);
        *first = (*first).min(*line);
    }
    let circles: BTreeSet<Vec<usize>> =
        graph.keys().filter_map(|file| shortest(&graph, *file)).collect();
    circles.iter().filter_map(|circle| complaint(krate, &graph, circle)).collect()
}

/// The shortest circle through a file, from its first file on, so that it is the same for each file
/// in it.
fn shortest(graph: &Graph, file: usize) -> Option<Vec<usize>> {
    let mut came_from: BTreeMap<usize, usize> = BTreeMap::new();
    let mut ahead = VecDeque::from([file]);
    while let Some(at) = ahead.pop_front() {
        for next in graph.get(&at).into_iter().flat_map(BTreeMap::keys) {
            if *next == file {
                let back = std::iter::successors(Some(at), |at| came_from.get(at).copied());
                let mut circle: Vec<usize> = back.collect();
                circle.reverse();
                let first = circle.iter().enumerate().min_by_key(|(_, file)| **file)?.0;
                circle.rotate_left(first);
                return Some(circle);
            }
            if !came_from.contains_key(next) {
                came_from.insert(*next, at);
                ahead.push_back(*next);
            }
        }
    }
    None
}

fn complaint(krate: &Crate<'_>, graph: &Graph, circle: &[usize]) -> Option<String> {
    let next = circle.iter().cycle().skip(1);
    let lines = circle.iter().zip(next).map(|(at, next)| graph.get(at)?.get(next).copied());
    let lines = lines.collect::<Option<Vec<usize>>>()?;
    let first = circle.first()?;
    let around: Vec<&str> = circle.iter().chain([first]).map(|file| krate.path(*file)).collect();
    let places: Vec<String> = circle
        .iter()
        .zip(&lines)
        .map(|(file, line)| format!("{}:{line}", krate.path(*file)))
        .collect();
    let what = format!(
        "a circle of files: {} ({}): move what both need into a file below them",
        around.join(" -> "),
        places.join(", ")
    );
    Some(krate.sources.get(*first)?.file.at(*lines.first()?, &what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::File;
    use crate::imports::imports;

    fn complaints(files: &[(&str, &str)]) -> Vec<String> {
        let file = |(path, text): &(&str, &str)| File::new(&format!("crates/a/src/{path}"), text);
        let files: Vec<File> = files.iter().map(file).collect();
        let krate = Crate::read(&files, "a").unwrap();
        check(&krate, &imports(&krate))
    }

    #[test]
    fn a_planted_circle_is_shown_with_its_lines() {
        let two = [("b.rs", "\nuse crate::c::C;\n"), ("c.rs", "use super::b;\n")];
        assert_eq!(
            complaints(&two),
            ["crates/a/src/b.rs:2: a circle of files: b.rs -> c.rs -> b.rs (b.rs:2, c.rs:1): \
              move what both need into a file below them"]
        );
        let three = [
            ("b.rs", "use crate::c::C;\n"),
            ("c.rs", "fn f() { crate::d::f() }\n"),
            ("d.rs", "fn f() { m!(crate::b::B) }\n"),
            ("e.rs", "use crate::{b, c, d};\n"),
        ];
        let found = complaints(&three);
        assert!(found.len() == 1 && found[0].contains("b.rs -> c.rs -> d.rs -> b.rs"), "{found:?}");
    }

    #[test]
    fn a_part_that_needs_its_parent_is_a_circle_where_the_parent_needs_the_part() {
        let part = ("b/part.rs", "use super::B;\npub struct Part;\n");
        let shown =
            complaints(&[("b/mod.rs", "mod part;\npub use part::Part;\npub struct B;\n"), part]);
        assert!(shown.is_empty(), "{shown:?}");
        let used = complaints(&[("b/mod.rs", "mod part;\nuse part::Part;\npub struct B;\n"), part]);
        assert!(
            used.len() == 1 && used[0].contains("b/mod.rs -> b/part.rs -> b/mod.rs"),
            "{used:?}"
        );
    }

    #[test]
    fn a_circle_through_a_re_export_is_found_and_one_of_tests_is_none() {
        let parent = ("b/mod.rs", "mod one;\nmod two;\npub use one::One;\npub use two::Two;\n");
        let one = ("b/one.rs", "use super::Two;\npub struct One;\n");
        let two = complaints(&[parent, one, ("b/two.rs", "use super::One;\npub struct Two;\n")]);
        assert!(two.len() == 1 && two[0].contains("b/one.rs -> b/two.rs -> b/one.rs"), "{two:?}");
        let tested = "pub struct Two;\n#[cfg(test)]\nmod tests { use crate::b::One; }\n";
        assert!(complaints(&[parent, one, ("b/two.rs", tested)]).is_empty());
    }

    #[test]
    fn each_circle_is_shown_once() {
        let files = [
            ("b.rs", "use crate::{c, d};\n"),
            ("c.rs", "use crate::b;\n"),
            ("d.rs", "use crate::b;\n"),
        ];
        assert_eq!(complaints(&files).len(), 2);
    }
}
