//! Headers that something in front of the server wants on every exchange.

use http::HeaderMap;

use super::*;

fn rig() -> Rig {
    Rig::new(config().front_headers(true), Some(alice()))
}

fn front() -> HeaderMap {
    let mut front = HeaderMap::new();
    front.insert("cf-access-token", "hunter2".parse().expect("a value"));
    front.insert("accept", "text/html".parse().expect("a value"));
    front
}

impl Rig {
    fn supply_front(&mut self, front: Result<HeaderMap, Error>) {
        let id = self.fronting.pop_front().expect("front headers are asked for");
        self.session.supply_front_headers(id, front, self.now);
        self.drain();
    }
}

#[test]
fn front_headers_precede_every_exchange_and_replace_nothing() {
    let mut rig = rig();
    rig.pending();
    rig.nothing_sent();
    rig.supply_front(Ok(front()));
    let login = rig.answer(Purpose::Login, opened("t1"));
    assert_eq!(header(&login, "cf-access-token"), Some("hunter2"));
    assert!(login.request.headers()["cf-access-token"].is_sensitive());
    assert_eq!(header(&login, "accept"), Some("application/json, */*;q=0.8"));
    rig.granted();
    rig.log_out();
    rig.nothing_sent();
    rig.supply_front(Ok(front()));
    assert_eq!(header(&rig.take(Purpose::Logout), "cf-access-token"), Some("hunter2"));
}

#[test]
fn front_headers_that_cannot_be_had_fail_the_exchange_as_unsent() {
    let mut rig = rig();
    rig.pending();
    for _ in 0..2 {
        rig.supply_front(Err(Error::new(ErrorKind::Credentials, "hunter2 is away")));
        rig.wait();
    }
    rig.supply_front(Err(Error::new(ErrorKind::Credentials, "hunter2 is away")));
    let error = rig.failure();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Canceled, Some("login")));
    rig.nothing_sent();
    // The next call asks again.
    rig.pending();
    rig.supply_front(Ok(front()));
    rig.take(Purpose::Login);
}

#[test]
fn front_headers_that_come_too_late_send_nothing() {
    let mut rig = rig();
    rig.pending();
    rig.wait();
    rig.supply_front(Ok(front()));
    rig.nothing_sent();
    rig.session.supply_front_headers(ExchangeId(99), Ok(front()), rig.now);
    rig.nothing_sent();
}

#[test]
fn front_headers_are_asked_for_logouts_in_the_background_too() {
    let mut rig = rig();
    rig.pending();
    rig.supply_front(Ok(front()));
    rig.answer(Purpose::Login, opened("t1"));
    rig.command(Command::Reset(None));
    rig.supply_front(Ok(front()));
    let logout = rig.take(Purpose::Logout);
    assert_eq!((logout.detached, header(&logout, "cf-access-token")), (true, Some("hunter2")));
}

#[test]
fn front_headers_that_come_after_a_login_was_given_up_leave_nothing_to_wait_for() {
    for supplied in [Ok(front()), Err(Error::new(ErrorKind::Credentials, "away"))] {
        let mut rig = rig();
        rig.pending();
        rig.wait();
        rig.supply_front(supplied);
        while !rig.fronting.is_empty() {
            rig.supply_front(Err(Error::new(ErrorKind::Credentials, "away")));
            rig.drain();
            if rig.fronting.is_empty() && rig.session.describe().contains("log") {
                rig.wait();
            }
        }
        rig.nothing_sent();
        assert!(!rig.session.has_retired_logins(), "it never left");
    }
}
