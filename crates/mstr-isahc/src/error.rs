//! The classification of isahc's and libcurl's errors for the transport contract.

use isahc::error::ErrorKind as Theirs;
use mstr_core::settings::Proxy;
use mstr_core::toolkit::{Peer, Stage};
use mstr_core::{BoxError, TransportError, TransportErrorKind as Kind};

/// libcurl's numbers (`curl/curl.h`) that the `curl` crate has no predicate for.
mod number {
    pub(super) const UNSUPPORTED_PROTOCOL: u32 = 1;
    pub(super) const WEIRD_SERVER_REPLY: u32 = 8;
    pub(super) const SEND_FAIL_REWIND: u32 = 65;
    pub(super) const PROXY: u32 = 97;
    pub(super) const TOO_LARGE: u32 = 100;
}

/// The proxy that a request goes through.
#[derive(Clone, Copy)]
pub(crate) struct Hop<'a> {
    pub(crate) proxy: &'a Proxy,
    /// Whether it is asked to open a connection to the server, rather than to forward a request.
    pub(crate) opens: bool,
}

/// Turns a failure of the HTTP stack into a transport error. The only place where that is done.
pub(crate) fn classify(
    stage: Stage,
    error: BoxError,
    peer: &Peer,
    hop: Option<Hop<'_>>,
) -> TransportError {
    if let Some(ours) = TransportError::find_source::<TransportError>(&*error) {
        return ours.clone();
    }
    let stage = reached(stage, &*error);
    let hop = hop.filter(|_| stage == Stage::Connecting);
    if let Some(Hop { proxy, .. }) = hop.filter(|hop| hop.opens && may_be_a_refusal(&*error)) {
        let why = "it said no, or cannot be reached; libcurl does not tell which";
        return match proxy.credentials() {
            // If the password is wrong, trying again locks the account.
            Some(_) => proxy.refused_for_good(format!("{why} (check user and password)")),
            None => proxy.refused(why),
        }
        .with_source(error);
    }
    let kind = match TransportError::find_source::<curl::Error>(&*error) {
        Some(numbered) => by_number(numbered),
        None => by_kind(TransportError::find_source::<isahc::Error>(&*error)),
    };
    // Cut off before a connection stood: during the handshake, say.
    let kind =
        if (kind, stage) == (Kind::Interrupted, Stage::Connecting) { Kind::Connect } else { kind };
    let mut failed = peer.locate(TransportError::new(kind).with_sent(stage.sent()), stage);
    if let Some(Hop { proxy, .. }) = hop {
        failed = failed.with_place(stage, format!("{peer} through the proxy {proxy}"));
    }
    if let Some(reason) = reason(kind, &*error) {
        failed = failed.with_reason(reason);
    }
    let curl = TransportError::find_source::<curl::Error>(&*error).map(curl::Error::code);
    if curl == Some(number::SEND_FAIL_REWIND) {
        // It does so where nothing has come back, which does not mean that nothing has arrived.
        failed = failed.with_detail(
            "the connection was lost before an answer, and libcurl cannot begin the body anew to \
             send the request once more",
        );
    }
    failed.with_source(error)
}

/// Why it failed, as far as libcurl's number tells: isahc leaves its words out.
fn reason(kind: Kind, error: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    let numbered = TransportError::find_source::<curl::Error>(error)?;
    if numbered.is_couldnt_resolve_host() || numbered.is_couldnt_resolve_proxy() {
        Some("its name is not known: check its spelling")
    } else if numbered.is_couldnt_connect() {
        Some("its port is closed, or it cannot be reached")
    } else if numbered.is_peer_failed_verification() || numbered.is_ssl_cacert() {
        Some(
            "its certificate comes from an authority that is not trusted (name it by \
             TlsConfig::add_root_pem_file), is for another name or has expired; libcurl does not \
             tell which",
        )
    } else if kind == Kind::Tls && numbered.is_ssl_connect_error() {
        Some("both sides do not agree on TLS; if the port speaks plain http, write http://")
    } else {
        None
    }
}

