//! A whole session over the transport, with and without TLS.

use mstr_core::{CloseOutcome, Connection, Error};

use super::{Context, Target};
use crate::loopback::{HttpServer, HttpServerBuilder};
use crate::server::{Purpose, Server};

pub(super) async fn a_whole_session(context: Context) {
    live(&context, HttpServer::builder()).await;
}

pub(super) async fn a_whole_session_over_tls(mut context: Context) {
    let (authority, tls) = super::tls::trusted();
    context.aim(&Target { authority_pem: Some(authority.pem()), ..Target::default() });
    live(&context, HttpServer::builder().tls(tls)).await;
}

pub(super) async fn live(context: &Context, builder: HttpServerBuilder) {
    let model = Server::builder().user("alice", "secret").build();
    let server = match builder.start(model) {
        Ok(server) => server,
        Err(error) => panic!("no loopback server: {error}"),
    };
    if let Err(error) = life(context, &server).await {
        panic!("{error:?}");
    }
    server.server(|server| {
        assert_eq!(server.open_sessions(), 0);
        let journal = server.journal();
        assert_eq!(journal.count(Purpose::Login), 2, "one more for the session that ended");
        assert_eq!(journal.mismatched_cookie_and_token(), 0);
        assert_eq!(journal.secrets_seen_outside_auth(), [""; 0]);
    });
}

async fn life(context: &Context, server: &HttpServer) -> Result<(), Error> {
    let connection = Connection::builder(server.base_url())
        .standard("alice", "secret")
        .project_name("MicroStrategy Tutorial")
        .transport(context.transport.clone())
        .connect()
        .await?;
    connection.get("/api/echo").send().await?.bytes().await?;
    connection.renew().await?;
    server.server(Server::expire_all_sessions);
    let echo: serde_json::Value = connection.get("/api/echo").send().await?.json().await?;
    assert_eq!(echo["project"], "B7CA92F04B9FAE8D941C3E9B7E0CD754");
    let posted = connection.post("/api/echo").json(&[1, 2]).send().await?;
    assert_eq!(posted.json::<serde_json::Value>().await?["body"], "[1,2]");
    let blob = connection.get("/api/blob?size=1000000").send().await?.bytes().await?;
    assert_eq!(blob.len(), 1_000_000);
    let outcome = connection.close().await;
    assert!(matches!(outcome, CloseOutcome::LoggedOut), "{outcome:?}");
    Ok(())
}
