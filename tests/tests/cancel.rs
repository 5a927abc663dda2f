//! Every public future, dropped after every number of polls.
//!
//! Whatever was dropped, the next call works, and nothing stays open on the server.
#![expect(clippy::unwrap_used, reason = "this is test code")]

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use mstr::{ApiTokenRequest, Connection};
use mstr_fake::{Purpose, VirtualTime};
use mstr_suite::{Lab, World, server};

/// Polls a future so many times, then drops it.
struct Impatient<F> {
    future: Pin<Box<F>>,
    polls: usize,
}

impl<F: Future> Future for Impatient<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<F::Output>> {
        if self.polls == 0 {
            return Poll::Ready(None);
        }
        self.polls -= 1;
        match self.future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            // Dropped right after the last poll, not when something wakes it.
            Poll::Pending if self.polls == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}

fn impatient<F: Future>(polls: usize, future: F) -> Impatient<F> {
    Impatient { future: Box::pin(future), polls }
}

/// Runs `operation` with 1, 2, 3… polls until it completes. Returns how often it was dropped.
fn sweep<F>(mut round: impl FnMut(World, VirtualTime, usize) -> F) -> usize
where
    F: Future<Output = bool>,
{
    for polls in 1..1_000 {
        let time = VirtualTime::new();
        let lab = Lab::Memory(time.clone());
        let world = lab.start(server().latency(Duration::from_millis(10)));
        let completed = time.run(round(world.clone(), time.clone(), polls));
        time.run_until_idle();
        assert_eq!(world.open_sessions(), 0, "dropped after {polls} polls");
        world.server(|server| {
            let journal = server.journal();
            assert_eq!(journal.mismatched_cookie_and_token(), 0, "after {polls} polls");
            let establishing = [Purpose::Login, Purpose::Delegate, Purpose::Renew];
            assert!(journal.max_concurrent(&establishing) <= 1, "after {polls} polls");
        });
        if completed {
            return polls - 1;
        }
    }
    panic!("it never completes");
}

#[test]
fn connecting_may_be_dropped_at_any_poll() {
    let dropped = sweep(|world, _, polls| async move {
        let connecting = world.builder().project_name("MicroStrategy Tutorial").connect();
        match impatient(polls, connecting).await {
            Some(connection) => {
                connection.unwrap().close().await;
                true
            }
            None => false,
        }
    });
    assert!(dropped >= 2, "{dropped}");
}

#[test]
fn connecting_to_a_server_that_needs_a_second_login() {
    for polls in 1.. {
        let time = VirtualTime::new();
        let lab = Lab::Memory(time.clone());
        let old = server().server_version("11.4.0300.00001").max_sessions_per_user(1);
        let world = lab.start(old.latency(Duration::from_millis(10)));
        let completed = time.run(async {
            match impatient(polls, world.builder().connect()).await {
                Some(connection) => {
                    connection.unwrap().close().await;
                    true
                }
                None => false,
            }
        });
        time.run_until_idle();
        assert_eq!(world.open_sessions(), 0, "dropped after {polls} polls");
        if completed {
            assert!(polls > 3, "{polls}");
            break;
        }
    }
}

/// Sweeps an operation on a connection that is open; afterwards a call has to work.
fn sweep_open<T>(operation: impl AsyncFn(&Connection) -> Result<T, mstr::Error>) -> usize {
    sweep(|world, _, polls| {
        let operation = &operation;
        async move {
            let connection = world.connect().await;
            let completed = match impatient(polls, operation(&connection)).await {
                Some(outcome) => {
                    drop(outcome.unwrap());
                    true
                }
                None => false,
            };
            connection.get("/api/echo").send().await.unwrap();
            assert_eq!(world.logins(), 1);
            connection.close().await;
            completed
        }
    })
}

#[test]
fn every_operation_of_an_open_connection() {
    sweep_open(async |connection| connection.get("/api/echo").send().await);
    sweep_open(async |connection| {
        connection.get("/api/blob?size=200000").send().await?.bytes().await
    });
    sweep_open(async |connection| connection.renew().await);
    sweep_open(async |connection| connection.fetch_user().await);
    sweep_open(async |connection| connection.fetch_server().await);
    sweep_open(async |connection| connection.fetch_session().await);
    sweep_open(async |connection| connection.fetch_status().await);
    sweep_open(async |connection| connection.fetch_projects().await);
    sweep_open(async |connection| connection.select_project("MicroStrategy Tutorial").await);
    sweep_open(async |connection| connection.create_identity_token().await);
    sweep_open(async |connection| connection.create_api_token(ApiTokenRequest::new()).await);
    sweep_open(async |connection| {
        let token = connection.create_identity_token().await?;
        connection.validate_identity_token(&token).await
    });
    sweep_open(async |connection| {
        let token = connection.create_identity_token().await?;
        let borrowed = connection.delegate(token).await?;
        borrowed.get("/api/echo").send().await
    });
}

#[test]
fn a_call_that_meets_a_dead_session() {
    let dropped = sweep(|world, _, polls| async move {
        let connection = world.connect().await;
        world.server(|server| server.expire_all_sessions());
        let completed = match impatient(polls, connection.get("/api/echo").send()).await {
            Some(response) => {
                response.unwrap();
                true
            }
            None => false,
        };
        connection.get("/api/echo").send().await.unwrap();
        assert_eq!(world.logins(), 2, "the login that was dropped is the one that is resumed");
        connection.close().await;
        completed
    });
    assert!(dropped >= 3, "{dropped}");
}

#[test]
fn opening_with_the_last_handle_dropped_in_the_middle() {
    sweep(|world, _, polls| async move {
        let connection = world.builder().build().unwrap();
        let completed = impatient(polls, connection.open()).await.is_some();
        drop(connection);
        completed
    });
}

#[test]
fn closing_may_be_dropped_at_any_poll() {
    let dropped = sweep(|world, _, polls| async move {
        let connection = world.connect().await;
        let completed = impatient(polls, connection.close()).await.is_some();
        assert!(connection.get("/api/echo").send().await.is_err(), "closed from the first poll on");
        drop(connection);
        completed
    });
    assert!(dropped >= 1, "{dropped}");
}

#[test]
fn closing_again_resumes_the_same_logout() {
    sweep(|world, _, polls| async move {
        let connection = world.connect().await;
        let completed = impatient(polls, connection.close()).await.is_some();
        connection.close().await;
        assert_eq!(world.count(Purpose::Logout), 1);
        completed
    });
}

#[test]
fn a_scope_whose_future_is_dropped() {
    sweep(|world, _, polls| async move {
        let connection = world.connect().await;
        let scope = connection.scope(async |connection| {
            connection.get("/api/echo").send().await?;
            connection.get("/api/echo").send().await.map(drop)
        });
        impatient(polls, scope).await.is_some()
    });
}

#[test]
fn task_that_is_never_polled_again_does_not_block_others() {
    let time = VirtualTime::new();
    let world = Lab::Memory(time.clone()).start(server().latency(Duration::from_millis(10)));
    time.run(async {
        let connection = world.builder().build().unwrap();
        let mut stuck = Box::pin(connection.get("/api/echo").send());
        // It leads the login and is then left alone, but not dropped.
        assert!(futures_util::poll!(stuck.as_mut()).is_pending());
        connection.get("/api/echo").send().await.unwrap();
        assert_eq!(world.logins(), 1);
        stuck.await.unwrap();
        connection.close().await;
    });
    assert_eq!(world.open_sessions(), 0);
}
