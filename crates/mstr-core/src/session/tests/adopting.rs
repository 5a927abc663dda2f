//! A session that was opened elsewhere.

use super::*;

fn other() -> Rig {
    let mut rig = Rig::new(config().records(true), Some(alice()));
    rig.pending();
    rig.answer(Purpose::Login, opened("elsewhere"));
    rig
}

fn record() -> SessionRecord {
    other().session.record().expect("a session is open")
}

impl Rig {
    fn adopt(&mut self, record: SessionRecord) -> Result<(), Error> {
        let adopted = self.session.adopt(record, self.now);
        self.drain();
        adopted
    }
}

#[test]
fn record_is_stored_with_each_change_of_session_or_cookies() {
    let mut rig = other();
    let grant = rig.granted();
    assert_eq!(rig.stored.len(), 1);
    rig.observe(&grant, 200, &["AWSALB=a"], "");
    rig.observe(&grant, 200, &["AWSALB=a"], "");
    assert_eq!(rig.stored.len(), 2, "a cookie that stays the same changes nothing");
    let text = format!("{:?}", rig.stored);
    assert!(!text.contains("elsewhere") && text.contains("env.example.com"), "{text}");
}

#[test]
fn adopted_session_is_open_at_once_and_sends_nothing() {
    let mut rig = Rig::new(config().checks(true), Some(alice()));
    rig.adopt(record()).expect("the same server");
    let grant = rig.granted();
    let expected = "JSESSIONID=j-elsewhere; iSession=elsewhere";
    assert_eq!(token_and_cookies(&grant), ("elsewhere".into(), expected.into()));
    rig.nothing_sent();
    assert_eq!(rig.events(), "opened1");
    // Its idle time is the record's, from now on.
    rig.seconds(301);
    rig.pending();
    rig.take(Purpose::Renew);
}

#[test]
fn adopted_generation_is_the_records_or_the_next_own_one() {
    let mut rig = Rig::open();
    rig.adopt(record()).expect("the same server");
    assert_eq!(rig.granted().generation().number(), 2, "the record's is 1");
    let mut later = record();
    later.token = crate::protocol::AuthToken::new("another");
    later.generation = Generation::from_number(1_700_000_000_000_000);
    rig.adopt(later).expect("the same server");
    assert_eq!(rig.granted().generation().number(), 1_700_000_000_000_000);
    let adopted = rig.granted().generation();
    rig.session.revoke(adopted, rig.now);
    rig.pending();
    rig.answer(Purpose::Login, opened("t2"));
    assert_eq!(rig.granted().generation().number(), 1_700_000_000_000_001);
}

#[test]
fn adopted_session_that_has_ended_is_replaced_and_left_to_others() {
    let mut rig = Rig::standard();
    for _ in 0..5 {
        rig.adopt(record()).expect("the same server");
        let grant = rig.granted();
        assert_eq!(rig.observe(&grant, 401, &[], EXPIRED), Verdict::Gone);
        rig.nothing_sent();
    }
    // None of them counts as one that was opened in vain.
    rig.pending();
    rig.take(Purpose::Login);
}

#[test]
fn adopted_session_in_which_something_worked_is_its_own() {
    let mut rig = Rig::standard();
    rig.adopt(record()).expect("the same server");
    let grant = rig.granted();
    rig.observe(&grant, 200, &[], "");
    rig.log_out();
    rig.answer(Purpose::Logout, ok(204, ""));
    assert!(rig.events().ends_with("closed:LoggedOut"));
}

#[test]
fn adopted_session_of_a_person_is_never_logged_out_nor_replaced() {
    let mut rig = Rig::standard();
    rig.adopt(record().as_borrowed()).expect("the same server");
    let grant = rig.granted();
    assert!(!rig.session.needs_closing());
    rig.observe(&grant, 401, &[], EXPIRED);
    assert_eq!(rig.denied().kind(), ErrorKind::SessionLost);
    rig.nothing_sent();
}

#[test]
fn adopting_gives_up_whatever_was_under_way() {
    // An own session is logged out, a login that is late too.
    let mut rig = Rig::open();
    rig.adopt(record()).expect("the same server");
    assert!(rig.take(Purpose::Logout).detached);

    let mut rig = Rig::standard();
    rig.pending();
    let late = rig.take(Purpose::Login);
    rig.adopt(record()).expect("the same server");
    rig.granted();
    rig.report(&late, opened("late"));
    assert_eq!(header(&rig.take(Purpose::Logout), "x-mstr-authtoken"), Some("late"));
    assert_eq!(token_and_cookies(&rig.granted()).0, "elsewhere");

    // A logout between two attempts is not forgotten.
    let mut rig = Rig::new(config().checks(true), Some(alice()));
    rig.pending();
    rig.answer(Purpose::Login, opened("t1"));
    rig.answer(Purpose::Inspect, ok(500, INTERNAL));
    rig.answer(Purpose::Logout, ok(503, ""));
    rig.adopt(record()).expect("the same server");
    let again = rig.take(Purpose::Logout);
    assert_eq!((again.detached, header(&again, "x-mstr-authtoken")), (true, Some("t1")));
    rig.granted();
}

#[test]
fn record_of_another_server_is_refused_and_changes_nothing() {
    let mut rig = Rig::open();
    let mut foreign = record();
    foreign.base = BaseUrl::parse("https://env.example.com/Other").expect("a URL");
    let error = rig.adopt(foreign).expect_err("another server");
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("https://env.example.com/Other"), "{error}");
    assert_eq!(token_and_cookies(&rig.granted()).0, "t1");
    rig.nothing_sent();
}

