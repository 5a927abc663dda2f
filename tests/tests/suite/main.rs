//! The end-to-end suite, over every way there is to a server.

mod memory;
mod tokio;

use mstr_suite::Stack;
use mstr_suite::cases::CASES;

/// A module with the whole suite for each stack, and those stacks.
macro_rules! over {
    ($($name:ident: $stack:ident,)+) => {
        $(mod $name {
            use mstr_suite::{Lab, Stack};

            fn lab<F: Future<Output = ()>>(test: impl FnOnce(Lab) -> F) {
                Lab::over(Stack::$stack, test);
            }

            mstr_suite::suite_on!(lab);
        })+

        const STACKS: &[Stack] = &[$(Stack::$stack),+];
    };
}

over! {
    hyper: Hyper,
    hyper_tls: HyperTls,
    hyper_http2: HyperHttp2,
    hyper_on_threads: HyperOnThreads,
    isahc: Isahc,
    isahc_tls: IsahcTls,
    isahc_http2: IsahcHttp2,
    isahc_on_threads: IsahcOnThreads,
}

#[test]
fn no_stack_is_forgotten() {
    assert_eq!(STACKS, Stack::ALL, "what this file runs, and what mstr_suite::Stack has");
}

/// A case is a public function, so the compiler says nothing about one that is not in the list.
#[test]
fn no_case_is_forgotten() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/suite/src/cases");
    let mut written = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let module = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let names = text.lines().filter_map(|line| line.strip_prefix("pub async fn "));
        let names = names.filter_map(|rest| rest.strip_suffix("(lab: Lab) {"));
        written.extend(names.map(|name| format!("{module}::{name}")));
    }
    assert!(written.len() >= CASES.len(), "a case is written in another way: {written:?}");
    written.retain(|name| CASES.iter().all(|case| case.name != name));
    assert!(written.is_empty(), "not in the list of tests/suite/src/cases/mod.rs: {written:?}");
}
