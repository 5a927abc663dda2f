//! Servers that exchange the session's cookie with every answer, and those that do it once.

use mstr::SessionStatus;
use mstr_fake::Purpose;

use crate::rig::{on_both, server};

#[test]
fn status_never_ends_a_living_session_of_a_server_that_exchanges_cookies() {
    on_both(|driver| {
        let rig = driver.open(server().rotate_jsessionid(true));
        for _ in 0..10 {
            rig.get("/api/echo").unwrap();
            assert!(matches!(rig.status().unwrap(), SessionStatus::Active(_)));
        }
        assert_eq!(rig.logins(), 1);
        rig.close();
        assert_eq!(rig.left(), 0);
    });
}

#[test]
fn dead_session_where_turns_are_taken_costs_one_refused_request() {
    on_both(|driver| {
        let rig = driver.open(server().rotate_jsessionid(true));
        for _ in 0..5 {
            rig.get("/api/echo").unwrap();
        }
        rig.server(|server| server.expire_all_sessions());
        let (calls, logins) = (rig.count(Purpose::Call), rig.logins());
        let began = rig.elapsed();
        rig.get("/api/echo").unwrap();
        assert_eq!(rig.count(Purpose::Call) - calls, 2, "one is refused, one is answered");
        assert_eq!(rig.logins() - logins, 1);
        assert_eq!(rig.elapsed(), began, "and nothing is waited for");
        rig.close();
    });
}