#[test]
fn record_without_the_wanted_project_is_refused() {
    const LIST: &str = r#"[{"id":"B19DEDCC11D4E0EFC000EB9495D0F44F","name":"Sales","status":0}]"#;
    let mut rig = Rig::new(config().project("Sales"), Some(alice()));
    let error = rig.adopt(record()).expect_err("requests would be about no project");
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("\"Sales\""), "{error}");

    let mut knows = Rig::new(config().project("Sales"), Some(alice()));
    knows.pending();
    knows.answer(Purpose::Login, opened("elsewhere"));
    knows.answer(Purpose::ListProjects, ok(200, LIST));
    rig.adopt(knows.session.record().expect("open")).expect("it knows the project");
    assert_eq!(rig.session.project().map(|project| project.name.as_str()), Some("Sales"));
}

#[test]
fn adopting_after_a_logout_is_refused() {
    for answered in [true, false] {
        let mut rig = Rig::open();
        rig.log_out();
        if answered {
            rig.answer(Purpose::Logout, ok(204, ""));
        }
        assert_eq!(rig.adopt(record()).expect_err("closed").kind(), ErrorKind::Closed);
        assert_eq!(rig.denied().kind(), ErrorKind::Closed);
    }
}

#[test]
fn adopting_the_session_in_use_takes_its_cookies_over_and_logs_nothing_out() {
    let mut rig = Rig::open();
    let grant = rig.granted();
    let mut record = rig.session.record().expect("open");
    record.jar.insert(crate::protocol::Cookie::new(b"AWSALB", b"new"));
    rig.adopt(record).expect("its own");
    rig.nothing_sent();
    let newer = rig.granted();
    assert_eq!(newer.generation(), grant.generation());
    assert!(token_and_cookies(&newer).1.ends_with("AWSALB=new"));
    // What was refused with the former cookies says nothing.
    assert_eq!(rig.observe(&grant, 401, &[], EXPIRED), Verdict::Outdated);
}

#[test]
fn adopted_session_that_was_never_used_is_logged_out_by_a_logout_only() {
    let mut rig = Rig::standard();
    rig.adopt(record()).expect("the same server");
    assert!(!rig.session.needs_closing());
    rig.command(Command::Reset(None));
    rig.nothing_sent();
    rig.adopt(record()).expect("the same server");
    let mut other = record();
    other.token = crate::protocol::AuthToken::new("another");
    rig.adopt(other).expect("the same server");
    rig.nothing_sent();
    rig.log_out();
    assert_eq!(header(&rig.take(Purpose::Logout), "x-mstr-authtoken"), Some("another"));
}

#[test]
fn adopting_forgets_no_logout_that_is_under_way() {
    let mut rig = Rig::new(config().checks(true), Some(alice()));
    rig.pending();
    rig.answer(Purpose::Login, opened("t1"));
    rig.answer(Purpose::Inspect, ok(500, INTERNAL));
    let first = rig.take(Purpose::Logout);
    rig.adopt(record()).expect("the same server");
    assert!(!rig.session.awaits(first.id), "a driver that has not sent it will not");
    assert!(rig.take(Purpose::Logout).detached);
}

#[test]
fn adopting_lifts_a_refusal_only_for_as_long_as_that_session_lasts() {
    let mut rig = Rig::standard();
    rig.pending();
    rig.answer(Purpose::Login, ok(401, LOGIN_FAILED));
    rig.adopt(record()).expect("the same server");
    let grant = rig.granted();
    rig.observe(&grant, 200, &[], "");
    rig.observe(&grant, 401, &[], EXPIRED);
    assert_eq!(rig.denied().kind(), ErrorKind::Credentials);
    rig.nothing_sent();
}

#[test]
fn adopted_session_of_a_server_that_exchanges_cookies_takes_turns_at_once() {
    let mut rig = other();
    for cookie in ["JSESSIONID=a", "JSESSIONID=b"] {
        let grant = rig.granted();
        rig.observe(&grant, 200, &[cookie], "");
    }
    let mut adopter = Rig::standard();
    adopter.adopt(rig.session.record().expect("open")).expect("the same server");
    assert!(adopter.granted().takes_turns());
}

#[test]
fn cookies_that_come_while_a_session_is_left_are_those_of_the_next_logout() {
    let mut rig = Rig::open();
    let grant = rig.granted();
    rig.log_out();
    rig.observe(&grant, 200, &["JSESSIONID=newer"], "");
    rig.answer(Purpose::Logout, ok(503, ""));
    rig.wait();
    let again = rig.take(Purpose::Logout);
    assert!(header(&again, "cookie").is_some_and(|cookie| cookie.contains("JSESSIONID=newer")));
}

#[test]
fn renewed_session_that_is_given_up_for_another_ends_the_count_of_fruitless_ones() {
    let mut rig = Rig::open();
    let lose = |rig: &mut Rig| {
        let grant = rig.granted();
        rig.session.revoke(grant.generation(), rig.now);
        rig.pending();
        rig.answer(Purpose::Login, opened("t"));
    };
    // Something had succeeded in the first.
    for _ in 0..3 {
        lose(&mut rig);
    }
    rig.command(Command::Renew);
    rig.answer(Purpose::Renew, ok(204, ""));
    rig.adopt(record()).expect("the same server");
    lose(&mut rig);
    // The third in all, and the first since one was renewed.
    lose(&mut rig);
}
