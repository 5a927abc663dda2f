//! The transport contract over the transports that come with this library.

mod hyper {
    mstr_fake::conformance!(mstr_tests::backends::Hyper::new());
}

mod hyper_blocking {
    mstr_fake::conformance!(mstr_tests::backends::HyperOnThreads);
}

mod isahc {
    mstr_fake::conformance!(mstr_tests::backends::Isahc);
}

mod isahc_blocking {
    mstr_fake::conformance!(mstr_tests::backends::IsahcOnThreads);
}

/// The document shows what the backends themselves say.
#[test]
fn the_document_has_the_table_of_capabilities() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/transports.md");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let (begin, end) = ("<!-- begin: capabilities -->\n", "<!-- end: capabilities -->");
    let shown = text.split(begin).nth(1).and_then(|rest| rest.split(end).next());
    let backends = mstr_tests::backends::all();
    let backends: Vec<&dyn mstr_fake::conformance::Backend> =
        backends.iter().map(|backend| &**backend).collect();
    let table = mstr_fake::conformance::table(&backends);
    assert_eq!(shown, Some(&*table), "replace what stands there by this:\n{table}");
}
