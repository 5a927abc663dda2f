//! One life, from the first call to the end of the day.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use mstr_core::{BoxFuture, CloseOutcome, Error, Timer};
use mstr_fake::{Purpose, VirtualTime};

use crate::bare;
use crate::bare::words::{Row, Seen};
use crate::client::{Caller, Client, Clock, Vault, described};
use crate::compare::Done;
use crate::laws::{Broken, Law};
use crate::net::Net;
use crate::ops::{self, Op, Outcome, Path, Step, Whim};
use crate::plan::{Class, Ending, Plan};
use crate::rooted::unrooted;
use crate::world::World;

/// At least so much time passes in each life.
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest pause after fruitless logins, and a little more.
pub(crate) const PAUSE: Duration = Duration::from_secs(16 * 60);

/// Which driver lives the life.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Driver {
    Tasks,
    #[cfg(mstr_simulation)]
    Threads,
    /// The machines without a driver of the library.
    Bare,
}

impl Driver {
    pub(crate) const ALL: &'static [Self] = &[
        Self::Tasks,
        #[cfg(mstr_simulation)]
        Self::Threads,
        Self::Bare,
    ];

    /// Whether it lives the life of this seed. Threads cost more.
    pub(crate) const fn lives(self, seed: u64) -> bool {
        match self {
            Self::Tasks => true,
            #[cfg(mstr_simulation)]
            Self::Threads => seed.is_multiple_of(4),
            Self::Bare => seed % 4 == 1,
        }
    }
}

impl std::fmt::Display for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tasks => "tasks",
            #[cfg(mstr_simulation)]
            Self::Threads => "threads",
            Self::Bare => "bare",
        })
    }
}

/// What has become of a life.
pub(crate) struct Life {
    pub(crate) verdict: Option<Broken>,
    pub(crate) timeline: String,
    pub(crate) story: Vec<String>,
    /// What was done, if it is compared.
    pub(crate) done: Done,
    /// What has happened to the bare machines.
    pub(crate) seen: BTreeSet<Row>,
}

impl Clock for VirtualTime {
    fn now(&self) -> Instant {
        Timer::now(self)
    }

    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        Box::pin(Self::sleep(self, time))
    }
}

pub(crate) fn run(plan: &Arc<Plan>, driver: Driver) -> Life {
    match driver {
        Driver::Tasks => of_tasks(plan, |net, vault| described(plan, vault).transport(net).build()),
        Driver::Bare => {
            let seen = Seen::default();
            // It closes always: what the last handle does is the drivers' own.
            let ending = Ending::Close;
            let plan = &Arc::new(Plan { ending, ..(**plan).clone() });
            let life = of_tasks(plan, |net, vault| {
                bare::described(plan, net, vault, seen.clone(), !plan.compared)
            });
            Life { seen: seen.take(), ..life }
        }
        #[cfg(mstr_simulation)]
        Driver::Threads => crate::threads::run(plan),
    }
}

