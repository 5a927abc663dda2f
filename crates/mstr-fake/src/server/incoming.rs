//! A request that has arrived.

use bytes::Bytes;
use http::header::COOKIE;
use http::{HeaderMap, Method, Request};

use super::model::Model;
use super::purpose::Purpose;

/// A request as the server sees it.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) method: Method,
    /// Below the base path; `None` outside of it.
    pub(super) path: Option<String>,
    pub(super) full_path: String,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) purpose: Purpose,
}

impl Incoming {
    pub(super) fn new(request: Request<Bytes>, model: &Model) -> Self {
        let (parts, body) = request.into_parts();
        let full_path = parts.uri.path().to_owned();
        let path = full_path.strip_prefix(&model.base_path).map(str::to_owned);
        let purpose = Purpose::of(&parts.method, path.as_deref().unwrap_or_default());
        Self {
            method: parts.method,
            path,
            full_path,
            query: parts.uri.query().unwrap_or_default().to_owned(),
            headers: parts.headers,
            body,
            purpose,
        }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(super) fn token(&self) -> Option<&str> {
        self.header("x-mstr-authtoken")
    }

    pub(super) fn project(&self) -> Option<&str> {
        self.header("x-mstr-projectid")
    }

    /// The values of all cookies of this name, in the order they came.
    pub(super) fn cookies<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let lines = self.headers.get_all(COOKIE).iter();
        let pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
        pairs.filter_map(move |pair| {
            pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"=")
        })
    }

    /// How many bytes its head has, by HTTP/1.1.
    pub(super) fn head_size(&self) -> usize {
        let line = self.method.as_str().len() + self.full_path.len() + self.query.len() + 13;
        let headers =
            self.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
        line + headers.sum::<usize>() + 2
    }

    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.query.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }

    fn is_form(&self) -> bool {
        self.header("content-type")
            .is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"))
    }

    /// Whether the body is neither a form nor JSON.
    pub(super) fn is_malformed(&self) -> bool {
        !self.is_form()
            && !self.body.is_empty()
            && serde_json::from_slice::<serde_json::Value>(&self.body).is_err()
    }

    /// A body in JSON or in form encoding, as the server accepts both for a login.
    pub(super) fn fields(&self) -> serde_json::Value {
        if self.is_form() {
            let pairs = form_urlencoded::parse(&self.body);
            return pairs
                .map(|(key, value)| (key.into_owned(), serde_json::Value::from(value.into_owned())))
                .collect::<serde_json::Map<_, _>>()
                .into();
        }
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}
