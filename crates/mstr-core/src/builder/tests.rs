//! The environment's description, and settings that must not be lost.

use super::*;

fn of<'a>(
    variables: &'a [(&'a str, &'a str)],
) -> impl Fn(&str) -> Result<Option<String>, Error> + 'a {
    move |name| {
        let found = variables.iter().find(|(known, _)| *known == name);
        Ok(found.map(|(_, value)| (*value).to_owned()))
    }
}

const NEEDED: [(&str, &str); 3] = [
    ("MSTR_BASE_URL", "https://env.example.com/MicroStrategyLibrary"),
    ("MSTR_USERNAME", "alice"),
    ("MSTR_PASSWORD", "hush"),
];

/// With a transport of any kind.
fn prepared(builder: ConnectionBuilder) -> Result<(), Error> {
    #[expect(clippy::disallowed_methods, reason = "an arbitrary origin for virtual time")]
    let now = Instant::now();
    builder.with(()).prepare(TransportInfo::default(), now).map(drop)
}

#[test]
fn environment_describes_server_user_and_project() {
    let with = |more: &[(&str, &str)]| {
        let variables: Vec<_> = NEEDED.iter().chain(more).copied().collect();
        ConnectionBuilder::from_variables(of(&variables))
    };
    assert!(with(&[]).expect("enough").project.is_none());
    let named = with(&[("MSTR_PROJECT_NAME", "Sales\r\n")]).expect("a project");
    assert_eq!(named.project, Some(ProjectRef::Name("Sales".to_owned())));
    let id = "b7ca92f04b9fae8d941c3e9b7e0cd754";
    let chosen = with(&[("MSTR_PROJECT_ID", id)]).expect("a project");
    assert_eq!(chosen.project, Some(id.into()));
    for (more, named) in [
        (&[("MSTR_PROJECT_ID", "Sales")][..], "MSTR_PROJECT_ID is wrong"),
        (&[("MSTR_PROJECT_NAME", " ")], "MSTR_PROJECT_NAME is set but empty"),
        (&[("MSTR_PROJECT_NAME", "a"), ("MSTR_PROJECT_ID", id)], "both MSTR_PROJECT_ID and"),
        (&[("MSTR_API_TOKEN", "t")], "both MSTR_API_TOKEN and"),
        (&[("MSTR_IDENTITY_TOKEN", "t")], "both MSTR_IDENTITY_TOKEN and MSTR_USERNAME"),
    ] {
        let described = with(more);
        let error = described.and_then(prepared).expect_err("a mistake");
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(named), "{error}");
    }
    let nameless = prepared(with(&[]).expect("enough").project(" ")).expect_err("which one?");
    assert!(nameless.to_string().contains("the project's name is empty"), "{nameless}");
    // A tool that asks for the password has the rest from the environment.
    let no_user = || ConnectionBuilder::from_variables(of(&NEEDED[..1])).expect("a server");
    let error = prepared(no_user()).expect_err("no credentials");
    assert!(error.to_string().contains("set MSTR_USERNAME"), "{error}");
    prepared(no_user().standard("alice", "hush")).expect("enough");
    let error = ConnectionBuilder::from_variables(of(&NEEDED[1..])).expect_err("no server");
    assert!(error.to_string().contains("MSTR_BASE_URL is not set"), "{error}");
}

#[test]
fn settings_of_the_default_transport_are_not_lost_in_silence() {
    let builder = || ConnectionBuilder::new(NEEDED[0].1).anonymous();
    let error = prepared(builder().tls(TlsConfig::new())).expect_err("whose are they?");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("ConnectionBuilder::tls"), "{error}");
    let mut taken = builder().proxy(ProxyConfig::new());
    taken.take_transport_settings();
    prepared(taken).expect("they have been seen to");
    // What the environment says is beaten by the transport that is given.
    prepared(ConnectionBuilder::from_variables(of(&NEEDED)).expect("enough")).expect("fine");
}
