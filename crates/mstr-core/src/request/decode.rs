//! How a body becomes a value.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap};
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind};

/// Reads a body as JSON.
pub(crate) fn decode_json<T: DeserializeOwned>(body: &Bytes) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|error| {
        let message = if body.is_empty() {
            "the response has no body to read as JSON".to_owned()
        } else if body.trim_ascii_start().starts_with(b"<") {
            "the response is a web page, not JSON: does a sign-in page stand in front of the \
             server?"
                .to_owned()
        } else {
            let name = std::any::type_name::<T>();
            let name = name.rsplit("::").next().unwrap_or(name);
            format!("the response cannot be read as {name}")
        };
        Error::new(ErrorKind::Decode, message).with_source(error)
    })
}

/// Reads a body as text: UTF-8, or Latin-1 if the response says so.
pub(crate) fn decode_text(headers: &HeaderMap, body: Bytes) -> Result<String, Error> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let charset = content_type.map(str::to_ascii_lowercase).and_then(|value| {
        let (_, charset) = value.split_once("charset=")?;
        Some(charset.split(';').next().unwrap_or_default().trim_matches(['"', ' ']).to_owned())
    });
    if matches!(charset.as_deref(), Some("iso-8859-1" | "latin1" | "windows-1252")) {
        return Ok(body.iter().map(|byte| char::from(*byte)).collect());
    }
    String::from_utf8(body.into()).map_err(|error| {
        Error::new(ErrorKind::Decode, "the response is no UTF-8 text")
            .with_source(error.utf8_error())
    })
}
