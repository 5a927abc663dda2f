//! A network that fails at random, until it is told to stop.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use mstr_fake::loopback::{Cut, Direction};

use crate::callers::Calls;
use crate::chance::Chance;
use crate::world::World;

/// The longest peace, in steps of 2 ms.
const PEACE: usize = 150;
const DIRECTIONS: [Direction; 3] = [Direction::Upstream, Direction::Downstream, Direction::Both];
pub(crate) const CUTS: [Cut; 2] = [Cut::Close, Cut::Reset];
const TROUBLES: [Trouble; 12] = [
    Trouble::Delay,
    Trouble::Delay,
    Trouble::Kill,
    Trouble::Kill,
    Trouble::Kill,
    Trouble::Outage,
    Trouble::Refusal,
    Trouble::Silence,
    Trouble::SlowAccept,
    Trouble::Stall,
    Trouble::Truncation,
    Trouble::Truncation,
];

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Trouble {
    Delay,
    /// All connections are cut.
    Kill,
    /// The port is gone, and comes back; sometimes the sessions do not.
    Outage,
    /// New connections are refused.
    Refusal,
    Silence,
    SlowAccept,
    Stall,
    /// Connections are cut in the midst of a request or an answer.
    Truncation,
}

/// How often there was what.
pub(crate) type Troubles = BTreeMap<Trouble, usize>;

/// Makes trouble until it is stopped.
pub(crate) struct Maker {
    going: Sender<()>,
    thread: JoinHandle<Result<Troubles, String>>,
}

impl Maker {
    /// `truncation` is how an answer breaks off.
    pub(crate) fn start(
        world: &Arc<World>,
        calls: &Arc<Calls>,
        chance: Chance,
        truncation: &'static [Cut],
    ) -> Result<Self, String> {
        let (going, stop) = channel();
        let (world, calls) = (Arc::clone(world), Arc::clone(calls));
        let thread = std::thread::Builder::new()
            .name("trouble".into())
            .spawn(move || make(&world, &calls, chance, truncation, &stop))
            .map_err(|error| format!("no thread: {error}"))?;
        Ok(Self { going, thread })
    }

    /// Everything is well again afterwards.
    pub(crate) fn stop(self) -> Result<Troubles, String> {
        drop(self.going);
        self.thread.join().map_err(|_| "the trouble panicked")?
    }
}

fn make(
    world: &World,
    calls: &Calls,
    mut chance: Chance,
    truncation: &[Cut],
    stop: &Receiver<()>,
) -> Result<Troubles, String> {
    let mut troubles = Troubles::new();
    let mut pause = Pause { stop, over: false };
    while !pause.over {
        // Without some peace nothing would ever succeed. It is counted in calls, so that a slow
        // machine gets no more trouble than a fast one.
        let enough = calls.count() + 5 + usize::try_from(chance.below(25)).unwrap_or(0);
        for _ in 0..PEACE {
            if calls.count() < enough {
                pause.take(Duration::from_millis(2));
            }
        }
        let Some(trouble) = chance.pick(&TROUBLES) else { break };
        one(world, trouble, truncation, &mut chance, &mut pause)?;
        *troubles.entry(trouble).or_default() += 1;
    }
    Ok(troubles)
}

fn one(
    world: &World,
    trouble: Trouble,
    truncation: &[Cut],
    chance: &mut Chance,
    pause: &mut Pause<'_>,
) -> Result<(), String> {
    let relay = &world.relay;
    let direction = chance.pick(&DIRECTIONS).unwrap_or(Direction::Both);
    let cut = chance.pick(&CUTS).unwrap_or(Cut::Reset);
    match trouble {
        Trouble::Delay => {
            relay.delay(direction, chance.between(1, 30));
            pause.take(chance.between(20, 80));
        }
        Trouble::Kill => relay.cut(cut),
        Trouble::Outage => {
            relay.stop();
            if chance.one_in(3) {
                world.expire();
            }
            pause.take(chance.between(1, 60));
            relay.restart().map_err(|error| format!("the port does not come back: {error}"))?;
        }
        Trouble::Refusal => {
            relay.refuse();
            pause.take(chance.between(1, 40));
            relay.restart().map_err(|error| format!("the port does not come back: {error}"))?;
        }
        Trouble::Silence => {
            relay.silence(direction);
            pause.take(chance.between(1, 30));
        }
        Trouble::SlowAccept => {
            relay.delay_accept(chance.between(1, 100));
            pause.take(chance.between(20, 80));
        }
        Trouble::Stall => {
            relay.stall(direction);
            pause.take(chance.between(10, 150));
        }
        Trouble::Truncation => {
            let most = if chance.one_in(3) { 50_000 } else { 400 };
            let bytes = chance.below(most);
            let cut = chance.pick(truncation).unwrap_or(Cut::Reset);
            relay.cut_after(direction, bytes, cut);
            pause.take(chance.between(5, 40));
        }
    }
    relay.heal();
    Ok(())
}

struct Pause<'p> {
    stop: &'p Receiver<()>,
    over: bool,
}

impl Pause<'_> {
    fn take(&mut self, length: Duration) {
        if !self.over {
            self.over = self.stop.recv_timeout(length) != Err(RecvTimeoutError::Timeout);
        }
    }
}
