//! The effects of a relay on the bytes that pass.

use std::time::Duration;

/// Which way bytes go through a relay.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Direction {
    /// From the client to the server: requests.
    Upstream,
    /// From the server to the client: answers.
    Downstream,
    /// Both ways.
    Both,
}

/// How a connection is cut. Client and server see the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Cut {
    /// An orderly close (FIN). Bytes that the client still sends are read and dropped until it hangs
    /// up, so that no reset discards bytes on their way to it.
    Close,
    /// A reset (RST). Bytes that were sent and not read yet may be lost with it.
    Reset,
}

/// One of the two ways.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Way {
    Up,
    Down,
}

/// The faults of all connections, present and future.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    /// Between a connection's arrival and the first step towards the server.
    pub(super) accept: Duration,
    up: Fault,
    down: Fault,
}

/// The faults of one direction.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fault {
    pub(super) latency: Duration,
    pub(super) silent: bool,
    pub(super) stalled: bool,
    pub(super) limit: Option<Limit>,
    /// How many limits there have been.
    pub(super) limits: u64,
}

/// After how many bytes a connection is cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    /// Tells this limit from the one before it, which a connection may have begun to count for.
    pub(super) number: u64,
    pub(super) bytes: u64,
    pub(super) cut: Cut,
}

impl Faults {
    pub(super) const fn of(&self, way: Way) -> &Fault {
        match way {
            Way::Up => &self.up,
            Way::Down => &self.down,
        }
    }

    /// Ends all of them. What counts limits goes on counting.
    pub(super) fn heal(&mut self) {
        self.accept = Duration::ZERO;
        for fault in [&mut self.up, &mut self.down] {
            *fault = Fault { limits: fault.limits, ..Fault::default() };
        }
    }

    /// Changes what happens to what goes this way, or both ways.
    pub(super) fn change(&mut self, direction: Direction, change: impl Fn(&mut Fault)) {
        if direction != Direction::Downstream {
            change(&mut self.up);
        }
        if direction != Direction::Upstream {
            change(&mut self.down);
        }
    }
}
