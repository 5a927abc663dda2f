//! The situations of the tests, one file for each kind.

mod few;
mod http2;
mod keepalive;
mod limits;
mod list;
mod pages;
mod paths;
mod proxies;
mod reloads;
mod situation;
mod sticky;

pub(crate) use list::SITUATIONS;
pub(crate) use situation::Situation;
