//! The TLS settings for rustls.
//!
//! The provider of cryptography is always passed explicitly. rustls can take one from a global
//! instead, but that global belongs to the program, and two libraries that set it collide.

use std::fs;
use std::sync::{Arc, OnceLock};

use mstr_core::settings::{Pem, RootSource};
use mstr_core::{BoxError, Sent, TlsConfig, TlsVersion, TransportError, TransportErrorKind};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore};

use crate::named::OrNamed;

/// Reads and checks the settings.
pub(crate) fn prepare(config: &TlsConfig, protocols: &[&[u8]]) -> Result<Tls, TransportError> {
    let loaded = config.load(|path| fs::read(path))?;
    let provider = provider();
    let mut roots = Vec::new();
    for pem in loaded.roots() {
        roots.append(&mut certificates(pem)?);
    }
    let identity = match (loaded.identity(), &provider) {
        (Some(pem), Some(provider)) => Some(Arc::new(identity(pem, provider)?)),
        (Some(_), None) => return Err(no_provider()),
        (None, _) => None,
    };
    if loaded.root_source() == RootSource::Bundled && !cfg!(feature = "webpki-roots") {
        return Err(config_error(
            "TlsConfig::bundled_roots: no list is compiled in; enable the feature `webpki-roots`",
        ));
    }
    Ok(Tls {
        provider,
        roots,
        source: loaded.root_source(),
        identity,
        min_version: loaded.min_version(),
        #[cfg(feature = "dangerous")]
        accept_any: loaded.accepts_any(),
        protocols: protocols.iter().map(|protocol| protocol.to_vec()).collect(),
        config: OnceLock::new(),
        proxy_config: OnceLock::new(),
    })
}

fn certificates(pem: &Pem) -> Result<Vec<CertificateDer<'static>>, TransportError> {
    let found: Vec<CertificateDer<'static>> =
        pem.certificates().iter().cloned().map(Into::into).collect();
    // Checked one by one, so that the error can name the file.
    let mut store = RootCertStore::empty();
    for certificate in &found {
        store
            .add(certificate.clone())
            .map_err(|error| pem.error("a certificate in it cannot be used").with_source(error))?;
    }
    Ok(found)
}

fn identity(pem: &Pem, provider: &CryptoProvider) -> Result<CertifiedKey, TransportError> {
    let chain = pem.certificates().iter().cloned().map(Into::into).collect();
    let unusable = "its certificate and private key cannot be used together";
    let key = pem.private_key().unwrap_or_default().to_vec();
    let key = PrivateKeyDer::try_from(key)
        .map_err(|error| pem.error(unusable).with_source(BoxError::from(error)))?;
    CertifiedKey::from_der(chain, key, provider)
        .map_err(|error| pem.error(unusable).with_source(error))
}

/// Checked settings, and what is made of them for the first https connection.
///
/// Not before that, because the platform's certificates take milliseconds to load, and a program
/// that talks to a plain http server may run where there are none.
pub(crate) struct Tls {
    provider: Option<Arc<CryptoProvider>>,
    roots: Vec<CertificateDer<'static>>,
    #[cfg_attr(
        not(any(feature = "platform-roots", feature = "webpki-roots")),
        expect(dead_code, reason = "without a source there is nothing to choose from")
    )]
    source: RootSource,
    identity: Option<Arc<CertifiedKey>>,
    min_version: TlsVersion,
    #[cfg(feature = "dangerous")]
    accept_any: bool,
    protocols: Vec<Vec<u8>>,
    config: OnceLock<Result<Arc<ClientConfig>, TransportError>>,
    proxy_config: OnceLock<Result<Arc<ClientConfig>, TransportError>>,
}

impl Tls {
    /// The configuration that all connections share.
    pub(crate) fn config(&self) -> Result<Arc<ClientConfig>, TransportError> {
        self.config.get_or_init(|| self.assemble().map(Arc::new)).clone()
    }

    /// The same for proxies, which are spoken to in HTTP/1.1.
    pub(crate) fn proxy_config(&self) -> Result<Arc<ClientConfig>, TransportError> {
        let assemble = || {
            let mut config = ClientConfig::clone(&*self.config()?);
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            Ok(Arc::new(config))
        };
        self.proxy_config.get_or_init(assemble).clone()
    }

