//! The transport contract over the transports that come with this library.

mod hyper;
mod isahc;
