//! How a body becomes a value.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap};
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind, read_json};
use crate::protocol::encoding;

/// Reads a body as JSON.
pub(crate) fn decode_json<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<T, Error> {
    read_json(body).map_err(|problem| {
        let message = if body.is_empty() {
            "the response has no body to read as JSON".to_owned()
        } else if let Some(encoded) = still_encoded(headers) {
            encoded
        } else if body.trim_ascii_start().starts_with(b"<") {
            "the response is a web page, not JSON: does a sign-in page stand in front of the \
             server?"
                .to_owned()
        } else {
            format!("the response cannot be read as {}: {problem}", std::any::type_name::<T>())
        };
        Error::new(ErrorKind::Decode, message)
    })
}

/// Reads a body as text: UTF-8, or windows-1252 and its part ISO 8859-1 if the response says so.
pub(crate) fn decode_text(headers: &HeaderMap, body: Bytes) -> Result<String, Error> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let charset = content_type.map(str::to_ascii_lowercase).and_then(|value| {
        let (_, charset) = value.split_once("charset=")?;
        Some(charset.split(';').next().unwrap_or_default().trim_matches(['"', ' ']).to_owned())
    });
    // On the web, ISO 8859-1 means Windows' extension of it (WHATWG Encoding, 4.2).
    if matches!(charset.as_deref(), Some("iso-8859-1" | "latin1" | "windows-1252" | "cp1252")) {
        return Ok(body.iter().map(|byte| windows_1252(*byte)).collect());
    }
    String::from_utf8(body.into()).map_err(|error| {
        let message =
            still_encoded(headers).unwrap_or_else(|| "the response is not UTF-8 text".to_owned());
        Error::new(ErrorKind::Decode, message).with_source(error.utf8_error())
    })
}

/// Why a body cannot be read that was encoded in a way in which it was not asked for, or that the
/// caller asked for.
fn still_encoded(headers: &HeaderMap) -> Option<String> {
    let encodings = encoding::left(headers)?;
    Some(format!(
        "the response is encoded as {encodings}, which is not decoded here: decode its bytes, or \
         have it sent as it is or as gzip"
    ))
}

/// A character of windows-1252. Bytes that it leaves out are control characters, as on the web.
const fn windows_1252(byte: u8) -> char {
    const UPPER: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž',
        '\u{8f}', '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}',
        'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9F => UPPER[(byte - 0x80) as usize],
        _ => byte as char,
    }
}

#[cfg(test)]
mod tests {
    use http::header::HeaderValue;

    use super::*;

    #[test]
    fn windows_1252_is_decoded_by_its_table() {
        let decode = |charset: &'static str, body: &'static [u8]| {
            let mut headers = HeaderMap::new();
            let value = format!("text/csv; charset={charset}");
            headers.insert(CONTENT_TYPE, HeaderValue::from_str(&value).expect("a value"));
            decode_text(&headers, Bytes::from_static(body))
        };
        let text = b"\x80 5 \x96 \x93Caf\xe9\x94 \x9f";
        for charset in ["windows-1252", "\"ISO-8859-1\"", "CP1252"] {
            assert_eq!(decode(charset, text).expect("every byte is one"), "€ 5 – “Café” Ÿ");
        }
        assert_eq!(decode("utf-8", "€".as_bytes()).expect("UTF-8"), "€");
        assert!(decode("utf-8", text).is_err());
    }
}