    fn assemble(&self) -> Result<ClientConfig, TransportError> {
        let provider = self.provider.clone().ok_or_else(no_provider)?;
        let versions: &[&rustls::SupportedProtocolVersion] = match self.min_version {
            TlsVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
            // The newest there is, for this version and those that may come to be named.
            _ => &[&rustls::version::TLS13],
        };
        let verifier = OrNamed::around(self.verifier(&provider)?, &self.roots, &provider)
            .map_err(unusable_root)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(|error| config_error("the TLS provider lacks a version").with_source(error))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match &self.identity {
            Some(identity) => builder
                .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(identity)))),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols.clone_from(&self.protocols);
        Ok(config)
    }

    fn verifier(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, TransportError> {
        #[cfg(feature = "dangerous")]
        if self.accept_any {
            return Ok(Arc::new(dangerous::AcceptAny(Arc::clone(provider))));
        }
        #[cfg(feature = "platform-roots")]
        if self.source == RootSource::Platform {
            return self.platform_verifier(provider);
        }
        let mut store = RootCertStore::empty();
        for root in &self.roots {
            store.add(root.clone()).map_err(unusable_root)?;
        }
        #[cfg(feature = "webpki-roots")]
        if self.source != RootSource::OnlyGiven {
            store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        if store.is_empty() {
            return Err(config_error(
                "nothing to trust: add certificates, or enable `platform-roots` or `webpki-roots`",
            ));
        }
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider))
                .build()
                .map_err(unusable_root)?;
        Ok(verifier)
    }

    #[cfg(feature = "platform-roots")]
    fn platform_verifier(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, TransportError> {
        use rustls_platform_verifier::Verifier;

        let failed = |error: rustls::Error| {
            config_error("the platform's trusted certificates cannot be loaded").with_source(error)
        };
        let provider = Arc::clone(provider);
        if self.roots.is_empty() {
            return Ok(Arc::new(Verifier::new(provider).map_err(failed)?));
        }
        #[cfg(target_os = "android")]
        return Err(config_error("Android trusts either its own or only given certificates"));
        #[cfg(not(target_os = "android"))]
        {
            let roots = self.roots.iter().cloned();
            Ok(Arc::new(Verifier::new_with_extra_roots(roots, provider).map_err(failed)?))
        }
    }
}

/// The provider of cryptography that was compiled in.
fn provider() -> Option<Arc<CryptoProvider>> {
    #[cfg(feature = "rustls-aws-lc-rs")]
    return Some(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    #[cfg(all(feature = "rustls-ring", not(feature = "rustls-aws-lc-rs")))]
    return Some(Arc::new(rustls::crypto::ring::default_provider()));
    #[cfg(not(any(feature = "rustls-aws-lc-rs", feature = "rustls-ring")))]
    None
}

fn config_error(detail: impl Into<std::borrow::Cow<'static, str>>) -> TransportError {
    TransportError::new(TransportErrorKind::Config).with_sent(Sent::No).with_detail(detail)
}

fn no_provider() -> TransportError {
    config_error("no TLS provider: enable the feature `rustls-aws-lc-rs` or `rustls-ring`")
}

fn unusable_root(error: impl Into<BoxError>) -> TransportError {
    config_error("the certificates to trust cannot be used").with_source(error)
}

#[cfg(feature = "dangerous")]
mod dangerous {
    use std::sync::Arc;

    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::{DigitallySignedStruct, Error, SignatureScheme};

    /// Believes every certificate, but still asks for proof that the server holds its key.
    #[derive(Debug)]
    pub(super) struct AcceptAny(pub(super) Arc<CryptoProvider>);

    impl ServerCertVerifier for AcceptAny {
        fn verify_server_cert(
            &self,
            _end_entity: &CertificateDer<'_>,
            _intermediates: &[CertificateDer<'_>],
            _server_name: &ServerName<'_>,
            _ocsp_response: &[u8],
            _now: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let algorithms = &self.0.signature_verification_algorithms;
            verify_tls12_signature(message, certificate, signature, algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let algorithms = &self.0.signature_verification_algorithms;
            verify_tls13_signature(message, certificate, signature, algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.0.signature_verification_algorithms.supported_schemes()
        }
    }
}
