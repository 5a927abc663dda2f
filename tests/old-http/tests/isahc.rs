//! Both suites over mstr-isahc, with http 0.2 under isahc.

mod contract {
    mstr_fake::conformance!(mstr_suite::backends::Isahc);
}

mod end_to_end {
    use mstr_suite::{Lab, Stack};

    fn lab<F: Future<Output = ()>>(test: impl FnOnce(Lab) -> F) {
        Lab::over(Stack::Isahc, test);
    }

    mstr_suite::suite_on!(lab);
}
