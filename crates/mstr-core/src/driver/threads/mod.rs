//! The blocking driver.
//!
//! No executor and no hidden runtime. The first thread that needs a session drives the machine
//! (it leads) for as long as it has time; the others wait for it and receive the same outcome.

mod call;
mod connection;
mod flight;
#[cfg(all(test, loom))]
mod interleavings;
mod pages;
mod pump;
mod request;
mod response;

pub use connection::Connection;
pub use pages::Pages;
pub use request::RequestBuilder;
pub use response::Response;
