//! Logging in, and what happens when that fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mstr::{BoxError, CredentialProvider, Credentials, ErrorKind, LoginMode};
use mstr_fake::{Fault, Purpose, Server};

use crate::{Lab, assert_every_login_mode, server};

pub async fn the_main_job(lab: Lab) {
    let world = lab.start(server());
    let connection =
        world.builder().project_name("MicroStrategy Tutorial").connect().await.unwrap();
    let project = connection.project().unwrap().clone();
    assert_eq!(project.id.as_str(), "B7CA92F04B9FAE8D941C3E9B7E0CD754");
    assert_eq!(connection.username().as_deref(), Some("alice"));
    assert_eq!(connection.login_mode(), Some(LoginMode::Standard));
    assert_eq!(world.open_sessions(), 1);

    let echo: serde_json::Value =
        connection.get("/api/echo").send().await.unwrap().json().await.unwrap();
    assert_eq!(echo["project"], project.id.as_str());

    world.server(|server| server.expire_all_sessions());
    assert_eq!(world.open_sessions(), 0);
    let echo: serde_json::Value =
        connection.get("/api/echo").send().await.unwrap().json().await.unwrap();
    assert_eq!(echo["project"], project.id.as_str());
    assert_eq!(world.logins(), 2, "exactly one new login");

    connection.close().await;
    assert_eq!(world.open_sessions(), 0);
    world.server(|server| {
        assert_eq!(server.journal().mismatched_cookie_and_token(), 0);
        assert!(server.journal().secrets_seen_outside_auth().is_empty());
    });
}

pub async fn every_login_mode_logs_in(lab: Lab) {
    let world = lab.start(server().ldap_user("bob", "hidden").api_token("APITOKEN-0001", "alice"));
    let every = [
        Credentials::standard("alice", "secret"),
        Credentials::ldap("bob", "hidden"),
        Credentials::anonymous(),
        Credentials::api_token("APITOKEN-0001"),
    ];
    assert_every_login_mode(&every);
    for credentials in every {
        let mode = credentials.login_mode();
        let connection = world.builder_for(credentials).connect().await.unwrap();
        assert_eq!(connection.login_mode(), mode);
        connection.get("/api/echo").send().await.unwrap();
        connection.close().await;
    }
    // The mode is part of the credentials.
    for wrong in [Credentials::ldap("alice", "secret"), Credentials::api_token("other")] {
        let error = world.builder_for(wrong).connect().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Credentials);
    }
    assert_eq!(world.open_sessions(), 0);
}

pub async fn an_identity_token_borrows_a_session(lab: Lab) {
    let world = lab.start(server());
    let owner = world.connect().await;
    let token = owner.create_identity_token().await.unwrap();
    let borrowed =
        world.builder_for(Credentials::identity_token(token.expose_token())).connect().await;
    let borrowed = borrowed.unwrap();
    assert_eq!(borrowed.login_mode(), None);
    borrowed.get("/api/echo").send().await.unwrap();
    borrowed.close().await;
    // The owner has not noticed.
    owner.get("/api/echo").send().await.unwrap();
    assert_eq!(world.logins(), 1);
    assert_eq!(world.count(Purpose::Logout), 0);

    let again = world.builder_for(Credentials::identity_token(token.expose_token())).connect();
    assert_eq!(again.await.unwrap_err().kind(), ErrorKind::Credentials);
    owner.close().await;
}

pub async fn an_old_server_gets_one_session_at_a_time(lab: Lab) {
    let old = server().server_version("11.4.0300.00001").max_sessions_per_user(1);
    let world = lab.start(old);
    let connection = world.connect().await;
    assert_eq!(world.open_sessions(), 1);
    assert_eq!(world.logins(), 2, "once as each application type");
    // A session that replaces a lost one is opened with the right type at once.
    world.server(|server| server.expire_all_sessions());
    connection.get("/api/echo").send().await.unwrap();
    assert_eq!(world.logins(), 3);
    connection.close().await;
    assert_eq!(world.open_sessions(), 0);
}

pub async fn the_application_type_is_negotiated(lab: Lab) {
    let picky =
        server().reject_application_type(76, "The request violates constraint violations: 76");
    let world = lab.start(picky);
    let connection = world.connect().await;
    assert_eq!(world.logins(), 2);
    assert_eq!(world.open_sessions(), 1);
    connection.close().await;
}

