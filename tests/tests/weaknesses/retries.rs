//! D: what is tried again, and how long anything may take.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http_body::Frame;
use mstr::core::{SharedTimer, Sleep};
use mstr::{ApiTokenRequest, Body, ErrorKind, RetryPolicy, Timeouts};
use mstr_fake::{Fault, Purpose};
use mstr_suite::{Lab, server};

use crate::network::{Network, response};

const SHORT: Duration = Duration::from_millis(400);

/// 34.
#[test]
fn a_server_that_does_not_answer_is_a_timeout_whatever_the_method() {
    let reading = [Method::GET, Method::HEAD];
    let writing = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    for method in reading.iter().chain(&writing) {
        for attempts in [1, 2, 4] {
            let (method, once) = (method.clone(), writing.contains(method));
            Lab::in_memory(async move |lab| {
                let Lab::Memory(time) = &lab else { unreachable!("in memory") };
                let world = lab.start(server().fault("call:*:stall".parse().unwrap()));
                let builder = world.builder().timeouts(Timeouts::new().attempt(SHORT));
                let retry = RetryPolicy::new().max_attempts(attempts).cap(SHORT);
                let connection = builder.retry(retry).connect().await.unwrap();
                let begun = time.elapsed();
                let request = connection.request(method.clone(), "/api/echo");
                let error = request.send().await.unwrap_err();
                let tried = if once { 1 } else { attempts };
                assert_eq!(error.kind(), ErrorKind::Timeout, "{method}");
                assert!(error.is_timeout());
                assert_eq!(error.attempts(), tried, "{method}");
                assert_eq!(world.count(Purpose::Call), tried as usize, "{method}");
                assert!(time.elapsed() - begun <= 2 * SHORT * tried, "{method}");
                connection.close().await;
            });
        }
    }
}

/// 35.
#[test]
fn an_api_token_whose_creation_is_not_answered_is_created_once() {
    Lab::in_memory(async |lab| {
        let world = lab.start(server().fault("api-token:*:stall-after".parse().unwrap()));
        let connection = world.builder().timeouts(Timeouts::new().attempt(SHORT)).connect().await;
        let connection = connection.unwrap();
        let error = connection.create_api_token(ApiTokenRequest::new()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert_eq!(world.count(Purpose::ApiToken), 1);
        connection.close().await;
    });
}

/// 36 and 37.
#[test]
fn writes_that_may_have_been_executed_are_not_repeated() {
    for method in [Method::PUT, Method::DELETE, Method::PATCH, Method::POST] {
        for effect in ["status=500", "status=503", "status=504", "reset-after", "reset-before"] {
            let method = method.clone();
            Lab::in_memory(async move |lab| {
                let world = lab.start(server().fault(format!("call:*:{effect}").parse().unwrap()));
                let connection = world.connect().await;
                connection.request(method.clone(), "/api/echo").send().await.unwrap_err();
                assert_eq!(world.count(Purpose::Call), 1, "{method} {effect}");
                // Unless the caller declares the request idempotent.
                if effect != "status=500" {
                    let request = connection.request(method.clone(), "/api/echo").idempotent(true);
                    request.send().await.unwrap_err();
                    assert_eq!(world.count(Purpose::Call), 4, "{method} {effect}");
                }
                connection.close().await;
            });
        }
    }
}

/// 37.
#[test]
fn a_gateway_s_complaint_is_waited_out_and_the_server_s_own_500_is_told_at_once() {
    for (answer, calls) in [
        ("status=408", 2),
        ("status=429", 2),
        ("status=500", 2),
        ("status=502", 2),
        ("status=503", 2),
        ("status=504", 2),
        ("error=500,ERR001", 1),
        ("status=404", 1),
    ] {
        Lab::in_memory(async move |lab| {
            let Lab::Memory(time) = &lab else { unreachable!("in memory") };
            let rule = format!("call:1:{answer}").parse::<Fault>().unwrap();
            let world = lab.start(server().fault(rule));
            let connection = world.connect().await;
            let begun = time.elapsed();
            let outcome = connection.get("/api/echo").send().await;
            assert_eq!(outcome.is_ok(), calls == 2, "{answer}");
            assert_eq!(world.count(Purpose::Call), calls, "{answer}");
            if calls == 1 {
                assert_eq!(time.elapsed(), begun, "{answer}: no time is lost");
            }
            connection.close().await;
        });
    }
}

/// 38.
#[test]
fn the_server_s_wait_is_not_begun_if_it_ends_after_the_call_s_time() {
    Lab::in_memory(async |lab| {
        let Lab::Memory(time) = &lab else { unreachable!("in memory") };
        let rule = "call:*:status=429,retry-after=20000".parse::<Fault>().unwrap();
        let world = lab.start(server().fault(rule));
        let connection = world.connect().await;
        let begun = time.elapsed();
        let limited = connection.get("/api/echo").timeout(SHORT).send().await.unwrap_err();
        let usual = connection.get("/api/echo").send().await.unwrap_err();
        assert_eq!(time.elapsed(), begun, "told at once");
        for error in [limited, usual] {
            assert_eq!(error.kind(), ErrorKind::RateLimited);
            // An absurd value is cut, and still longer than any call.
            assert!(error.retry_after().unwrap() >= Duration::from_secs(300));
        }
        connection.close().await;
    });
}

/// 38.
#[test]
fn a_wait_that_cannot_be_read_hides_no_answer() {
    let odd = ["1.5", "-1", "soon", "", "99999999999999999999999", "Wed, 21 Oct 2015 07:28:00 GMT"];
    for wait in odd {
        Lab::in_memory(async move |lab| {
            let world = lab.start(server());
            let network = Network::of(&[&world]);
            let url = format!("{}/api/echo", world.base_url);
            network.answer(&url, move || response(429, &[("retry-after", wait)]));
            let connection = network.builder(&world.base_url).connect().await.unwrap();
            let error = connection.get("/api/echo").send().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::RateLimited, "{wait}");
            assert_eq!(error.status().unwrap(), 429, "{wait}");
            assert_eq!(network.seen_at(&url).len(), 3, "{wait}: tried as usual");
            connection.close().await;
        });
    }
}

