//! What to trust and who to be.
//!
//! The provider of cryptography is always passed explicitly. rustls can take one from a global
//! instead, but that global belongs to the program, and two libraries that set it collide.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use mstr_core::{BoxError, Sent, TransportError, TransportErrorKind};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore};

/// TLS settings of a transport.
///
/// Nothing is read from the working directory, and nothing in the environment overrides what is
/// named here. Files are read, and mistakes reported, when the transport is built.
///
/// The platform's own list of authorities is the platform's affair: on Linux, `SSL_CERT_FILE` and
/// `SSL_CERT_DIR` can move it. [`only_given_roots`](Self::only_given_roots) leaves the list out.
///
/// Without further settings the certificates of the platform are trusted, or Mozilla's if only
/// the feature `webpki-roots` is there.
#[derive(Clone, Default)]
pub struct TlsConfig {
    roots: Vec<Pem>,
    only_given_roots: bool,
    identity: Option<Pem>,
    min_version: TlsVersion,
    accept_any: bool,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2.
    #[default]
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl TlsConfig {
    /// The default settings.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts the certificates in `pem` as well.
    #[must_use]
    pub fn add_root_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots.push(Pem::bytes(pem));
        self
    }

    /// Trusts the certificates in the PEM file at `path` as well.
    #[must_use]
    pub fn add_root_pem_file(mut self, path: impl AsRef<Path>) -> Self {
        self.roots.push(Pem::file(path));
        self
    }

    /// Trusts nothing but the certificates that were added here.
    #[must_use]
    pub fn only_given_roots(mut self) -> Self {
        self.only_given_roots = true;
        self
    }

    /// Answers servers that ask for a certificate with the chain in `pem`, own certificate first,
    /// and the private key next to it (PKCS#8, PKCS#1 or SEC1, not encrypted).
    #[must_use]
    pub fn client_identity_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.identity = Some(Pem::bytes(pem));
        self
    }

    /// The same from a file that holds the chain and the key.
    #[must_use]
    pub fn client_identity_pem_file(mut self, path: impl AsRef<Path>) -> Self {
        self.identity = Some(Pem::file(path));
        self
    }

    /// Refuses servers that speak older versions only. Default: TLS 1.2.
    #[must_use]
    pub fn min_tls_version(mut self, version: TlsVersion) -> Self {
        self.min_version = version;
        self
    }

    /// Accepts every certificate, for every host. **Anyone on the way can read the password.**
    #[cfg(feature = "dangerous")]
    #[must_use]
    pub fn dangerous_accept_any_certificate(mut self) -> Self {
        self.accept_any = true;
        self
    }

    /// Reads and checks everything that was named.
    pub(crate) fn prepare(&self, protocols: &[&[u8]]) -> Result<Tls, TransportError> {
        let provider = provider();
        let mut roots = Vec::new();
        for pem in &self.roots {
            roots.append(&mut pem.certificates()?);
        }
        if self.only_given_roots && roots.is_empty() && !self.accept_any {
            return Err(config("no certificate to trust was given"));
        }
        let identity = match (&self.identity, &provider) {
            (Some(pem), Some(provider)) => Some(Arc::new(pem.identity(provider)?)),
            (Some(_), None) => return Err(no_provider()),
            (None, _) => None,
        };
        Ok(Tls {
            provider,
            roots,
            only_given_roots: self.only_given_roots,
            identity,
            min_version: self.min_version,
            #[cfg(feature = "dangerous")]
            accept_any: self.accept_any,
            protocols: protocols.iter().map(|protocol| protocol.to_vec()).collect(),
            config: OnceLock::new(),
        })
    }
}

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfig")
            .field("roots", &self.roots)
            .field("only_given_roots", &self.only_given_roots)
            .field("identity", &self.identity)
            .field("min_version", &self.min_version)
            .field("accept_any", &self.accept_any)
            .finish()
    }
}

/// Checked settings, and what is made of them for the first https connection.
///
/// Not before that, because the platform's certificates take milliseconds to load, and a program
/// that talks to a plain http server may run where there are none.
pub(crate) struct Tls {
    provider: Option<Arc<CryptoProvider>>,
    roots: Vec<CertificateDer<'static>>,
    only_given_roots: bool,
    identity: Option<Arc<CertifiedKey>>,
    min_version: TlsVersion,
    #[cfg(feature = "dangerous")]
    accept_any: bool,
    protocols: Vec<Vec<u8>>,
    config: OnceLock<Result<Arc<ClientConfig>, TransportError>>,
}

