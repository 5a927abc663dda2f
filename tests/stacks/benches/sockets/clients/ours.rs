//! Our transports, and the session layer over them.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use mstr_core::blocking;
use mstr_core::{BlockingTransport, Body, Connection, RequestContext, Transport};
use mstr_hyper::blocking::HyperBlocking;
use mstr_hyper::{HyperTransport, HyperTransportBuilder};
use mstr_isahc::blocking::IsahcBlocking;
use mstr_isahc::{IsahcTransport, IsahcTransportBuilder};
use tokio::sync::OnceCell;

use super::{BlockingCall, Call, Catalogue, PROJECT, Read, Target, headers};

fn hyper(target: &Target) -> HyperTransportBuilder {
    let builder = HyperTransport::builder().tls(target.tls());
    if target.http1_only { builder.http1_only() } else { builder }
}

fn isahc(target: &Target) -> IsahcTransportBuilder {
    let builder = IsahcTransport::builder().tls(target.tls());
    if target.http1_only { builder.http1_only() } else { builder }
}

pub(super) fn transport(target: &Target) -> Call {
    over(hyper(target).build().unwrap(), target)
}

pub(super) fn isahc_transport(target: &Target) -> Call {
    over(isahc(target).build().unwrap(), target)
}

fn over(transport: impl Transport + Clone, target: &Target) -> Call {
    let url = target.url();
    let timer = transport.timer();
    Rc::new(move || {
        let mut request = headers(Request::get(&*url)).body(Body::empty()).unwrap();
        let mut context = RequestContext::default();
        context.deadline = Some(timer.now() + Duration::from_secs(30));
        context.body_idle_timeout = Some(Duration::from_secs(30));
        context.attach(&mut request);
        let transport = transport.clone();
        Box::pin(async move {
            let answer = transport.send(request).await.unwrap();
            answer.into_body().collect(usize::MAX).await.unwrap().len()
        })
    })
}

pub(super) fn layer(target: &Target) -> Call {
    session(hyper(target).build().unwrap(), target)
}

pub(super) fn isahc_layer(target: &Target) -> Call {
    session(isahc(target).build().unwrap(), target)
}

fn session(transport: impl Transport + Clone, target: &Target) -> Call {
    let base = format!("{}/MicroStrategyLibrary", target.base);
    let connection: Rc<OnceCell<Connection>> = Rc::default();
    let open = Rc::new(move || {
        let connection = Connection::builder(&base).standard("alice", "secret");
        let connection = connection.project_id(PROJECT).checks(false).transport(transport.clone());
        // Set aside: every call would keep room for it.
        Box::pin(async move { connection.connect().await.unwrap() })
    });
    let (path, read) = (target.path, target.read);
    Rc::new(move || {
        let (connection, open) = (Rc::clone(&connection), Rc::clone(&open));
        Box::pin(async move {
            let connection = match connection.get() {
                Some(connection) => connection,
                None => connection.get_or_init(|| open()).await,
            };
            let answer = connection.get(path).send().await.unwrap();
            match read {
                Read::Bytes => answer.bytes().await.unwrap().len(),
                Read::Json => answer.json::<Catalogue>().await.unwrap().length(),
            }
        })
    })
}

pub(super) fn layer_blocking(target: &Target) -> BlockingCall {
    session_blocking(HyperBlocking::from_builder(hyper(target)).unwrap(), target)
}

pub(super) fn isahc_layer_blocking(target: &Target) -> BlockingCall {
    session_blocking(IsahcBlocking::from_builder(isahc(target)).unwrap(), target)
}

fn session_blocking(transport: impl BlockingTransport, target: &Target) -> BlockingCall {
    let connection = blocking::Connection::builder(format!("{}/MicroStrategyLibrary", target.base))
        .standard("alice", "secret")
        .project_id(PROJECT)
        .checks(false)
        .blocking_transport(transport)
        .connect()
        .unwrap();
    let (path, read) = (target.path, target.read);
    Arc::new(move || {
        let answer = connection.get(path).send().unwrap();
        match read {
            Read::Bytes => answer.bytes().unwrap().len(),
            Read::Json => answer.json::<Catalogue>().unwrap().length(),
        }
    })
}
