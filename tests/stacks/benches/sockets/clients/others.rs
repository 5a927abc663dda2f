//! The clients of others.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::{BlockingCall, COOKIE, Call, HEADERS, Target, headers};

/// The longest that a request may take, where a client has such a limit: their users set one.
const TIMEOUT: Duration = Duration::from_secs(30);

fn reqwest_builder(target: &Target) -> ::reqwest::ClientBuilder {
    let mut builder = ::reqwest::Client::builder().no_proxy().timeout(TIMEOUT);
    if let Some(authority) = &target.authority {
        let authority = ::reqwest::Certificate::from_pem(authority.as_bytes()).unwrap();
        builder = builder.tls_certs_only([authority]);
    }
    if target.http1_only {
        builder = builder.http1_only();
    }
    builder
}

pub(super) fn reqwest(target: &Target) -> Call {
    let (client, url) = (reqwest_builder(target).build().unwrap(), target.url());
    let read = target.read;
    Rc::new(move || {
        let request = client.get(&*url).header(COOKIE.0, COOKIE.1);
        let request = HEADERS.iter().fold(request, |it, (name, value)| it.header(*name, *value));
        Box::pin(async move { read.finish(&request.send().await.unwrap().bytes().await.unwrap()) })
    })
}

/// With what one adds to come near to a session: a store for cookies, and repetitions.
pub(super) fn reqwest_stacked(target: &Target) -> Call {
    use reqwest_retry::RetryTransientMiddleware;
    use reqwest_retry::policies::ExponentialBackoff;

    let cookies = Arc::new(::reqwest::cookie::Jar::default());
    let url = target.url();
    cookies.add_cookie_str(&format!("{}; Path=/", COOKIE.1), &url.parse().unwrap());
    let client = reqwest_builder(target).cookie_provider(cookies).build().unwrap();
    let policy = ExponentialBackoff::builder().build_with_max_retries(2);
    let client = reqwest_middleware::ClientBuilder::new(client)
        .with(RetryTransientMiddleware::new_with_policy(policy))
        .build();
    Rc::new(move || {
        let request = client.get(&*url);
        let request = HEADERS.iter().fold(request, |it, (name, value)| it.header(*name, *value));
        Box::pin(async move { request.send().await.unwrap().bytes().await.unwrap().len() })
    })
}

fn isahc_client() -> ::isahc::HttpClient {
    use ::isahc::config::Configurable;

    // It asks the environment for a proxy otherwise.
    ::isahc::HttpClient::builder().proxy(None).timeout(TIMEOUT).build().unwrap()
}

pub(super) fn isahc(target: &Target) -> Call {
    use ::isahc::AsyncReadResponseExt;

    let (client, url, read) = (Rc::new(isahc_client()), target.url(), target.read);
    Rc::new(move || {
        let request = headers(::isahc::Request::get(&*url)).body(()).unwrap();
        let client = Rc::clone(&client);
        Box::pin(async move {
            read.finish(&client.send_async(request).await.unwrap().bytes().await.unwrap())
        })
    })
}

pub(super) fn isahc_blocking(target: &Target) -> BlockingCall {
    use ::isahc::ReadResponseExt;

    let (client, url, read) = (isahc_client(), target.url(), target.read);
    Arc::new(move || {
        let request = headers(::isahc::Request::get(&*url)).body(()).unwrap();
        read.finish(&client.send(request).unwrap().bytes().unwrap())
    })
}

/// Without a limit it never asks for the time, and without room for every connection it opens new ones.
pub(super) fn ureq(target: &Target) -> BlockingCall {
    use ::ureq::tls::{Certificate, RootCerts, TlsConfig};

    let mut config = ::ureq::Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .max_idle_connections(100)
        .max_idle_connections_per_host(100)
        .proxy(None);
    if let Some(authority) = &target.authority {
        let authority = Certificate::from_pem(authority.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(&[authority]))
            .unversioned_rustls_crypto_provider(provider);
        config = config.tls_config(tls.build());
    }
    let (agent, url, read) = (config.build().new_agent(), target.url(), target.read);
    Arc::new(move || {
        let request = agent.get(&*url).header(COOKIE.0, COOKIE.1);
        let request = HEADERS.iter().fold(request, |it, (name, value)| it.header(*name, *value));
        let mut answer = request.call().unwrap();
        read.finish(&answer.body_mut().read_to_vec().unwrap())
    })
}
