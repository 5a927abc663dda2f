//! The end-to-end suite, over every way there is to a server.

mod memory;

/// A module with the whole suite over one stack.
macro_rules! over {
    ($name:ident, $stack:ident) => {
        mod $name {
            use mstr_tests::{Lab, Stack};

            fn lab<F: Future<Output = ()>>(test: impl FnOnce(Lab) -> F) {
                Lab::over(Stack::$stack, test);
            }

            mstr_tests::suite_on!(lab);
        }
    };
}

over!(hyper, Hyper);
over!(hyper_http2, HyperHttp2);
over!(hyper_on_threads, HyperOnThreads);
over!(hyper_tls, HyperTls);
over!(isahc, Isahc);
over!(isahc_http2, IsahcHttp2);
over!(isahc_on_threads, IsahcOnThreads);
over!(isahc_tls, IsahcTls);