pub async fn wrong_credentials_are_submitted_once(lab: Lab) {
    let world = lab.start(server());
    let wrong = Credentials::standard("alice", "wrong");
    let connection = world.builder_for(wrong).build().unwrap();
    for _ in 0..3 {
        let error = connection.get("/api/echo").send().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Credentials);
        assert_eq!(error.server().unwrap().code.as_str(), "ERR003");
        assert!(!format!("{error:?} {error}").contains("wrong\""), "{error:?}");
    }
    assert_eq!(world.logins(), 1);
    connection.reset_credentials(Some(Credentials::standard("alice", "secret")));
    connection.get("/api/echo").send().await.unwrap();
    assert_eq!(world.logins(), 2);
    connection.close().await;
}

pub async fn failures_while_opening_leave_no_session(lab: Lab) {
    let fault = |rule: &str| rule.parse::<Fault>().unwrap();
    let plain = || server();
    let cases: Vec<(&str, mstr_fake::ServerBuilder, ErrorKind)> = vec![
        ("unknown project", plain(), ErrorKind::ProjectUnavailable),
        ("old server", plain().server_version("11.1.0300.00001"), ErrorKind::UnsupportedServer),
        ("failing status", plain().fault(fault("status:*:status=503")), ErrorKind::Server),
        ("failing session info", plain().fault(fault("inspect:*:status=500")), ErrorKind::Server),
        (
            "refused session info",
            plain().fault(fault("inspect:*:error=401,ERR009")),
            ErrorKind::SessionLost,
        ),
        (
            "session info behind a gateway",
            plain().fault(fault("inspect:*:status=401")),
            ErrorKind::Gateway,
        ),
        ("failing projects", plain().fault(fault("projects:*:status=500")), ErrorKind::Server),
        ("interrupted", plain().fault(fault("projects:*:reset-before")), ErrorKind::Interrupted),
    ];
    for (name, server, kind) in cases {
        let world = lab.start(server);
        // The checks are asked side by side: one wrong thing at a time.
        let unknown = name == "unknown project";
        let project = if unknown { "No such project" } else { "MicroStrategy Tutorial" };
        let error = world.builder().project_name(project).connect().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{name}: {error:?}");
        assert_eq!(world.open_sessions(), 0, "{name}");
    }
    let world = lab.start(server());
    let id = "00000000000000000000000000000000";
    let error = world.builder().project_id(id).connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ProjectUnavailable);
    assert_eq!(world.open_sessions(), 0);
}

pub async fn a_web_page_instead_of_the_api_is_recognised(lab: Lab) {
    let page = Fault::page(Purpose::Login, 200, "<html>sign in</html>");
    let world = lab.start(server().fault(page));
    let error = world.builder().connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Gateway);
    assert!(error.to_string().contains("base URL"), "{error}");
}

pub async fn a_wrong_base_url_is_recognised(lab: Lab) {
    let world = lab.start(server());
    let elsewhere = world.base_url.replace("MicroStrategyLibrary", "Library");
    let builder = mstr::Connection::builder(elsewhere).standard("alice", "secret");
    let error = builder.transport(world.transport.clone()).connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("base URL"), "{error}");
    assert_eq!(world.open_sessions(), 0);
}

#[derive(Debug)]
struct Vault(Arc<AtomicUsize>);

#[async_trait::async_trait]
impl CredentialProvider for Vault {
    async fn credentials(&self) -> Result<Credentials, BoxError> {
        match self.0.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => Ok(Credentials::standard("alice", "secret")),
            _ => Err("the vault is sealed".into()),
        }
    }
}

pub async fn credentials_are_asked_for_at_each_login(lab: Lab) {
    let world = lab.start(Server::builder().user("alice", "secret"));
    let asked = Arc::new(AtomicUsize::new(0));
    let connection = mstr::Connection::builder(&world.base_url)
        .credential_provider(Vault(Arc::clone(&asked)))
        .transport(world.transport.clone())
        .connect()
        .await
        .unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    connection.get("/api/echo").send().await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 1, "not while the session is usable");
    world.server(|server| server.expire_all_sessions());
    connection.get("/api/echo").send().await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    world.server(|server| server.expire_all_sessions());
    let error = connection.get("/api/echo").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credentials);
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "the vault is sealed");
}
