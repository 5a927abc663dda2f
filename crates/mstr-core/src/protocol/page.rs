//! Answers that are not the REST API's: web pages, of the server's container or of what stands in
//! front of it.

use http::StatusCode;

/// How much of an answer is searched for words.
const SEARCHED: usize = 4 * 1024;

/// Whether an answer is a web page.
pub(crate) fn is_html(body: &[u8]) -> bool {
    body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'<')
}

/// The meaning of an error without the server's own message, if its status and page show it.
pub(crate) fn hint(status: StatusCode, body: &[u8]) -> Option<&'static str> {
    if status == StatusCode::BAD_REQUEST && is_about_plain_http(body) {
        return Some(
            "plain http was sent to a port that speaks https: write https:// in the base URL",
        );
    }
    if !is_html(body) {
        return None;
    }
    Some(match status.as_u16() {
        401 | 403 => {
            "the answer is a web page, not the REST API's: check the base URL, and whether a \
             sign-in page stands in front of the server"
        }
        404 => "the answer is a web page, not the REST API's: check the base URL and the path",
        407 => "a proxy on the way answers with a page: it asks for a user and a password",
        413 => {
            "a gateway in front of the server answers with a page: the request is too large for it"
        }
        429 => "a gateway in front of the server answers with a page: it asks for fewer requests",
        502 => "a gateway in front of the server answers with a page: it cannot reach the server",
        503 => {
            "a gateway in front of the server answers with a page: the server or it is not available"
        }
        504 => {
            "a gateway in front of the server answers with a page: the server did not answer it in \
             time"
        }
        400..=499 => {
            "a gateway in front of the server answers with a page: it does not accept the request, \
             so check the base URL"
        }
        _ => return None,
    })
}

/// Whether the page says that plain http came to a port for https: in the words of nginx, of Apache
/// httpd, of Tomcat.
fn is_about_plain_http(body: &[u8]) -> bool {
    const WORDS: [&str; 3] = [
        "plain http request was sent to https port",
        "speaking plain http to an ssl",
        "requires tls",
    ];
    let page = String::from_utf8_lossy(&body[..body.len().min(SEARCHED)]).to_ascii_lowercase();
    WORDS.iter().any(|said| page.contains(said))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_gateways_are_named_and_signing_in_only_where_it_fits() {
        let page = b"\n<!DOCTYPE html><html><body>no</body></html>";
        let said = |status| hint(StatusCode::from_u16(status).expect("a status"), page);
        for status in [400, 413, 429, 502, 503, 504] {
            let text = said(status).expect("a page");
            assert!(text.contains("a gateway in front of the server answers"), "{status}: {text}");
        }
        for status in 400..600 {
            let signs_in = said(status).is_some_and(|text| text.contains("sign-in"));
            assert_eq!(signs_in, [401, 403].contains(&status), "{status}");
        }
        for body in [&b""[..], b"{}", b"no such thing"] {
            assert_eq!(hint(StatusCode::FORBIDDEN, body), None);
        }
        let nginx = b"<center>The plain HTTP request was sent to HTTPS port</center>";
        let text = hint(StatusCode::BAD_REQUEST, nginx).expect("a hint");
        assert!(text.contains("write https://"), "{text}");
    }
}
