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
    rig.answer(Purpose::Inspect, ok(500, ""));
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
    foreign.origin = "https://other.example.com".into();
    let error = rig.adopt(foreign).expect_err("another server");
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("https://other.example.com"), "{error}");
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
