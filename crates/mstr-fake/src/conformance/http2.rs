//! Frames that HTTP/2 sends unasked, and its silence.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{Method, Request, StatusCode};
use mstr_core::{Body, Sent, TransportError, TransportErrorKind as Kind};

use super::concurrency::all;
use super::context::{PATIENCE, limited, request};
use super::frames::{Frames, HEADERS, REFUSED_STREAM};
use super::tls::{trust, trusted};
use super::{Context, Target};
use crate::loopback::RawServer;

/// The limit that the servers of this module exceed.
const LIMIT: Duration = Duration::from_millis(300);

/// Starts a server of HTTP/2 that takes so many requests at a time, and has the context trust it.
fn serve(
    context: &mut Context,
    streams: Option<u32>,
    script: impl Fn(Frames) -> io::Result<()> + Send + Sync + 'static,
) -> Arc<RawServer> {
    let (authority, tls) = trusted();
    trust(context, &authority, None);
    context.serve_tls(&tls, move |connection| script(Frames::greet(connection, streams)?))
}

fn post(context: &Context, server: &RawServer, limit: Duration) -> Request<Body> {
    let sent = request(Method::POST, &server.url("/"), Body::from("x"));
    limited(context, sent, limit, PATIENCE)
}

async fn status(context: &Context, server: &RawServer) -> Result<StatusCode, TransportError> {
    let answer = context.send(post(context, server, PATIENCE)).await?;
    let status = answer.status();
    answer.into_body().collect(usize::MAX).await?;
    Ok(status)
}

async fn fine(context: &Context, server: &RawServer) {
    let answer = status(context, server).await;
    assert!(answer.as_ref().is_ok_and(StatusCode::is_success), "{answer:?}");
}

/// Answers the first request on each connection, and what is to be done with its second one.
async fn second_is_unprocessed(
    mut context: Context,
    second: impl Fn(&mut Frames, u32) -> io::Result<()> + Send + Sync + 'static,
) {
    let server = serve(&mut context, None, move |mut frames| {
        let first = frames.read_request()?;
        frames.answer(first)?;
        let next = frames.read_request()?;
        match frames.number() {
            0 => second(&mut frames, next)?,
            _ => frames.answer(next)?,
        }
        // The client may close, or go on.
        while let Ok(stream) = frames.read_request() {
            frames.answer(stream)?;
        }
        Ok(())
    });
    fine(&context, &server).await;
    match status(&context, &server).await {
        // It has gone to another connection.
        Ok(status) => assert_eq!(status, StatusCode::OK),
        Err(error) => assert_eq!(error.sent(), Sent::No, "{error:?}"),
    }
    fine(&context, &server).await;
}

pub(super) async fn a_stream_above_the_last_one_of_a_goaway_was_not_sent(context: Context) {
    second_is_unprocessed(context, |frames, stream| frames.go_away(stream - 2)).await;
}

pub(super) async fn a_stream_that_was_refused_was_not_sent(context: Context) {
    second_is_unprocessed(context, |frames, stream| frames.reset(stream, REFUSED_STREAM)).await;
}

pub(super) async fn an_orderly_end_after_each_answer_loses_no_request(mut context: Context) {
    let server = serve(&mut context, None, |mut frames| {
        let stream = frames.read_request()?;
        frames.answer(stream)?;
        frames.go_away(stream)?;
        // The client closes.
        while frames.read().is_ok() {}
        Ok(())
    });
    for _ in 0..5 {
        match status(&context, &server).await {
            Ok(status) => assert_eq!(status, StatusCode::OK),
            Err(error) => assert_eq!(error.sent(), Sent::No, "{error:?}"),
        }
        context.sleep(Duration::from_millis(30)).await;
    }
}

pub(super) async fn a_server_that_takes_one_request_at_a_time_answers_every_request(
    mut context: Context,
) {
    let most = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&most);
    let server = serve(&mut context, Some(1), move |mut frames| {
        let mut open = 0;
        loop {
            let frame = frames.read()?;
            open += usize::from(frame.kind == HEADERS);
            counted.fetch_max(open, Ordering::SeqCst);
            if frame.ends_a_request() {
                frames.connection().hang(Duration::from_millis(20));
                frames.answer(frame.stream)?;
                open -= 1;
            }
        }
    });
    let (context, server) = (&context, &server);
    // The client knows now how many the server takes.
    fine(context, server).await;
    most.store(0, Ordering::SeqCst);
    let call =
        || -> Pin<Box<dyn Future<Output = ()> + Send + '_>> { Box::pin(fine(context, server)) };
    all((0..20).map(|_| call()).collect()).await;
    assert_eq!(most.load(Ordering::SeqCst), 1, "more at a time than the server takes");
}

/// Answers the first request on its first connection, and is silent there ever after.
fn falls_silent(mut frames: Frames) -> io::Result<()> {
    let first = frames.read_request()?;
    frames.answer(first)?;
    if frames.number() == 0 {
        while frames.read().is_ok() {}
    }
    while let Ok(stream) = frames.read_request() {
        frames.answer(stream)?;
    }
    Ok(())
}

pub(super) async fn a_connection_on_which_a_request_was_late_gets_no_other(mut context: Context) {
    let server = serve(&mut context, None, falls_silent);
    fine(&context, &server).await;
    let late = context.send(post(&context, &server, LIMIT)).await;
    let Err(error) = late else { panic!("it was answered: {late:?}") };
    assert_eq!((error.kind(), error.sent()), (Kind::Timeout, Sent::Maybe), "{error:?}");
    fine(&context, &server).await;
    assert_eq!(server.connections(), 2);
}

pub(super) async fn a_ping_that_is_not_answered_ends_what_waits(mut context: Context) {
    let (authority, tls) = trusted();
    let server =
        context.serve_tls(&tls, |connection| falls_silent(Frames::greet(connection, None)?));
    let authority_pem = Some(authority.pem());
    context.aim(&Target { authority_pem, ping_after: Some(LIMIT), ..Target::default() });
    fine(&context, &server).await;
    let (answer, took) = context.timed(context.send(post(&context, &server, PATIENCE))).await;
    let Err(error) = answer else { panic!("it was answered: {answer:?}") };
    assert_eq!(error.sent(), Sent::Maybe, "{error:?}");
    assert!(took < PATIENCE / 2, "{took:?}");
    fine(&context, &server).await;
}
