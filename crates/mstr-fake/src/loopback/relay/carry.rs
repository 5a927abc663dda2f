//! Carrying the bytes of one connection one way.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::faults::{Cut, Fault, Faults, Way};

/// Read and not written yet: where there is more, the sender is held up.
const UNDER_WAY: usize = 1024 * 1024;

/// Carries what goes one way until its end. An error says how the connection has to end.
pub(super) async fn carry(
    way: Way,
    from: ReadHalf<'_>,
    to: WriteHalf<'_>,
    faults: watch::Receiver<Faults>,
) -> Result<(), Cut> {
    let queue = Queue::default();
    Carrier { way, from, to, faults, queue, lost: false, budget: None }.run().await
}

struct Carrier<'c> {
    way: Way,
    from: ReadHalf<'c>,
    to: WriteHalf<'c>,
    faults: watch::Receiver<Faults>,
    queue: Queue,
    /// Something has vanished. No byte after a gap may arrive: TCP would not deliver it either.
    lost: bool,
    /// The number of a limit, and how many bytes of it are left.
    budget: Option<(u64, u64)>,
}

/// What is under way.
#[derive(Default)]
struct Queue {
    pieces: VecDeque<(Instant, Piece)>,
    size: usize,
    /// No more will come.
    ended: bool,
}

enum Piece {
    Bytes(Vec<u8>),
    /// An orderly end.
    End,
    Reset,
}

impl Carrier<'_> {
    async fn run(mut self) -> Result<(), Cut> {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let fault = *self.faults.borrow_and_update().of(self.way);
            if fault.silent && !self.lost && !self.queue.pieces.is_empty() {
                self.lose();
            }
            if self.lost && self.queue.ended {
                return self.forgotten();
            }
            let due = self.queue.due().filter(|_| !fault.stalled);
            if due.is_some_and(|due| due <= Instant::now()) {
                if self.deliver(&fault).await? {
                    return Ok(());
                }
                continue;
            }
            let reading = !self.queue.ended && self.queue.size < UNDER_WAY;
            tokio::select! {
                // The relay is being dropped, and this with it.
                changed = self.faults.changed() => changed.map_err(|_| Cut::Close)?,
                () = until(due), if due.is_some() => {}
                read = self.from.read(&mut buffer), if reading => self.take(read, &buffer),
            }
        }
    }

    /// Takes what has been read.
    fn take(&mut self, read: io::Result<usize>, buffer: &[u8]) {
        // As it is now: it may have changed since the reading began.
        let fault = *self.faults.borrow().of(self.way);
        let piece = match read {
            Ok(0) => Piece::End,
            Ok(size) => Piece::Bytes(buffer[..size].to_vec()),
            Err(_) => Piece::Reset,
        };
        self.queue.ended = !matches!(piece, Piece::Bytes(_));
        if self.lost || fault.silent {
            self.lose();
        } else {
            self.queue.push(piece, fault.latency);
        }
    }

    fn lose(&mut self) {
        self.lost = true;
        self.queue.pieces.clear();
        self.queue.size = 0;
    }

    /// The sender has ended, and the receiver is not told.
    fn forgotten(&self) -> Result<(), Cut> {
        match self.way {
            // A client that has hung up waits for nothing any more.
            Way::Up => Err(Cut::Close),
            Way::Down => Ok(()),
        }
    }

    /// Delivers what is due. Returns whether it was the end.
    async fn deliver(&mut self, fault: &Fault) -> Result<bool, Cut> {
        let Some(piece) = self.queue.pop() else { return Ok(false) };
        let bytes = match piece {
            Piece::Bytes(bytes) => bytes,
            // The other side may be gone already.
            Piece::End => {
                drop(self.to.shutdown().await);
                return Ok(true);
            }
            Piece::Reset => return Err(Cut::Reset),
        };
        let cut = self.cut(fault, bytes.len());
        let passed = cut.map_or(bytes.len(), |(passed, _)| passed);
        if self.to.write_all(&bytes[..passed]).await.is_err() {
            match self.way {
                // The client hears of it by what comes down, or does not.
                Way::Up => self.lose(),
                Way::Down => return Err(Cut::Reset),
            }
        }
        cut.map_or(Ok(false), |(_, cut)| Err(cut))
    }

    /// How many of so many bytes still pass, and how the connection is cut then.
    fn cut(&mut self, fault: &Fault, size: usize) -> Option<(usize, Cut)> {
        let limit = fault.limit?;
        let left = match self.budget {
            Some((number, left)) if number == limit.number => left,
            _ => limit.bytes,
        };
        match usize::try_from(left) {
            Ok(left) if left <= size => Some((left, limit.cut)),
            _ => {
                self.budget = Some((limit.number, left - size as u64));
                None
            }
        }
    }
}

impl Queue {
    fn push(&mut self, piece: Piece, latency: Duration) {
        if let Piece::Bytes(bytes) = &piece {
            self.size += bytes.len();
        }
        // A latency that has become shorter lets nothing overtake what is under way.
        let due = Instant::now() + latency;
        let due = self.pieces.back().map_or(due, |(before, _)| due.max(*before));
        self.pieces.push_back((due, piece));
    }

    fn pop(&mut self) -> Option<Piece> {
        let (_, piece) = self.pieces.pop_front()?;
        if let Piece::Bytes(bytes) = &piece {
            self.size -= bytes.len();
        }
        Some(piece)
    }

    fn due(&self) -> Option<Instant> {
        self.pieces.front().map(|(due, _)| *due)
    }
}

/// Waits until an instant, which is there.
async fn until(due: Option<Instant>) {
    if let Some(due) = due {
        sleep_until(due).await;
    }
}
