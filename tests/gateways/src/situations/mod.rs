//! What sessions have to live with, one file for each.

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
