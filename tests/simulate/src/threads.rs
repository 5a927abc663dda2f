//! A life of the blocking driver.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use http::{Request, Response};
use mstr_core::blocking::Connection;
use mstr_core::simulation::Scheduler;
use mstr_core::{BlockingTransport, Body, Pending, RequestContext, TransportError};

use crate::baton::Baton;
use crate::client::{Caller, Clock, Vault, described};
use crate::laws::Law;
use crate::net::{UPLOAD_LIMIT, late, received};
use crate::ops::{Op, Step};
use crate::plan::{Ending, Plan};
use crate::run::{DAY, Life, PAUSE, check_timeline, closes, ends, recovers};
use crate::world::{Arrival, World};

type Done = Result<Response<Body>, TransportError>;
type Then = Box<dyn FnOnce(Done) + Send>;

/// Work in the background, which one thread of its own does.
#[derive(Clone, Default)]
struct Background(Arc<Mutex<Jobs>>);

#[derive(Default)]
struct Jobs {
    waiting: BTreeMap<u64, (Travelling, Then)>,
    next: u64,
    over: bool,
}

impl Background {
    fn with<T>(&self, with: impl FnOnce(&mut Jobs) -> T) -> T {
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn key(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}

/// Clones reach the same world.
#[derive(Clone)]
struct Net {
    world: World,
    baton: Baton,
    background: Background,
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Net")
    }
}

/// A request on its way.
struct Travelling {
    net: Net,
    sent: Result<u64, Option<TransportError>>,
    context: RequestContext,
    over: bool,
}

impl Net {
    fn begin(&self, request: Request<Body>) -> Travelling {
        let context = RequestContext::of(&request);
        let (parts, body) = request.into_parts();
        // No body of the simulation waits for anything.
        let body = now_or_never(body.collect(UPLOAD_LIMIT));
        let sent = match body {
            Some(Ok(body)) => {
                let request = Request::from_parts(parts, body);
                Ok(self.world.depart(request, self.baton.now()))
            }
            Some(Err(error)) => Err(Some(error)),
            None => Err(Some(late())),
        };
        self.baton.pass();
        Travelling { net: self.clone(), sent, context, over: false }
    }
}

impl Travelling {
    /// The answer, if it has arrived; else when to look again.
    fn look(&mut self) -> Result<Done, Option<Instant>> {
        let parcel = match &mut self.sent {
            Ok(parcel) => *parcel,
            Err(error) => return Ok(Err(error.take().unwrap_or_else(late))),
        };
        let now = self.net.baton.now();
        let deadline = self.context.deadline;
        match self.net.world.arrival(parcel, now) {
            Arrival::Here(answer) => {
                self.over = true;
                let baton = self.net.baton.clone();
                Ok(received(*answer, &self.context, move |until| baton.sleeping(until), now))
            }
            Arrival::Later(_) if deadline.is_some_and(|deadline| deadline <= now) => {
                Ok(Err(late()))
            }
            Arrival::Later(at) => Err([at, deadline].into_iter().flatten().min()),
        }
    }
}

impl Drop for Travelling {
    fn drop(&mut self) {
        if let Ok(parcel) = self.sent
            && !self.over
        {
            self.net.world.abandon(parcel, self.net.baton.now());
        }
    }
}

impl Pending for Travelling {
    fn wait_until(&mut self, deadline: Instant) -> Option<Done> {
        loop {
            let next = match self.look() {
                Ok(done) => return Some(done),
                Err(next) => next,
            };
            if self.net.baton.now() >= deadline {
                return None;
            }
            self.net.baton.sleep_until(next.map_or(deadline, |next| next.min(deadline)));
        }
    }

    fn detach(self: Box<Self>, then: Then) {
        let (baton, background) = (self.net.baton.clone(), self.net.background.clone());
        background.with(|jobs| {
            jobs.next += 1;
            jobs.waiting.insert(jobs.next, (*self, then));
        });
        baton.notify(background.key());
    }
}

impl BlockingTransport for Net {
    fn send(&self, request: Request<Body>) -> Done {
        let mut travelling = self.begin(request);
        let far = self.baton.now() + Duration::from_secs(1_000_000);
        travelling.wait_until(far).unwrap_or_else(|| Err(late()))
    }

    fn start(&self, request: Request<Body>) -> Box<dyn Pending> {
        Box::new(self.begin(request))
    }

    fn now(&self) -> Instant {
        self.baton.now()
    }

    fn sleep_until(&self, deadline: Instant) {
        self.baton.sleep_until(deadline);
    }

    fn park_until(&self, deadline: Instant) {
        self.baton.park_until(deadline);
    }