/// A life of tasks, with whatever connects.
fn of_tasks<C: Client>(
    plan: &Arc<Plan>,
    connect: impl FnOnce(Net, Vault) -> Result<C, Error>,
) -> Life {
    let time = VirtualTime::seeded(plan.seed | 1);
    let start = Timer::now(&time);
    let world = World::new(plan, start);
    let net = Net { world: world.clone(), time: time.clone() };
    let caller =
        Caller { plan: Arc::clone(plan), world: world.clone(), clock: Arc::new(time.clone()) };
    world.state().observer.users.push((start, 0));
    let mut timeline = String::new();
    let lived = catch_unwind(AssertUnwindSafe(|| {
        let vault = Vault {
            world: world.clone(),
            clock: Arc::new(time.clone()),
            seed: plan.seed,
            hangs: plan.has_provider_that_hangs(),
            times: AtomicU32::new(0),
        };
        let connection = match connect(net, vault) {
            Ok(connection) => connection,
            Err(error) => return world.broken(Law::NoPanic, error.report()),
        };
        world.state().observer.bare = connection.timeline().is_none();
        let tasks: Vec<_> = plan
            .callers
            .iter()
            .map(|steps| {
                let life = lives(caller.clone(), time.clone(), connection.clone(), steps.clone());
                time.spawn(life)
            })
            .collect();
        let connection = Some(connection).filter(|_| plan.ending != Ending::Abandon);
        drop(time.run(join_all(tasks)));
        let Some(connection) = connection else {
            let alive = world.state().alive(Timer::now(&time));
            world.state().observer.abandons_all(&alive);
            return time.run_until_idle();
        };
        check_timeline(&caller, &connection, &mut timeline);
        let elapsed = time.elapsed();
        time.run(time.sleep(PAUSE.max(DAY.saturating_sub(elapsed))));
        world.state().heal(Timer::now(&time));
        time.run(recovers(&caller, &time, &connection));
        match plan.ending {
            Ending::Close => time.run(closes(&caller, &connection)),
            Ending::Drop | Ending::Abandon => {
                let alive = world.state().alive(Clock::now(&time));
                world.state().observer.abandons_all(&alive);
            }
        }
        check_timeline(&caller, &connection, &mut timeline);
        drop(connection);
        time.run_until_idle();
    }));
    if let Err(panic) = lived {
        let said = panic.downcast_ref::<String>().cloned();
        let said = said.or_else(|| panic.downcast_ref::<&str>().map(|said| (*said).to_owned()));
        world.broken(Law::NoPanic, said.unwrap_or_default());
    }
    world.state().settle(Timer::now(&time));
    ends(&world, timeline)
}

/// What the world has seen, when all is over.
pub(crate) fn ends(world: &World, timeline: String) -> Life {
    let mut state = world.state();
    let left = state.observer.left();
    if !left.is_empty() {
        state.observer.broken(Law::NothingLeft, format!("left open: what {left:?} have opened"));
    }
    let mixed = state.server.journal().mismatched_cookie_and_token();
    if mixed > 0 {
        state
            .observer
            .broken(Law::OwnCookies, format!("{mixed} requests had those of two sessions"));
    }
    let leaks = state.server.journal().secrets_seen_outside_auth();
    if !leaks.is_empty() {
        state.observer.broken(Law::NoSecret, format!("{leaks:?}"));
    }
    let done = if state.plan.compared { state.done() } else { Done::default() };
    let story = state.story.take().unwrap_or_default();
    Life { verdict: state.observer.verdict.clone(), timeline, story, done, seen: BTreeSet::new() }
}

pub(crate) fn check_timeline<C: Client>(caller: &Caller, client: &C, text: &mut String) {
    let Some(timeline) = client.timeline() else { return };
    *text = timeline.to_string();
    if let Some(entry) = unrooted(&timeline) {
        caller.world.broken(Law::Rooted, entry);
    }
    if caller.world.state().observer.shown_secret(text).is_some() {
        caller.world.broken(Law::NoSecret, "in the timeline");
    }
}

/// A task that does one thing after the other.
async fn lives<C: Client>(caller: Caller, time: VirtualTime, client: C, steps: Vec<Step>) {
    let mut resting: Vec<Rest> = Vec::new();
    for Step { pause, op, whim } in steps {
        time.sleep(pause).await;
        if let Op::Leap(by) = op {
            caller.world.state().observer.leapt += by;
            time.advance(by);
            continue;
        }
        if matches!(op, Op::Restart) {
            caller.world.state().server.expire_all_sessions();
            continue;
        }
        let now = Timer::now(&time);
        while let Some(index) = due(&resting, now) {
            let (_, resumes, rest) = resting.swap_remove(index);
            if resumes {
                rest.await;
            }
        }
        let own = caller.clone();
        let unhurried = matches!(whim, Whim::Rests { .. });
        let theirs = client.clone();
        let future: BoxFuture<'static, Outcome> = if unhurried {
            // Its time is over when it is polled again.
            Box::pin(async move { own.unhurried(theirs, op).await })
        } else {
            Box::pin(async move { own.perform(theirs, op).await })
        };
        match whim {
            Whim::None => drop(future.await),
            Whim::Drops { polls } => drop(Polled { future: Some(future), polls }.await),
            Whim::TimesOut(limit) => {
                let sleep = time.sleep(limit);
                drop(futures_util::future::select(future, sleep).await);
            }
            Whim::Rests { polls, hold, resumes } => {
                if let Some(rest) = (Polled { future: Some(future), polls }).await {
                    resting.push((Timer::now(&time) + hold, resumes, rest));
                }
            }
        }
    }
    while let Some((until, resumes, rest)) = resting.pop() {
        time.sleep_until(until).await;
        if resumes {
            rest.await;
        }
    }
}