/// 39.
#[test]
fn without_any_setting_no_call_takes_longer_than_five_minutes() {
    let longest = Duration::from_secs(300);
    for rule in ["call:*:stall", "call:*:slow=3600000", "call:*:status=503,retry-after=100"] {
        Lab::in_memory(async move |lab| {
            let Lab::Memory(time) = &lab else { unreachable!("in memory") };
            let world = lab.start(server().fault(rule.parse().unwrap()));
            let connection = world.connect().await;
            let begun = time.elapsed();
            connection.get("/api/echo").send().await.unwrap_err();
            assert!(time.elapsed() - begun <= longest, "{rule}");
            connection.close().await;
        });
    }
}

/// A body in pieces, each after a pause.
struct Drip {
    left: usize,
    pause: Duration,
    timer: SharedTimer,
    sleep: Option<Sleep>,
}

impl http_body::Body for Drip {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let (timer, pause) = (self.timer.clone(), self.pause);
        let sleep = self.sleep.get_or_insert_with(|| timer.sleep_until(timer.now() + pause));
        ready!(sleep.as_mut().poll(cx));
        self.sleep = None;
        self.left -= 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"drop")))))
    }
}

/// 39: A body of 3 seconds in pieces of 100 milliseconds, none of which is late.
#[test]
fn a_body_that_drips_does_not_outlast_the_call_s_time() {
    Lab::in_memory(async |lab| {
        let Lab::Memory(time) = &lab else { unreachable!("in memory") };
        let world = lab.start(server());
        let network = Network::of(&[&world]);
        let timer = world.transport.timer();
        network.answer(&format!("{}/api/echo", world.base_url), move || {
            let (timer, pause) = (timer.clone(), Duration::from_millis(100));
            response(200, &[]).map(|_| Body::wrap(Drip { left: 30, pause, timer, sleep: None }))
        });
        let connection = network.builder(&world.base_url).connect().await.unwrap();
        let begun = time.elapsed();
        let limit = Duration::from_millis(450);
        let response = connection.get("/api/echo").timeout(limit).send().await.unwrap();
        let error = response.bytes().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(time.elapsed() - begun <= limit + Duration::from_millis(100));

        let whole = connection.get("/api/echo").send().await.unwrap().bytes().await.unwrap();
        assert_eq!(whole.len(), 120, "with time enough it arrives");
        connection.close().await;
    });
}