    fn send_detached(&self, request: Request<Body>) {
        Box::new(self.begin(request)).detach(Box::new(|_| ()));
    }
}

/// Carries out what is in the background, until it is told that all is over and nothing is left.
fn works_in_background(baton: &Baton, background: &Background) {
    loop {
        let (mut next, mut done) = (None, Vec::new());
        let over = background.with(|jobs| {
            let ids: Vec<u64> = jobs.waiting.keys().copied().collect();
            for id in ids {
                let Some((mut travelling, then)) = jobs.waiting.remove(&id) else { continue };
                match travelling.look() {
                    Ok(answer) => done.push((answer, then)),
                    Err(at) => {
                        next = [next, at].into_iter().flatten().min();
                        jobs.waiting.insert(id, (travelling, then));
                    }
                }
            }
            jobs.over && jobs.waiting.is_empty()
        });
        let idle = done.is_empty();
        for (answer, then) in done {
            then(answer);
        }
        if over && idle {
            return;
        }
        if idle {
            let wait = next.map(|next| next.saturating_duration_since(baton.now()));
            Scheduler::wait(baton, background.key(), wait);
        }
    }
}

pub(crate) fn run(plan: &Arc<Plan>) -> Life {
    let baton = Baton::new(plan.seed);
    let start = baton.now();
    let world = World::new(plan, start);
    let background = Background::default();
    let net = Net { world: world.clone(), baton: baton.clone(), background: background.clone() };
    let caller =
        Caller { plan: Arc::clone(plan), world: world.clone(), clock: Arc::new(baton.clone()) };
    world.state().observer.users.push((start, 0));
    let mut timeline = String::new();
    let mut threads = Vec::new();
    threads.push({
        let (baton, background) = (baton.clone(), background.clone());
        baton.clone().spawn(move || works_in_background(&baton, &background))
    });
    let lived = catch_unwind(AssertUnwindSafe(|| {
        let vault = Vault {
            world: world.clone(),
            clock: Arc::new(baton.clone()),
            seed: plan.seed,
            hangs: plan.has_provider_that_hangs(),
            times: AtomicU32::new(0),
        };
        let connection = match described(plan, vault).blocking_transport(net).build() {
            Ok(connection) => connection,
            Err(error) => return world.broken(Law::NoPanic, error.report()),
        };
        for steps in plan.callers.clone() {
            let (caller, baton) = (caller.clone(), baton.clone());
            let connection = connection.clone();
            threads.push(baton.clone().spawn(move || lives(&caller, &baton, &connection, &steps)));
        }
        let connection = Some(connection).filter(|_| plan.ending != Ending::Abandon);
        baton.join(2);
        let Some(connection) = connection else {
            let alive = world.state().alive(baton.now());
            return world.state().observer.abandons_all(&alive);
        };
        check_timeline(&caller, &connection, &mut timeline);
        let elapsed = baton.now() - start;
        baton.sleep_until(baton.now() + PAUSE.max(DAY.saturating_sub(elapsed)));
        world.state().heal(baton.now());
        in_place(recovers(&caller, &baton, &connection));
        match plan.ending {
            Ending::Close => in_place(closes(&caller, &connection)),
            Ending::Drop | Ending::Abandon => {
                let alive = world.state().alive(baton.now());
                world.state().observer.abandons_all(&alive);
            }
        }
        check_timeline(&caller, &connection, &mut timeline);
    }));
    if let Err(panic) = lived {
        let said = panic.downcast_ref::<String>().cloned();
        let said = said.or_else(|| panic.downcast_ref::<&str>().map(|said| (*said).to_owned()));
        world.broken(Law::NoPanic, said.unwrap_or_default());
    }
    background.with(|jobs| jobs.over = true);
    baton.notify(background.key());
    baton.ends();
    for thread in threads {
        if thread.join().is_err() {
            world.broken(Law::NoPanic, "a thread panicked");
        }
    }
    world.state().settle(baton.now());
    ends(&world, timeline)
}

/// A thread that does one thing after the other.
fn lives(caller: &Caller, baton: &Baton, connection: &Connection, steps: &[Step]) {
    for step in steps {
        baton.sleep_until(baton.now() + step.pause);
        if let Op::Leap(by) = step.op {
            caller.world.state().observer.leapt += by;
            baton.leap(by);
            continue;
        }
        if matches!(step.op, Op::Restart) {
            caller.world.state().server.expire_all_sessions();
            continue;
        }
        // Threads have no whims.
        in_place(async { drop(caller.perform(connection.clone(), step.op).await) });
    }
}

/// What blocking code does in an `async` function is done when that is polled.
fn in_place<T>(future: impl Future<Output = T>) -> T {
    now_or_never(future).unwrap_or_else(|| panic!("a blocking client waits"))
}

fn now_or_never<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
