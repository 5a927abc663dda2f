//! What the server answers to which path, and bodies that are never in memory as a whole.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Incoming;
use serde_json::json;

/// 200 bytes.
pub(crate) const SMALL: &str = "/small";
/// A mebibyte.
pub(crate) const LARGE: &str = "/large";
/// Ten kibibytes of JSON.
pub(crate) const CATALOGUE: &str = "/catalogue";
/// As many bytes as the number that follows.
pub(crate) const STREAM: &str = "/stream/";
/// Reads a body, and answers with its length.
pub(crate) const UPLOAD: &str = "/upload";

/// The only project.
const PROJECTS: &str =
    r#"[{"id":"B7CA92F04B9FAE8D941C3E9B7E0CD754","name":"Tutorial","status":0}]"#;
/// What the vendor's client asks for beside a login.
const STATUS: &str = r#"{"iServerVersion":"11.5.0400.0001","webVersion":"11.5.0400.0001"}"#;
const SESSION: &str = r#"{"locale":1033,"timeout":3600,"maxSearch":3,"workingSet":10}"#;

/// Bytes that are made as they are read.
pub(crate) struct Repeated {
    piece: Bytes,
    left: u64,
}

impl Repeated {
    pub(crate) fn new(length: u64) -> Self {
        Self { piece: vec![b'x'; 64 * 1024].into(), left: length }
    }
}

impl Body for Repeated {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let length = self.left.min(self.piece.len() as u64);
        self.left -= length;
        Poll::Ready(Some(Ok(Frame::data(self.piece.slice(..length as usize)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// The bodies that are made once.
#[derive(Clone)]
pub(crate) struct Answers {
    small: Bytes,
    large: Bytes,
    catalogue: Bytes,
}

type Answer = Response<Either<Full<Bytes>, Repeated>>;

impl Answers {
    pub(crate) fn new() -> Self {
        let catalogue = catalogue();
        Self { small: vec![b'x'; 200].into(), large: vec![b'x'; 1 << 20].into(), catalogue }
    }

    pub(crate) async fn to(self, request: Request<Incoming>) -> Result<Answer, hyper::Error> {
        let login = request.uri().path().ends_with("/auth/login");
        let mut answer = Response::builder()
            .header("content-type", "application/json;charset=UTF-8")
            .header("x-frame-options", "SAMEORIGIN");
        if login {
            answer = answer
                .status(StatusCode::NO_CONTENT)
                .header("x-mstr-authtoken", "a-token-of-the-usual-length")
                .header("set-cookie", "JSESSIONID=0123456789ABCDEF; Path=/; HttpOnly");
        }
        let fixed = |text: &'static str| Bytes::from_static(text.as_bytes());
        let body = match request.uri().path() {
            path if path.ends_with(LARGE) => self.large,
            path if path.contains("/auth/") => Bytes::new(),
            path if path.ends_with("/projects") => fixed(PROJECTS),
            path if path.ends_with(CATALOGUE) => self.catalogue,
            path if path.ends_with("/api/status") => fixed(STATUS),
            path if path.ends_with("/api/sessions") && request.method() == Method::GET => {
                fixed(SESSION)
            }
            path if path.ends_with(UPLOAD) => received(request).await?.to_string().into(),
            path => match path.split_once(STREAM) {
                Some((_, length)) => {
                    let body = Repeated::new(length.parse().unwrap());
                    return Ok(answer.body(Either::Right(body)).unwrap());
                }
                None => self.small,
            },
        };
        Ok(answer.body(Either::Left(Full::new(body))).unwrap())
    }
}

async fn received(request: Request<Incoming>) -> Result<u64, hyper::Error> {
    let (mut body, mut length) = (request.into_body(), 0);
    while let Some(frame) = body.frame().await {
        length += frame?.data_ref().map_or(0, |data| data.len() as u64);
    }
    Ok(length)
}

fn catalogue() -> Bytes {
    let reports: Vec<_> = (0..27)
        .map(|number| {
            json!({
                "id": format!("{number:08X}4B9FAE8D941C3E9B7E0CD754"),
                "name": format!("Revenue by region and quarter, {number}"),
                "description": (number % 3 > 0).then_some("What was sold, \"returns\" left out"),
                "type": 3,
                "subtype": 768,
                "dateCreated": "2024-03-07T09:14:11.000+0000",
                "dateModified": "2025-11-02T16:40:27.000+0000",
                "version": "4C9C2E6A11EB3B6C00000080EF05DBB5",
                "owner": { "id": "54F3D26011D2896560009A8E67019608", "name": "Administrator" },
                "acg": 255,
                "hidden": false,
            })
        })
        .collect();
    json!({ "totalItems": reports.len(), "result": reports }).to_string().into()
}