/// How far the exchange had come.
///
/// libcurl notes the address of the other side when the connection stands, TLS included, and
/// before it sends anything; without one nothing has been sent. (Versions that note it earlier
/// lead to `Maybe`, which is never wrong.)
fn reached(stage: Stage, error: &(dyn std::error::Error + 'static)) -> Stage {
    let theirs = TransportError::find_source::<isahc::Error>(error);
    match theirs {
        Some(theirs) if stage == Stage::Sending && theirs.remote_addr().is_none() => {
            Stage::Connecting
        }
        _ => stage,
    }
}

/// Whether a proxy that was asked to open a connection can be behind an error. libcurl has one
/// number for a proxy that is not there and one that refuses, and isahc leaves its words out.
fn may_be_a_refusal(error: &(dyn std::error::Error + 'static)) -> bool {
    TransportError::find_source::<curl::Error>(error).is_some_and(|numbered| {
        numbered.is_couldnt_connect()
            || numbered.is_recv_error()
            || numbered.code() == number::PROXY
    })
}

fn by_number(error: &curl::Error) -> Kind {
    let number = error.code();
    if error.is_couldnt_resolve_host()
        || error.is_couldnt_resolve_proxy()
        || error.is_couldnt_connect()
        || number == number::PROXY
    {
        return Kind::Connect;
    }
    if error.is_peer_failed_verification()
        || error.is_ssl_cacert()
        || error.is_ssl_certproblem()
        || error.is_ssl_cipher()
        || error.is_ssl_connect_error()
        || error.is_ssl_engine_initfailed()
        || error.is_ssl_issuer_error()
    {
        return Kind::Tls;
    }
    if error.is_operation_timedout() {
        return Kind::Timeout;
    }
    // The last one is what libcurl says to a private key that is not its certificate's.
    if error.is_ssl_cacert_badfile()
        || error.is_url_malformed()
        || error.is_interface_failed()
        || error.is_bad_function_argument()
    {
        return Kind::Config;
    }
    let broken = [number::UNSUPPORTED_PROTOCOL, number::WEIRD_SERVER_REPLY, number::TOO_LARGE];
    // A header that isahc cannot read ends as a failure to take what was received.
    if broken.contains(&number) || error.is_write_error() {
        return Kind::Protocol;
    }
    Kind::Interrupted
}

/// Errors that isahc has made without libcurl.
fn by_kind(error: Option<&isahc::Error>) -> Kind {
    match error.map(isahc::Error::kind) {
        Some(
            Theirs::ClientInitialization
            | Theirs::InvalidRequest
            | Theirs::InvalidTlsConfiguration
            | Theirs::TlsEngine,
        ) => Kind::Config,
        Some(Theirs::ConnectionFailed | Theirs::NameResolution) => Kind::Connect,
        Some(Theirs::ProtocolViolation) => Kind::Protocol,
        Some(Theirs::Timeout) => Kind::Timeout,
        _ => Kind::Interrupted,
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use mstr_core::Sent;

    use super::*;

    fn peer() -> Peer {
        Peer::of(&http::Uri::from_static("https://host/")).unwrap()
    }

    #[test]
    fn every_number_has_its_kind() {
        let table = [
            (1, Kind::Protocol),
            (3, Kind::Config),
            (5, Kind::Connect),
            (6, Kind::Connect),
            (7, Kind::Connect),
            (8, Kind::Protocol),
            (16, Kind::Interrupted),
            (18, Kind::Interrupted),
            (23, Kind::Protocol),
            (28, Kind::Timeout),
            (35, Kind::Tls),
            (42, Kind::Interrupted),
            (43, Kind::Config),
            (45, Kind::Config),
            (52, Kind::Interrupted),
            (55, Kind::Interrupted),
            (56, Kind::Interrupted),
            (58, Kind::Tls),
            (59, Kind::Tls),
            (60, Kind::Tls),
            (65, Kind::Interrupted),
            (77, Kind::Config),
            (83, Kind::Tls),
            (92, Kind::Interrupted),
            (97, Kind::Connect),
            (100, Kind::Protocol),
        ];
        for (number, kind) in table {
            let error = curl::Error::new(number);
            // Without isahc's word for it, the request may have left.
            let error = classify(Stage::Sending, error.into(), &peer(), None);
            assert_eq!((error.kind(), error.sent()), (kind, Sent::Maybe), "{number}");
            assert!(error.source().is_some(), "{number}");
        }
    }

    #[test]
    fn without_an_address_nothing_was_sent() {
        let error = isahc::Error::from(Theirs::Timeout);
        let early = classify(Stage::Sending, error.clone().into(), &peer(), None);
        assert_eq!((early.kind(), early.sent()), (Kind::Timeout, Sent::No));
        assert!(early.to_string().contains("connecting to host:443"), "{early}");
        let cut = classify(Stage::Sending, isahc::Error::from(Theirs::Io).into(), &peer(), None);
        assert_eq!((cut.kind(), cut.sent()), (Kind::Connect, Sent::No));
        let late = classify(Stage::Reading, error.into(), &peer(), None);
        assert_eq!(late.sent(), Sent::Maybe);
    }

    #[test]
    fn an_error_of_ours_is_kept() {
        let ours = TransportError::new(Kind::Body);
        let error = classify(Stage::Sending, std::io::Error::other(ours).into(), &peer(), None);
        assert_eq!(error.kind(), Kind::Body);
    }
}
