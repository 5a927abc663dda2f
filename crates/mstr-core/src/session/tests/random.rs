//! Any sequence of inputs: nothing panics, and the laws hold.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Access,
    /// Which of the exchanges in flight is answered, and how.
    Answer(usize, u8),
    Borrowed(bool),
    Observe(u8),
    Pass(u32),
    Renew,
    Reset,
    Supply,
    Close,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => Just(Step::Access),
        16 => (any::<usize>(), any::<u8>()).prop_map(|(which, how)| Step::Answer(which, how)),
        1 => any::<bool>().prop_map(Step::Borrowed),
        5 => any::<u8>().prop_map(Step::Observe),
        4 => (0_u32..70_000).prop_map(Step::Pass),
        2 => Just(Step::Renew),
        1 => Just(Step::Reset),
        3 => Just(Step::Supply),
        1 => Just(Step::Close),
    ];
    proptest::collection::vec(step, 1..120)
}

/// What a server and a network could say to this.
fn say(purpose: Purpose, how: u8, token: &str) -> Answer {
    match (how % 12, purpose) {
        (0..=5, Purpose::Login | Purpose::Delegate) => opened(token),
        (0..=5, Purpose::Inspect) => ok(200, r#"{"timeout":30}"#),
        (0..=4, Purpose::Status) => ok(200, NEW_SERVER),
        (5, Purpose::Status) => ok(200, r#"{"iServerVersion":"11.3.0100"}"#),
        (0..=5, Purpose::ListProjects) => ok(200, "[]"),
        (0..=5, _) => ok(204, ""),
        (6, _) => ok(503, ""),
        (7, _) => broken(TransportErrorKind::Interrupted),
        (8, _) => broken(TransportErrorKind::Canceled),
        (9, _) => ok(500, "nonsense"),
        (10, _) => ok(401, EXPIRED),
        (_, _) => ok(200, "<html>"),
    }
}

/// A machine under test, and what a server would know about it.
struct World {
    rig: Rig,
    /// The tokens that are alive on the server and ours to log out.
    alive: BTreeSet<String>,
    tokens: u32,
}

impl World {
    fn new(provider: bool, checks: bool) -> Self {
        let credentials = (!provider).then(alice);
        let rig = Rig::new(config().checks(checks), credentials);
        Self { rig, alive: BTreeSet::new(), tokens: 0 }
    }

    fn step(&mut self, step: &Step) {
        let rig = &mut self.rig;
        match step {
            Step::Access => drop(rig.access()),
            Step::Answer(_, _) if rig.sent.is_empty() => {}
            Step::Answer(which, how) => {
                let index = which % rig.sent.len();
                let exchange = rig.sent.remove(index).expect("in range");
                self.tokens += 1;
                let token = format!("t{}", self.tokens);
                let answer = say(exchange.purpose, *how, &token);
                let success = answer.as_ref().is_ok_and(|answer| answer.status() == 204);
                if success && exchange.purpose == Purpose::Login {
                    self.alive.insert(token);
                }
                // A logout that was sent has been tried, whatever the answer; and a 401 says that
                // the session is gone.
                let refused = answer.as_ref().is_ok_and(|answer| answer.status() == 401);
                if let Some(token) = header(&exchange, "x-mstr-authtoken")
                    && (refused || exchange.purpose == Purpose::Logout)
                {
                    self.alive.remove(token);
                }
                rig.report(&exchange, answer);
            }
            Step::Borrowed(even) => {
                let credentials = if *even { borrowed() } else { alice() };
                rig.command(Command::Reset(Some(credentials)));
            }
            Step::Observe(how) => {
                let Some(grant) = rig.session.current_grant() else { return };
                let (status, body) = if how % 4 == 0 { (401, EXPIRED) } else { (200, "") };
                if rig.observe(&grant, status, &[], body) == Verdict::Gone {
                    // The server says that it is gone.
                    self.alive.remove(&token_and_cookies(&grant).0);
                    rig.session.revoke(grant.generation(), rig.now);
                    rig.drain();
                }
            }
            Step::Pass(milliseconds) => {
                rig.pass(Duration::from_millis((*milliseconds).into()));
                rig.session.handle_timeout(rig.now);
                rig.drain();
            }
            Step::Renew => rig.command(Command::Renew),
            Step::Reset => rig.command(Command::Reset(None)),
            Step::Supply => {
                if let Some(id) = rig.asked.pop_front() {
                    rig.session.supply_credentials(id, Ok(alice()), rig.now);
                    rig.drain();
                }
            }
            Step::Close => rig.log_out(),
        }
    }

    fn check(&self) {
        let rig = &self.rig;
        let establishing = |exchange: &&Exchange| {
            let purpose = exchange.purpose;
            (purpose.opens_session() || purpose == Purpose::Renew)
                && rig.session.awaits(exchange.id)
        };
        assert!(rig.sent.iter().filter(establishing).count() <= 1, "one at a time");
        // Every session of ours is in use, or on its way out.
        let held = rig.session.expose_token();
        for token in &self.alive {
            let leaving = rig.sent.iter().any(|exchange| {
                exchange.purpose == Purpose::Logout
                    && header(exchange, "x-mstr-authtoken") == Some(token)
            });
            assert!(
                held.as_deref() == Some(token.as_str()) || leaving,
                "{token} is forgotten in state {}",
                rig.session.describe()
            );
        }
        // A machine that is busy says what it waits for.
        if !rig.session.is_settled() {
            let waits = rig.session.state.next_deadline().is_some();
            assert!(waits, "{} waits for nothing", rig.session.describe());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_no_session_is_forgotten_and_one_is_opened_at_a_time(
        provider: bool,
        checks: bool,
        steps in steps(),
    ) {
        let mut world = World::new(provider, checks);
        let mut generation = None;
        for step in &steps {
            world.step(step);
            world.check();
            prop_assert!(world.rig.session.generation() >= generation, "generations only grow");
            generation = world.rig.session.generation();
        }
    }

    #[test]
    fn equal_seeds_and_inputs_give_equal_outputs(steps in steps()) {
        let run = || {
            let mut world = World::new(false, true);
            let start = world.rig.start;
            let mut log = Vec::new();
            for step in &steps {
                world.step(step);
                let until = world.rig.drain().map(|until| until - start);
                let sent = world.rig.sent.iter().map(written).collect::<Vec<_>>();
                log.push((world.rig.session.describe(), until, sent));
            }
            (log, world.rig.events)
        };
        prop_assert_eq!(run(), run());
    }
}
