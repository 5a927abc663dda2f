//! The transport contract over reqwest, over ureq, and over a tower service.

use mstr_stacks::backends::Tokio;

mod reqwest_async {
    mstr_fake::conformance!(super::Tokio::new());
}

mod ureq_blocking {
    mstr_fake::conformance!(mstr_stacks::backends::ureq::Ureq);
}

/// The adapter for tower services, around a client that knows nothing of mstr.
mod tower_service {
    mstr_fake::conformance!(mstr_stacks::backends::tower::Tower(super::Tokio::new()));
}