impl Tls {
    /// What every connection shares.
    pub(crate) fn config(&self) -> Result<Arc<ClientConfig>, TransportError> {
        self.config.get_or_init(|| self.assemble().map(Arc::new)).clone()
    }

    fn assemble(&self) -> Result<ClientConfig, TransportError> {
        let provider = self.provider.clone().ok_or_else(no_provider)?;
        let versions: &[&rustls::SupportedProtocolVersion] = match self.min_version {
            TlsVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
            TlsVersion::Tls13 => &[&rustls::version::TLS13],
        };
        let verifier = self.verifier(&provider)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(|error| config("the TLS provider lacks a version").with_source(error))?
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
        if !self.only_given_roots {
            #[cfg(feature = "platform-roots")]
            return self.platform_verifier(provider);
        }
        let mut store = RootCertStore::empty();
        for root in &self.roots {
            store.add(root.clone()).map_err(unusable_root)?;
        }
        #[cfg(feature = "webpki-roots")]
        if !self.only_given_roots {
            store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        if store.is_empty() {
            return Err(config(
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
            config("the platform's trusted certificates cannot be loaded").with_source(error)
        };
        let provider = Arc::clone(provider);
        if self.roots.is_empty() {
            return Ok(Arc::new(Verifier::new(provider).map_err(failed)?));
        }
        #[cfg(target_os = "android")]
        return Err(config("Android trusts either its own or only given certificates"));
        #[cfg(not(target_os = "android"))]
        {
            let roots = self.roots.iter().cloned();
            Ok(Arc::new(Verifier::new_with_extra_roots(roots, provider).map_err(failed)?))
        }
    }
}

/// PEM text, here or in a file.
#[derive(Clone)]
enum Pem {
    Bytes(Arc<[u8]>),
    File(PathBuf),
}

impl Pem {
    fn bytes(pem: impl Into<Vec<u8>>) -> Self {
        Self::Bytes(pem.into().into())
    }

    fn file(path: impl AsRef<Path>) -> Self {
        Self::File(path.as_ref().to_owned())
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TransportError> {
        let found = self.parse::<CertificateDer<'static>>(&self.read()?)?;
        if found.is_empty() {
            return Err(self.error("there is no certificate in it"));
        }
        // Checked one by one, so that the error can name the file.
        let mut store = RootCertStore::empty();
        for certificate in &found {
            store.add(certificate.clone()).map_err(|error| {
                self.error("a certificate in it cannot be used").with_source(error)
            })?;
        }
        Ok(found)
    }

    fn identity(&self, provider: &CryptoProvider) -> Result<CertifiedKey, TransportError> {
        let text = self.read()?;
        let chain = self.parse::<CertificateDer<'static>>(&text)?;
        if chain.is_empty() {
            return Err(self.error("there is no certificate in it"));
        }
        let Some(key) = self.parse::<PrivateKeyDer<'static>>(&text)?.into_iter().next() else {
            return Err(self.error("there is no unencrypted private key in it"));
        };
        CertifiedKey::from_der(chain, key, provider).map_err(|error| {
            self.error("its certificate and private key cannot be used together").with_source(error)
        })
    }

    fn read(&self) -> Result<Arc<[u8]>, TransportError> {
        match self {
            Self::Bytes(bytes) => Ok(Arc::clone(bytes)),
            Self::File(path) => match fs::read(path) {
                Ok(bytes) => Ok(bytes.into()),
                Err(error) => Err(self.error("it cannot be read").with_source(error)),
            },
        }
    }

    fn parse<T: PemObject>(&self, text: &[u8]) -> Result<Vec<T>, TransportError> {
        T::pem_slice_iter(text)
            .collect::<Result<_, pem::Error>>()
            .map_err(|error| self.error("it is not valid PEM").with_source(BoxError::from(error)))
    }

    fn error(&self, problem: &str) -> TransportError {
        config(format!("{self}: {problem}"))
    }
}

impl fmt::Display for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(_) => f.write_str("the given PEM"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the bytes: a private key may be among them.
        match self {
            Self::Bytes(bytes) => write!(f, "Pem({} bytes)", bytes.len()),
            Self::File(path) => write!(f, "Pem({})", path.display()),
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

fn config(detail: impl Into<std::borrow::Cow<'static, str>>) -> TransportError {
    TransportError::new(TransportErrorKind::Config).with_sent(Sent::No).with_detail(detail)
}

fn no_provider() -> TransportError {
    config("no TLS provider: enable the feature `rustls-aws-lc-rs` or `rustls-ring`")
}

fn unusable_root(error: impl Into<BoxError>) -> TransportError {
    config("the certificates to trust cannot be used").with_source(error)
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