/// A future that is left alone until then, and whether it is gone on with.
type Rest = (Instant, bool, BoxFuture<'static, Outcome>);

fn due(resting: &[Rest], now: Instant) -> Option<usize> {
    resting.iter().position(|(until, ..)| *until <= now)
}

/// Polls a future so often; what is left of it then.
struct Polled {
    future: Option<BoxFuture<'static, Outcome>>,
    polls: u32,
}

impl Future for Polled {
    type Output = Option<BoxFuture<'static, Outcome>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(future) = self.future.as_mut() else { return Poll::Ready(None) };
        if future.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        self.polls -= 1;
        if self.polls == 0 { Poll::Ready(self.future.take()) } else { Poll::Pending }
    }
}

/// The faults are over: everything works again.
pub(crate) async fn recovers<C: Client>(caller: &Caller, clock: &impl Clock, client: &C) {
    let plan = &caller.plan;
    if caller.world.state().observer.closing
        || plan.has(Class::Scattered)
        || plan.has(Class::SessionLimit)
        || plan.total.is_some_and(|total| total < Duration::from_secs(10))
        || plan.attempt.is_some_and(|attempt| attempt < Duration::from_secs(5))
    {
        return;
    }
    if plan.has(Class::PasswordChanges) {
        caller.reset(client, Some(0));
    }
    let works = |id| works(caller, client, id);
    // What was left behind may be told to the next caller, who may come to know of a pause by it.
    drop(caller.perform(client.clone(), Op::Call(get(1_000_000))).await);
    clock.wait(PAUSE).await;
    works(1_000_019).await;
    // A session that ends sooner is taken for a sign of a balancer that does not stick.
    clock.wait(Duration::from_secs(15)).await;
    works(1_000_020).await;
    let logins = || caller.world.state().server.journal().count(Purpose::Login);
    caller.world.state().server.expire_all_sessions();
    let before = logins();
    let together = if plan.has(Class::Rotation) || plan.compared { 1 } else { 5 };
    join_all((0..together).map(|id| works(1_000_001 + id))).await;
    for id in 0..3 {
        works(1_000_010 + id).await;
    }
    let needed = logins() - before;
    if needed != 1 {
        caller.world.broken(Law::Heals, format!("{needed} logins for one that was needed"));
    }
    let begun = clock.now();
    match client.user().await {
        Ok(name) if caller.world.state().observer.was_user(&name, begun) => {}
        other => caller.world.broken(Law::RightUser, format!("in the end: {other:?}")),
    }
}

fn get(id: u32) -> ops::Call {
    ops::Call {
        id,
        method: "GET",
        body: ops::Body::None,
        path: Path::Echo,
        idempotent: None,
        total: None,
        own_project: false,
    }
}

async fn works<C: Client>(caller: &Caller, client: &C, id: u32) {
    match caller.perform(client.clone(), Op::Call(get(id))).await {
        Outcome::Answered { status: 200, .. } => {}
        other => caller.world.broken(Law::Heals, format!("in the end a call is told {other:?}")),
    }
}

/// Closes; nothing works any more, and nothing is open.
pub(crate) async fn closes<C: Client>(caller: &Caller, client: &C) {
    // A logout may have been under way for a long time.
    let already = caller.world.state().observer.closing || caller.plan.has(Class::Unpolled);
    let outcome = caller.close(client).await;
    if let CloseOutcome::Failed(error) = &outcome
        && !already
        && caller.plan.attempt.is_none_or(|attempt| attempt >= Duration::from_secs(5))
        && caller.plan.total.is_none_or(|total| total >= Duration::from_secs(5))
        // Logouts that are refused are not believed there.
        && !caller.plan.has(Class::DropsCookies)
        && !caller.plan.has(Class::Rotation)
        && !caller.plan.has(Class::Scattered)
    {
        caller.world.broken(Law::NothingLeft, format!("the logout failed: {}", error.report()));
    }
    drop(caller.perform(client.clone(), Op::Open).await);
}
