//! The gateways and proxies that are known here, one file for the settings of each.

mod apache;
mod gateway;
mod haproxy;
mod installed;
mod nginx;
mod setting;
mod squid;
mod tinyproxy;

pub(crate) use gateway::Gateway;
pub(crate) use installed::{Installed, Kind};
pub(crate) use setting::{PAGES, PROXY_USER, Setting, WALLED};
