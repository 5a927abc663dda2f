//! The asynchronous driver.
//!
//! Needs no runtime of its own: the waiting callers drive it, and the only hook is the
//! [`Timer`](crate::Timer) of the transport. See [`flight`] for how callers share one login.

mod call;
mod connection;
mod flight;
mod keepalive;
mod line;
mod pages;
mod pump;
mod request;
mod response;
#[cfg(test)]
mod tests;
mod upload;

pub use connection::Connection;
pub use pages::Pages;
pub use request::RequestBuilder;
#[cfg(feature = "stream")]
pub use response::BytesStream;
pub use response::Response;
