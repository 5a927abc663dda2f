//! The blocking driver.
//!
//! No executor and no hidden runtime. The first thread that needs a session drives the machine
//! (it leads); the others wait for it and receive the same outcome.

mod call;
mod connection;
mod flight;
mod response;

pub use connection::Connection;
pub use response::Response;
