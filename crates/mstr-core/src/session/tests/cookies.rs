//! Cookies that live for a while, and those that there is no room for.

use super::*;

#[test]
fn cookie_whose_age_is_over_is_sent_with_nothing() {
    let mut rig = Rig::open();
    let grant = rig.granted();
    rig.observe(&grant, 200, &["AWSALB=sticky; Max-Age=60; Path=/"], "");
    rig.seconds(59);
    assert!(token_and_cookies(&rig.granted()).1.contains("AWSALB=sticky"));
    rig.seconds(1);
    assert!(!token_and_cookies(&rig.granted()).1.contains("AWSALB"));
    rig.observe(&grant, 200, &["AWSALB=sticky; Max-Age=60; Path=/"], "");
    rig.seconds(60);
    rig.command(Command::Renew);
    let renewal = rig.answer(Purpose::Renew, ok(204, ""));
    assert!(!header(&renewal, "cookie").unwrap_or_default().contains("AWSALB"));
    let grant = rig.granted();
    rig.observe(&grant, 200, &["AWSALB=sticky; Max-Age=60; Path=/"], "");
    rig.seconds(60);
    rig.log_out();
    let logout = rig.answer(Purpose::Logout, ok(204, ""));
    assert!(!header(&logout, "cookie").unwrap_or_default().contains("AWSALB"));
}

#[test]
fn cookies_that_there_is_no_room_for_are_told_once_in_a_session_and_without_their_values() {
    let mut rig = Rig::open();
    let grant = rig.granted();
    let name = format!("big\u{e9}{}", "n".repeat(100));
    let huge = format!("{name}={}; Path=/", "hunter2".repeat(1_000));
    rig.events();
    rig.observe(&grant, 200, &[&huge], "");
    let told = rig.events();
    assert!(told.starts_with("ignored:big") && told.len() < 100, "{told}");
    assert!(!told.contains("hunter2"));
    rig.observe(&grant, 200, &[&huge], "");
    assert_eq!(rig.events(), "");
    assert!(!token_and_cookies(&rig.granted()).1.contains("big"));
}

#[test]
fn cookies_of_one_name_for_two_paths_are_told_apart_when_one_is_exchanged() {
    let mut rig = Rig::open();
    let grant = rig.granted();
    rig.observe(&grant, 200, &["JSESSIONID=own; Path=/MicroStrategyLibrary"], "");
    // Another application on the same host, which exchanges its cookie with each answer.
    for number in 0..5 {
        let grant = rig.granted();
        rig.observe(&grant, 200, &[&format!("JSESSIONID=portal{number}; Path=/")], "");
        assert!(!grant.takes_turns(), "{number}");
    }
    let cookies = token_and_cookies(&rig.granted()).1;
    assert!(cookies.starts_with("JSESSIONID=own; JSESSIONID=portal4"), "{cookies}");
}
