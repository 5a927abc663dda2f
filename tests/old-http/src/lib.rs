//! Nothing but its tests: `cargo xtask old-http` runs them.
#![forbid(unsafe_code)]
