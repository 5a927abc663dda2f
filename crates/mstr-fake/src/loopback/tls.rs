//! Certificates that are made for one run, and servers that show them.

use std::fmt;
use std::io;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

/// A new certificate authority, which no client trusts yet.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate that an [`Authority`] or it itself has signed, and its key.
pub struct Identity {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

/// How a server speaks TLS.
#[derive(Clone)]
pub struct ServerTls(Arc<ServerConfig>);

impl Authority {
    /// Makes one.
    ///
    /// # Errors
    ///
    /// If no key can be made.
    pub fn new() -> io::Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "mstr-fake authority");
        let key = KeyPair::generate().map_err(io::Error::other)?;
        CertifiedIssuer::self_signed(params, key).map(Self).map_err(io::Error::other)
    }

    /// Its own certificate in PEM, for clients that are to trust it.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Signs a certificate for a host name or an IP address.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if it is neither.
    pub fn issue(&self, name: &str) -> io::Result<Identity> {
        self.sign(params(name)?)
    }

    /// Signs a certificate that has expired long ago.
    ///
    /// # Errors
    ///
    /// Those of [`issue`](Self::issue).
    pub fn issue_expired(&self, name: &str) -> io::Result<Identity> {
        let mut params = params(name)?;
        expire(&mut params);
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> io::Result<Identity> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let certificate = params.signed_by(&key, &self.0).map_err(io::Error::other)?;
        Ok(Identity { certificate, key })
    }
}

impl Identity {
    /// Makes a certificate that has signed itself and says that it is an authority, as `openssl req
    /// -x509` does.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if `name` is neither a host name nor an address.
    pub fn self_signed(name: &str) -> io::Result<Self> {
        Self::sign_itself(params(name)?)
    }

    /// The same, expired long ago.
    ///
    /// # Errors
    ///
    /// Those of [`self_signed`](Self::self_signed).
    pub fn self_signed_expired(name: &str) -> io::Result<Self> {
        let mut params = params(name)?;
        expire(&mut params);
        Self::sign_itself(params)
    }

    fn sign_itself(mut params: CertificateParams) -> io::Result<Self> {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let certificate = params.self_signed(&key).map_err(io::Error::other)?;
        Ok(Self { certificate, key })
    }

    /// The certificate alone in PEM, for clients that are to trust it.
    #[must_use]
    pub fn certificate_pem(&self) -> String {
        self.certificate.pem()
    }

    /// Certificate and key in one PEM text, as clients read it.
    #[must_use]
    pub fn pem(&self) -> String {
        self.certificate.pem() + &self.key.serialize_pem()
    }
}

fn params(name: &str) -> io::Result<CertificateParams> {
    CertificateParams::new([name.to_owned()])
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

fn expire(params: &mut CertificateParams) {
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2021, 1, 1);
}

impl ServerTls {
    /// Shows this certificate. Offers HTTP/2 and HTTP/1.1.
    ///
    /// # Errors
    ///
    /// If certificate and key do not fit.
    pub fn new(identity: &Identity) -> io::Result<Self> {
        Self::build(identity, None)
    }

    /// Shows this certificate, and asks clients for one that `authority` has signed.
    ///
    /// # Errors
    ///
    /// If certificate and key do not fit.
    pub fn for_clients_of(identity: &Identity, authority: &Authority) -> io::Result<Self> {
        Self::build(identity, Some(authority))
    }

    fn build(identity: &Identity, clients: Option<&Authority>) -> io::Result<Self> {
        let provider: Arc<CryptoProvider> = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?;
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.0.der().clone()).map_err(io::Error::other)?;
                let roots = Arc::new(roots);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                builder.with_client_cert_verifier(verifier.build().map_err(io::Error::other)?)
            }
        };
        let key = PrivateKeyDer::Pkcs8(identity.key.serialize_der().into());
        let mut config = builder
            .with_single_cert(vec![identity.certificate.der().clone()], key)
            .map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }

    /// Offers HTTP/1.1 only.
    #[must_use]
    pub fn http1_only(self) -> Self {
        let mut config = ServerConfig::clone(&self.0);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self(Arc::new(config))
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0)
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}
