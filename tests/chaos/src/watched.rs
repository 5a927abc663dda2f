//! A transport that is watched: what really went to it, and what came back.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use http::header::SET_COOKIE;
use http::{HeaderMap, Request, Response};
use mstr_core::{Body, BoxFuture, SharedTimer, Transport, TransportError, TransportInfo};

/// The record.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// How often each call was sent.
    sent: Mutex<BTreeMap<u64, usize>>,
    /// Logins whose answer came with a token. Without the token a client cannot log out.
    tokens: AtomicUsize,
    /// Those that came without the session's cookie, which the server always sets.
    half_logins: AtomicUsize,
}

impl Seen {
    pub(crate) fn sent(&self, number: u64) -> usize {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.get(&number).copied().unwrap_or(0)
    }

    pub(crate) fn tokens(&self) -> usize {
        self.tokens.load(Ordering::SeqCst)
    }

    pub(crate) fn half_logins(&self) -> usize {
        self.half_logins.load(Ordering::SeqCst)
    }

    fn login_answered(&self, headers: &HeaderMap) {
        if headers.contains_key("x-mstr-authtoken") {
            self.tokens.fetch_add(1, Ordering::SeqCst);
            let mut cookies = headers.get_all(SET_COOKIE).iter();
            if !cookies.any(|cookie| cookie.as_bytes().starts_with(b"JSESSIONID=")) {
                self.half_logins.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
}

#[derive(Debug)]
pub(crate) struct Watched<T> {
    inner: T,
    seen: Arc<Seen>,
}

impl<T> Watched<T> {
    pub(crate) fn new(inner: T, seen: Arc<Seen>) -> Self {
        Self { inner, seen }
    }
}

#[async_trait]
impl<T: Transport> Transport for Watched<T> {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        let path = request.uri().path();
        let is_login = path.ends_with("/api/auth/login");
        let number = path.rsplit_once("/api/chaos/").and_then(|(_, number)| number.parse().ok());
        if let Some(number) = number {
            let mut sent = self.seen.sent.lock().unwrap_or_else(PoisonError::into_inner);
            *sent.entry(number).or_default() += 1;
        }
        let answer = self.inner.send(request).await;
        if is_login && let Ok(answer) = &answer {
            self.seen.login_answered(answer.headers());
        }
        answer
    }

    fn timer(&self) -> SharedTimer {
        self.inner.timer()
    }

    fn detach(&self, task: BoxFuture<'static, ()>) {
        self.inner.detach(task);
    }

    fn info(&self) -> TransportInfo {
        self.inner.info()
    }
}
