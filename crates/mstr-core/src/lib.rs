//! Sans-IO session machine, transport contract and drivers for the Strategy One REST API.
#![forbid(unsafe_code)]

pub mod contract;
