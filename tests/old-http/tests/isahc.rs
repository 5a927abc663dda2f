//! Both suites over mstr-isahc, with http 0.2 under isahc.

mod contract {
    mstr_fake::conformance!(mstr_tests::backends::Isahc);
}

mod end_to_end {
    use mstr_tests::{Lab, Stack};

    fn lab<F: Future<Output = ()>>(test: impl FnOnce(Lab) -> F) {
        Lab::over(Stack::Isahc, test);
    }

    mstr_tests::suite_on!(lab);
}
