//! Trust, and failing handshakes.

use std::io;
use std::time::Duration;

use http::{Method, Version};
use mstr_core::{Body, RequestContext, Sent, TransportError, TransportErrorKind as Kind};

use super::context::{PATIENCE, limited, request};
use super::{Context, Target};
use crate::loopback::{Authority, HttpServer, Identity, ServerTls};
use crate::server::Server;

/// The address in certificates and requests.
const HOST: &str = "127.0.0.1";

/// What a case needs to be there; without it the machine is at fault, not the transport.
pub(super) fn given<T>(made: io::Result<T>) -> T {
    match made {
        Ok(made) => made,
        Err(error) => panic!("no certificate or server: {error}"),
    }
}

/// An authority, and a server's certificate that it has signed.
pub(super) fn trusted() -> (Authority, ServerTls) {
    let authority = given(Authority::new());
    let tls = given(ServerTls::new(&given(authority.issue(HOST))));
    (authority, tls)
}

pub(super) fn start(tls: ServerTls) -> HttpServer {
    given(HttpServer::builder().tls(tls).start(Server::builder().build()))
}

/// Aims the context at servers of this authority.
pub(super) fn trust(context: &mut Context, authority: &Authority, identity: Option<&Identity>) {
    let identity_pem = identity.map(Identity::pem);
    let authority_pem = Some(authority.pem());
    context.aim(&Target { authority_pem, identity_pem, ..Target::default() });
}

pub(super) fn status(server: &HttpServer) -> String {
    format!("{}/api/status", server.base_url())
}

async fn failure(context: &Context, server: &HttpServer) -> TransportError {
    let sent = request(Method::GET, &status(server), Body::empty());
    match context.send(limited(context, sent, PATIENCE, PATIENCE)).await {
        Ok(response) => panic!("it was answered: {response:?}"),
        Err(error) => error,
    }
}

pub(super) async fn a_trusted_server_is_reached(mut context: Context) {
    let (authority, tls) = trusted();
    let server = start(tls);
    trust(&mut context, &authority, None);
    assert_eq!(context.get(&status(&server)).await.status(), 200);
}

pub(super) async fn a_server_that_cannot_be_trusted_is_refused_before_anything_is_sent(
    mut context: Context,
) {
    let (authority, stranger) = (given(Authority::new()), given(Authority::new()));
    trust(&mut context, &authority, None);
    for (why, identity) in [
        ("another name", authority.issue("elsewhere.example")),
        ("expired", authority.issue_expired(HOST)),
        ("unknown authority", stranger.issue(HOST)),
    ] {
        let server = start(given(ServerTls::new(&given(identity))));
        let error = failure(&context, &server).await;
        assert_eq!((error.kind(), error.sent()), (Kind::Tls, Sent::No), "{why}: {error:?}");
        assert_eq!(server.server(|server| server.journal().len()), 0, "{why}");
    }
}

pub(super) async fn a_self_signed_certificate_that_was_named_is_trusted_for_its_names(
    mut context: Context,
) {
    let named = |context: &mut Context, identity: &Identity| {
        let authority_pem = Some(identity.certificate_pem());
        context.aim(&Target { authority_pem, ..Target::default() });
        start(given(ServerTls::new(identity)))
    };
    let server = named(&mut context, &given(Identity::self_signed(HOST)));
    assert_eq!(context.get(&status(&server)).await.status(), 200);
    for (why, identity) in [
        ("another name", Identity::self_signed("elsewhere.example")),
        ("expired", Identity::self_signed_expired(HOST)),
    ] {
        let server = named(&mut context, &given(identity));
        let error = failure(&context, &server).await;
        assert_eq!((error.kind(), error.sent()), (Kind::Tls, Sent::No), "{why}: {error:?}");
    }
    let server = start(given(ServerTls::new(&given(Identity::self_signed(HOST)))));
    let error = failure(&context, &server).await;
    assert_eq!(error.kind(), Kind::Tls, "another certificate for the same name: {error:?}");
}

pub(super) async fn a_client_certificate_is_shown_to_servers_that_ask(mut context: Context) {
    let authority = given(Authority::new());
    let own = given(authority.issue(HOST));
    let server = start(given(ServerTls::for_clients_of(&own, &authority)));
    let client = given(authority.issue("client.example"));
    trust(&mut context, &authority, Some(&client));
    assert_eq!(context.get(&status(&server)).await.status(), 200);
    // Without one the server hangs up, during the handshake or (TLS 1.3) right after it, when the
    // request may or may not be on its way.
    trust(&mut context, &authority, None);
    let error = failure(&context, &server).await;
    let expected = [Kind::Canceled, Kind::Interrupted, Kind::Tls];
    assert!(expected.contains(&error.kind()), "{error:?}");
    assert_eq!(server.server(|server| server.journal().len()), 1);
}

pub(super) async fn http_2_is_spoken_with_servers_that_choose_it(mut context: Context) {
    let (authority, tls) = trusted();
    let server = start(tls);
    trust(&mut context, &authority, None);
    let response = context.get(&status(&server)).await;
    assert_eq!(response.version(), Version::HTTP_2);
}

pub(super) async fn a_handshake_that_hangs_is_late_and_has_sent_nothing(mut context: Context) {
    let limit = Duration::from_millis(150);
    let server = context.serve(|mut connection| {
        connection.hang(PATIENCE);
        Ok(())
    });
    let url = format!("https://{}/", server.address());
    let mut sent = request(Method::POST, &url, Body::from("once"));
    let mut limits = RequestContext::default();
    limits.connect_timeout = Some(limit);
    limits.deadline = Some(context.transport.timer().now() + PATIENCE);
    limits.attach(&mut sent);
    let (outcome, took) = context.timed(context.send(sent)).await;
    let Err(error) = outcome else { panic!("a silent server answered") };
    assert_eq!((error.kind(), error.sent()), (Kind::Timeout, Sent::No), "{error:?}");
    assert!(took < PATIENCE / 2, "{took:?}");
}
