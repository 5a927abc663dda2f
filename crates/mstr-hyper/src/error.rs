//! The classification of hyper's errors for the transport contract.

use std::error::Error as StdError;
use std::io;

use mstr_core::settings::Proxy;
use mstr_core::toolkit::{Peer, Stage};
use mstr_core::{BoxError, Sent, TransportError, TransportErrorKind};

/// Turns a failure of the HTTP stack into a transport error. The only place where that is done.
pub(crate) fn classify(stage: Stage, error: BoxError, peer: &Peer) -> TransportError {
    // The connector's own errors, the connect timeout among them.
    if let Some(ours) = TransportError::find_source::<TransportError>(&*error) {
        return ours.clone();
    }
    let (kind, sent) = diagnose(stage, &*error);
    peer.locate(reasoned(kind, error).with_sent(sent), stage)
}

/// The same for a failure while connecting to what `place` names.
pub(crate) fn explain(error: BoxError, place: impl FnOnce() -> String) -> TransportError {
    if let Some(ours) = TransportError::find_source::<TransportError>(&*error) {
        return ours.clone();
    }
    let (kind, sent) = diagnose(Stage::Connecting, &*error);
    reasoned(kind, error).with_sent(sent).with_place(Stage::Connecting, place())
}

/// A failure of speaking with a proxy before it had connected to the server.
pub(crate) fn proxy_failed(
    proxy: &Proxy,
    doing: Option<&'static str>,
    error: BoxError,
) -> TransportError {
    use TransportErrorKind as Kind;

    if let Some(ours) = TransportError::find_source::<TransportError>(&*error) {
        return ours.clone();
    }
    let kind = match diagnose(Stage::Connecting, &*error).0 {
        kind @ (Kind::Timeout | Kind::Tls) => kind,
        // Whatever a proxy says or leaves out: there is no connection.
        _ => Kind::Connect,
    };
    let failed = reasoned(kind, error)
        .with_sent(Sent::No)
        .with_place(Stage::Connecting, format!("the proxy {proxy}"));
    match doing {
        None => failed,
        Some(doing) => failed.with_detail(doing),
    }
}

/// An error with the reason that its cause tells, where it tells one that the system does not.
fn reasoned(kind: TransportErrorKind, error: BoxError) -> TransportError {
    let reason = match TransportError::find_source::<rustls::Error>(&*error) {
        Some(tls) => why_not_secure(tls),
        None if is_unknown_name(&*error) => Some("its name is not known: check its spelling"),
        None => None,
    };
    let failed = TransportError::new(kind);
    match reason {
        Some(reason) => failed.with_reason(reason),
        None => failed,
    }
    .with_source(error)
}

fn why_not_secure(error: &rustls::Error) -> Option<&'static str> {
    use rustls::{AlertDescription as Alert, CertificateError as Certificate, Error};

    Some(match error {
        Error::InvalidCertificate(wrong) => match wrong {
            Certificate::UnknownIssuer => {
                "its certificate comes from an authority that is not trusted: name it by \
                 TlsConfig::add_root_pem_file"
            }
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
                "its certificate is for another name"
            }
            Certificate::Expired | Certificate::ExpiredContext { .. } => {
                "its certificate has expired"
            }
            Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => {
                "its certificate is not valid yet: check the clocks"
            }
            _ => "its certificate is not accepted",
        },
        Error::AlertReceived(Alert::CertificateRequired) => {
            "it asks for a client certificate: give one by TlsConfig::client_identity_pem_file"
        }
        Error::AlertReceived(Alert::ProtocolVersion) | Error::PeerIncompatible(_) => {
            "both sides have no version of TLS in common"
        }
        Error::AlertReceived(Alert::HandshakeFailure) => {
            "both sides have no way of encryption in common"
        }
        Error::InvalidMessage(_) => {
            "it does not speak TLS: if the port speaks plain http, write http://"
        }
        _ => return None,
    })
}

/// Whether a name could not be resolved. hyper-util says so in words only.
fn is_unknown_name(error: &(dyn StdError + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.to_string() == "dns error" {
            return true;
        }
        cause = error.source();
    }
    false
}

fn diagnose(stage: Stage, error: &(dyn StdError + 'static)) -> (TransportErrorKind, Sent) {
    use TransportErrorKind as Kind;

    let connecting = stage == Stage::Connecting;
    let sent = if connecting { Sent::No } else { Sent::Maybe };
    let hyper = TransportError::find_source::<hyper::Error>(error);

    // hyper says this of a request that it hands back unwritten, and of nothing else: the pooled
    // connection was closed by the server just before.
    if hyper.is_some_and(hyper::Error::is_canceled) {
        return (Kind::Canceled, Sent::No);
    }
    // A server that has begun to answer has processed the request, whatever it says afterwards.
    if stage != Stage::Reading
        && TransportError::find_source::<h2::Error>(error).is_some_and(is_unprocessed)
    {
        return (Kind::Interrupted, Sent::No);
    }
    if TransportError::find_source::<rustls::Error>(error).is_some()
        || TransportError::find_source::<rustls::pki_types::InvalidDnsNameError>(error).is_some()
    {
        return (Kind::Tls, sent);
    }
    if let Some(hyper) = hyper {
        if hyper.is_body_write_aborted() {
            return (Kind::Body, sent);
        }
        // The remaining case of `is_user` is that the connection's task was dropped.
        if hyper.is_user() {
            return (Kind::Canceled, sent);
        }
        if hyper.is_timeout() {
            return (Kind::Timeout, sent);
        }
        if hyper.is_parse() {
            return (Kind::Protocol, sent);
        }
    }
    let io = TransportError::find_source::<io::Error>(error);
    let kind = match io.map(io::Error::kind) {
        Some(io::ErrorKind::TimedOut) => Kind::Timeout,
        Some(_) if connecting => Kind::Connect,
        Some(io::ErrorKind::InvalidData) if io.is_some_and(is_tls_alert) => Kind::Tls,
        // A chunk size that is not a number, for example.
        Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) => Kind::Protocol,
        Some(_) => Kind::Interrupted,
        // Another request was making the HTTP/2 connection that this one waited for, and ended.
        None if connecting && hyper.is_none() => Kind::Canceled,
        None if connecting => Kind::Connect,
        None => Kind::Interrupted,
    };
    (kind, sent)
}

