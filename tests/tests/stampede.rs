//! Thousands of tasks that meet the same dead session.

use std::time::Duration;

use mstr::{Credentials, ErrorKind, Event};
use mstr_fake::{Fault, Purpose, VirtualTime};
use mstr_suite::{Lab, server};

/// Numbers that differ and repeat from run to run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

#[test]
fn ten_thousand_tasks_half_of_them_cancelled_cost_one_login() {
    const TASKS: u64 = 10_000;
    let time = VirtualTime::seeded(11);
    let lab = Lab::Memory(time.clone());
    let world = lab.start(server().latency(Duration::from_millis(20)));
    time.run(async {
        let connection = world.connect().await;
        world.server(|server| server.expire_all_sessions());
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let connection = connection.clone();
                time.spawn(async move {
                    connection.get("/api/echo").send().await?.bytes().await.map(drop)
                })
            })
            .collect();

        // A random half is cancelled at random moments of the 80 ms this takes: the refused
        // call, the login, the repeated call.
        let mut chance = Chance(42);
        let mut doomed: Vec<(u64, usize)> = (0..tasks.len())
            .filter(|_| chance.below(2) == 0)
            .collect::<Vec<_>>()
            .into_iter()
            .map(|task| (chance.below(80_000), task))
            .collect();
        // The first leader is among them, in the middle of the login.
        doomed.retain(|(_, task)| *task >= 100);
        doomed.extend((0..100).map(|task| (25_000 + task as u64, task)));
        doomed.sort_unstable();
        let mut passed = 0;
        for (at, task) in &doomed {
            time.sleep(Duration::from_micros(at - passed)).await;
            passed = *at;
            tasks[*task].abort();
        }

        let mut answered = 0;
        for (number, task) in tasks.into_iter().enumerate() {
            match task.await {
                Some(outcome) => {
                    outcome.unwrap();
                    answered += 1;
                }
                None => assert!(doomed.iter().any(|(_, task)| *task == number)),
            }
        }
        assert!(answered >= TASKS / 3, "{answered}");
        assert_eq!(world.logins(), 2, "the first login, and exactly one more");
        assert_eq!(world.open_sessions(), 1);
        connection.close().await;
    });
    time.run_until_idle();
    assert_eq!(world.open_sessions(), 0);
    assert_eq!(world.server(|server| server.orphan_sessions()), 0);
    world.server(|server| {
        let journal = server.journal();
        assert_eq!(journal.mismatched_cookie_and_token(), 0);
        assert_eq!(journal.max_concurrent(&[Purpose::Login, Purpose::Renew]), 1);
    });
}

#[test]
fn a_server_that_refuses_logins_gives_all_tasks_the_same_error_after_one_flight() {
    Lab::in_memory(async |lab| {
        let world = lab.start(server().latency(Duration::from_millis(20)));
        let Lab::Memory(time) = &lab else { unreachable!("in memory") };
        let connection = world.connect().await;
        let refusal = "login:*:status=503".parse::<Fault>().unwrap();
        world.server(|server| {
            server.expire_all_sessions();
            server.add_fault(refusal);
        });
        let before = world.logins();
        let tasks: Vec<_> = (0..500)
            .map(|_| {
                let connection = connection.clone();
                time.spawn(async move { connection.get("/api/echo").send().await.map(drop) })
            })
            .collect();
        let mut texts = std::collections::BTreeSet::new();
        for task in tasks {
            let error = task.await.unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Server);
            assert_eq!(error.attempts(), 3);
            texts.insert(error.to_string());
        }
        assert_eq!(texts.len(), 1, "{texts:?}");
        assert_eq!(world.logins() - before, 3, "one flight of three attempts");

        // The next call begins anew, and succeeds once the server does.
        world.server(|server| server.clear_faults());
        connection.get("/api/echo").send().await.unwrap();
        connection.close().await;
    });
}

#[test]
fn a_wrong_password_is_submitted_once_however_many_tasks_wait() {
    Lab::in_memory(async |lab| {
        let world = lab.start(server().latency(Duration::from_millis(20)));
        let Lab::Memory(time) = &lab else { unreachable!("in memory") };
        let wrong = Credentials::standard("alice", "wrong");
        let connection = world.builder_for(wrong).build().unwrap();
        let mut events = connection.events();
        for _ in 0..2 {
            let tasks: Vec<_> = (0..1_000)
                .map(|_| {
                    let connection = connection.clone();
                    time.spawn(async move { connection.get("/api/echo").send().await.map(drop) })
                })
                .collect();
            for task in tasks {
                let error = task.await.unwrap().unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Credentials);
            }
        }
        assert_eq!(world.logins(), 1);
        assert_eq!(world.server(|server| server.logins_after_rejection()), 0);
        assert!(matches!(events.try_next(), Some(Event::Rejected(_))));
        assert!(events.try_next().is_none());
    });
}

#[test]
fn a_call_that_gives_up_soon_leaves_the_login_to_the_next() {
    // A login of two seconds, and callers with the patience of 50 ms.
    Lab::in_memory(async |lab| {
        let rule = "login:*:slow=2000".parse::<Fault>().unwrap();
        let world = lab.start(server().fault(rule));
        let connection = world.builder().build().unwrap();
        for _ in 0..5 {
            let hasty = connection.get("/api/echo").timeout(Duration::from_millis(50));
            assert_eq!(hasty.send().await.unwrap_err().kind(), ErrorKind::Timeout);
        }
        connection.get("/api/echo").send().await.unwrap();
        assert_eq!(world.logins(), 1);
        connection.close().await;
        assert_eq!(world.open_sessions(), 0);
    });
}
