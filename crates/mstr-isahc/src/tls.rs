//! The TLS settings for libcurl and the TLS library in it.

use std::fs;

use isahc::HttpClientBuilder;
use mstr_core::settings::{LoadedTls, RootSource};
use mstr_core::{Sent, TlsConfig, TransportError, TransportErrorKind};
use rustls_pki_types::CertificateDer;

#[cfg(any(feature = "native-tls", feature = "native-tls-static", feature = "rustls-tls"))]
pub(crate) use available::Tls;
#[cfg(not(any(
    feature = "native-tls",
    feature = "native-tls-static",
    feature = "rustls-tls"
)))]
pub(crate) use unavailable::Tls;

/// Reads the settings, and refuses what isahc would not honour.
fn load(config: &TlsConfig) -> Result<LoadedTls, TransportError> {
    let loaded = config.load(|path| fs::read(path))?;
    for pem in loaded.roots() {
        for certificate in pem.certificates() {
            let certificate = CertificateDer::from(certificate.as_slice());
            webpki::anchor_from_trusted_cert(&certificate).map_err(|error| {
                pem.error("a certificate in it cannot be used").with_source(error)
            })?;
        }
    }
    let rustls = cfg!(feature = "rustls-tls");
    match loaded.root_source() {
        RootSource::Platform => {}
        // libcurl with OpenSSL keeps the directory of the system's certificates beside those that
        // it is given, and isahc has no way to take that away.
        RootSource::OnlyGiven if !rustls && !loaded.accepts_any() => {
            return Err(refuse(
                "TlsConfig::only_given_roots: isahc with `native-tls` trusts the system's \
                 certificates besides; use its feature `rustls-tls` instead, or mstr-hyper",
            ));
        }
        RootSource::Bundled if !(rustls && cfg!(feature = "webpki-roots")) => {
            return Err(refuse(
                "TlsConfig::bundled_roots: needs the features `rustls-tls` and `webpki-roots`, or \
                 mstr-hyper",
            ));
        }
        _ => {}
    }
    if let Some(identity) = loaded.identity().filter(|identity| rustls && identity.path().is_none())
    {
        return Err(identity.error(
            "isahc with `rustls-tls` takes an identity from a file only; use \
             `client_identity_pem_file`, the feature `native-tls`, or mstr-hyper",
        ));
    }
    Ok(loaded)
}

fn refuse(detail: &'static str) -> TransportError {
    TransportError::new(TransportErrorKind::Config).with_sent(Sent::No).with_detail(detail)
}

#[cfg(any(feature = "native-tls", feature = "native-tls-static", feature = "rustls-tls"))]
mod available {
    use isahc::config::Configurable;
    use isahc::tls::{Identity, PrivateKey, ProtocolVersion, TlsConfig as Theirs, TrustStore};
    use mstr_core::TlsVersion;
    use mstr_core::settings::Pem;

    use super::*;

    /// Settings that isahc honours.
    pub(crate) struct Tls(Theirs);

    impl Tls {
        pub(crate) const AVAILABLE: bool = true;

        pub(crate) fn prepare(config: &TlsConfig) -> Result<Self, TransportError> {
            let loaded = load(config)?;
            let mut builder = Theirs::builder().min_version(match loaded.min_version() {
                TlsVersion::Tls12 => ProtocolVersion::Tlsv12,
                _ => ProtocolVersion::Tlsv13,
            });
            if let Some(store) = trust(&loaded)? {
                builder = builder.trust_store(store);
            }
            if let Some(identity) = loaded.identity() {
                builder = builder.identity(show(identity));
            }
            #[cfg(feature = "dangerous")]
            if loaded.accepts_any() {
                builder =
                    builder.danger_accept_invalid_certs(true).danger_accept_invalid_hosts(true);
            }
            Ok(Self(builder.build()))
        }

        pub(crate) fn configure(&self, builder: HttpClientBuilder) -> HttpClientBuilder {
            builder.tls_config(self.0.clone())
        }
    }

    /// Which certificates to trust, if not simply the platform's.
    fn trust(loaded: &LoadedTls) -> Result<Option<TrustStore>, TransportError> {
        let mut store = TrustStore::builder();
        let given = loaded.roots().iter().flat_map(Pem::certificates);
        match loaded.root_source() {
            RootSource::Platform if loaded.roots().is_empty() => return Ok(None),
            // Given certificates take the place of the platform's, so those are given as well.
            RootSource::Platform => {
                let found = rustls_native_certs::load_native_certs();
                if let ([], [problem, ..]) = (&found.certs[..], &found.errors[..]) {
                    return Err(refuse("the platform's trusted certificates cannot be loaded")
                        .with_source(problem.to_string()));
                }
                for certificate in found.certs {
                    store = store.certificate_from_der(certificate);
                }
            }
            #[cfg(feature = "webpki-roots")]
            RootSource::Bundled if loaded.roots().is_empty() => {
                return Ok(Some(TrustStore::webpki_roots()));
            }
            RootSource::Bundled => {
                return Err(refuse(
                    "TlsConfig::bundled_roots: isahc takes nothing besides the list; leave the \
                     added certificates out, or use mstr-hyper",
                ));
            }
            _ => {}
        }
        for certificate in given {
            store = store.certificate_from_der(certificate);
        }
        Ok(Some(store.build()))
    }

    fn show(identity: &Pem) -> Identity {
        match identity.path().filter(|_| cfg!(feature = "rustls-tls")) {
            Some(path) => {
                Identity::from_pem_file(path, Some(PrivateKey::from_pem_file(path, None)))
            }
            None => {
                let text = identity.text().to_vec();
                Identity::from_pem(text.clone(), Some(PrivateKey::from_pem(text, None)))
            }
        }
    }
}

#[cfg(not(any(feature = "native-tls", feature = "native-tls-static", feature = "rustls-tls")))]
mod unavailable {
    use super::*;

    /// Settings that are checked, and never used.
    pub(crate) struct Tls;

    impl Tls {
        pub(crate) const AVAILABLE: bool = false;

        pub(crate) fn prepare(config: &TlsConfig) -> Result<Self, TransportError> {
            load(config).map(|_| Self)
        }

        pub(crate) fn configure(&self, builder: HttpClientBuilder) -> HttpClientBuilder {
            builder
        }
    }
}
