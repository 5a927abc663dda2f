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