/// Whether the server declares that it has not processed this stream: it refuses it, or says at the
/// connection's end that this one came too late (RFC 9113, section 8.7).
fn is_unprocessed(error: &h2::Error) -> bool {
    let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    let too_late = error.is_go_away();
    error.is_remote() && (refused || too_late)
}

/// Whether the server has ended TLS with an alert, as one does that misses a client certificate.
///
/// HTTP/2 hands an error to every stream of its connection and keeps only its text.
fn is_tls_alert(error: &io::Error) -> bool {
    error.to_string().starts_with("received fatal alert")
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::io::ErrorKind as Io;

    use http::Uri;

    use super::*;

    fn peer() -> Peer {
        Peer::of(&Uri::from_static("https://user:pw@host/path?query")).unwrap()
    }

    fn io(kind: Io) -> BoxError {
        io::Error::from(kind).into()
    }

    fn tls() -> BoxError {
        // As tokio-rustls wraps it, and hyper-rustls once more.
        let error = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        io::Error::other(io::Error::new(Io::InvalidData, error)).into()
    }

    fn alert_of_http_2() -> BoxError {
        let error = rustls::Error::AlertReceived(rustls::AlertDescription::CertificateRequired);
        io::Error::new(Io::InvalidData, error.to_string()).into()
    }

    #[test]
    fn every_cause_has_its_kind_and_says_whether_the_request_left() {
        use Stage::{Connecting, Reading, Sending};
        use TransportErrorKind as Kind;

        let name = rustls::pki_types::ServerName::try_from("not a name").unwrap_err();
        let table = [
            (Connecting, io(Io::ConnectionRefused), Kind::Connect, Sent::No),
            (Connecting, io(Io::HostUnreachable), Kind::Connect, Sent::No),
            (Connecting, io(Io::ConnectionReset), Kind::Connect, Sent::No),
            (Connecting, io(Io::UnexpectedEof), Kind::Connect, Sent::No),
            (Connecting, io(Io::TimedOut), Kind::Timeout, Sent::No),
            (Connecting, tls(), Kind::Tls, Sent::No),
            (Connecting, name.into(), Kind::Tls, Sent::No),
            (Connecting, "pool closed".into(), Kind::Canceled, Sent::No),
            (Sending, io(Io::ConnectionReset), Kind::Interrupted, Sent::Maybe),
            (Sending, io(Io::BrokenPipe), Kind::Interrupted, Sent::Maybe),
            (Sending, io(Io::TimedOut), Kind::Timeout, Sent::Maybe),
            // A server can refuse a client's certificate after the handshake.
            (Sending, tls(), Kind::Tls, Sent::Maybe),
            (Sending, alert_of_http_2(), Kind::Tls, Sent::Maybe),
            (Sending, "unknown".into(), Kind::Interrupted, Sent::Maybe),
            (Reading, io(Io::ConnectionReset), Kind::Interrupted, Sent::Maybe),
            (Reading, io(Io::UnexpectedEof), Kind::Interrupted, Sent::Maybe),
            (Reading, io(Io::InvalidInput), Kind::Protocol, Sent::Maybe),
        ];
        for (stage, cause, kind, sent) in table {
            let text = format!("{stage:?} {cause:?}");
            let error = classify(stage, cause, &peer());
            assert_eq!((error.kind(), error.sent()), (kind, sent), "{text}");
            assert!(error.source().is_some(), "{text}");
        }
    }

    #[test]
    fn an_error_of_ours_is_kept() {
        let ours = TransportError::new(TransportErrorKind::Config).with_sent(Sent::No);
        let error = classify(Stage::Connecting, io::Error::other(ours).into(), &peer());
        assert_eq!((error.kind(), error.sent()), (TransportErrorKind::Config, Sent::No));
    }

    #[tokio::test]
    async fn a_request_that_hyper_hands_back_was_not_sent() {
        let (here, there) = tokio::io::duplex(64);
        let here = hyper_util::rt::TokioIo::new(here);
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake::<_, mstr_core::Body>(here).await.unwrap();
        let answer = sender.send_request(http::Request::new(mstr_core::Body::empty()));
        drop((connection, there));
        let error = classify(Stage::Sending, answer.await.unwrap_err().into(), &peer());
        assert_eq!((error.kind(), error.sent()), (TransportErrorKind::Canceled, Sent::No));
    }
}
