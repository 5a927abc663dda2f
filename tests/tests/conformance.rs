//! The transport contract over the transports that come with this library.

use mstr_fake::conformance::Backend;

/// A module with the suite for each backend, and their names.
macro_rules! suites {
    ($($module:ident: $backend:expr,)+) => {
        $(mod $module {
            mstr_fake::conformance!($backend);
        })+

        fn names() -> Vec<&'static str> {
            vec![$($backend.name()),+]
        }
    };
}

suites! {
    hyper: mstr_suite::backends::Hyper::new(),
    hyper_blocking: mstr_suite::backends::HyperOnThreads,
    isahc: mstr_suite::backends::Isahc,
    isahc_blocking: mstr_suite::backends::IsahcOnThreads,
}

#[test]
fn no_backend_is_forgotten() {
    let all = mstr_suite::backends::all();
    let all: Vec<&str> = all.iter().map(|backend| backend.name()).collect();
    assert_eq!(names(), all, "what this file runs, and what mstr_suite::backends has");
}

/// The document shows what the backends themselves say, isahc as it is by default.
#[test]
#[cfg_attr(feature = "isahc-rustls-tls", ignore = "with rustls isahc can do a little less")]
fn the_document_has_the_table_of_capabilities() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/transports.md");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let (begin, end) = ("<!-- begin: capabilities -->\n", "<!-- end: capabilities -->");
    let text = text.replace("\r\n", "\n");
    let (before, rest) = text.split_once(begin).unwrap();
    let (shown, after) = rest.split_once(end).unwrap();
    let backends = mstr_suite::backends::all();
    let backends: Vec<&dyn Backend> = backends.iter().map(|backend| &**backend).collect();
    let table = mstr_fake::conformance::table(&backends);
    #[expect(clippy::disallowed_methods, reason = "set by `cargo xtask generate` for this test")]
    if std::env::var("MSTR_GENERATE").is_ok_and(|value| value == "1") {
        std::fs::write(path, format!("{before}{begin}{table}{end}{after}")).unwrap();
        return;
    }
    assert_eq!(shown, table, "docs/transports.md is out of date: run `cargo xtask generate`");
}
