//! Identity tokens, API tokens, and the user.

use mstr::{ApiTokenRequest, Credentials, ErrorKind, IdentityToken};

use crate::{Lab, server};

pub async fn identity_tokens_are_created_and_validated(lab: Lab) {
    let world = lab.start(server());
    let connection = world.connect().await;
    let token = connection.create_identity_token().await.unwrap();
    let user = connection.validate_identity_token(&token).await.unwrap().unwrap();
    assert_eq!(Some(user), connection.fetch_user().await.unwrap().id);
    let other = IdentityToken::new("no such token");
    assert_eq!(connection.validate_identity_token(&other).await.unwrap(), None);

    let second = connection.delegate(token).await.unwrap();
    second.get("/api/echo").send().await.unwrap();
    second.close().await;
    connection.get("/api/echo").send().await.unwrap();
    connection.close().await;
    assert_eq!(world.logins(), 1);
}

pub async fn api_tokens_are_created_replaced_and_revoked(lab: Lab) {
    let world = lab.start(server().user("bob", "hidden"));
    let alice = world.connect().await;
    let login = |token: &mstr::ApiToken| {
        let builder = world.builder_for(Credentials::api_token(token.clone()));
        async move { builder.connect().await }
    };
    let first = alice.create_api_token(ApiTokenRequest::new()).await.unwrap();
    login(&first.token).await.unwrap().close().await;
    let second = alice.create_api_token(ApiTokenRequest::new()).await.unwrap();
    let error = login(&first.token).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credentials, "a new token replaces the old one");
    login(&second.token).await.unwrap().close().await;

    let bob = world.builder_for(Credentials::standard("bob", "hidden")).connect().await.unwrap();
    let id = bob.fetch_user().await.unwrap().id.unwrap();
    let error = alice.create_api_token(ApiTokenRequest::new().user(id)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    bob.close().await;

    alice.revoke_api_token().await.unwrap();
    assert_eq!(login(&second.token).await.unwrap_err().kind(), ErrorKind::Credentials);
    alice.close().await;
}

pub async fn the_user_is_asked_for_once_per_session(lab: Lab) {
    let world = lab.start(server());
    let connection = world.connect().await;
    let before = world.server(|server| server.journal().len());
    for _ in 0..5 {
        assert!(connection.fetch_user().await.unwrap().id.is_some());
        assert!(connection.fetch_server().await.unwrap().iserver_version.is_some());
    }
    let after = world.server(|server| server.journal().len());
    assert_eq!(after - before, 1, "the server is known since the session was opened");
    connection.close().await;
}
