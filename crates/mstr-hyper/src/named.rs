//! Servers whose very certificate was named as one to trust.
//!
//! `openssl req -x509` makes a certificate that is its own authority (`CA:TRUE`), and servers show
//! it as it is. webpki refuses that: an authority is not a server (RFC 5280, 4.2.1.9). But the caller
//! has named this certificate, and the holder of its key can sign any other with it.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{VerifierBuilderError, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
};

/// Verifies as `inner` does, and trusts a server that shows one of the `named` certificates and has
/// a name that stands in it, while it is valid.
#[derive(Debug)]
pub(crate) struct OrNamed {
    inner: Arc<dyn ServerCertVerifier>,
    named: Vec<CertificateDer<'static>>,
    /// Verifies against the named certificates alone. The platform may have another reason to refuse
    /// one, such as that it does not know it, and not look at its time after that.
    own: Arc<WebPkiServerVerifier>,
}

impl OrNamed {
    /// # Errors
    ///
    /// A named certificate that cannot be an authority.
    pub(crate) fn around(
        inner: Arc<dyn ServerCertVerifier>,
        named: &[CertificateDer<'static>],
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, VerifierBuilderError> {
        if named.is_empty() {
            return Ok(inner);
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(named.iter().cloned());
        let own = WebPkiServerVerifier::builder_with_provider(roots.into(), Arc::clone(provider));
        Ok(Arc::new(Self { inner, named: named.to_vec(), own: own.build()? }))
    }
}

impl ServerCertVerifier for OrNamed {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.inner.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match verified {
            Err(error) if self.named.contains(end_entity) && !is_of_time(&error) => {
                let own = &self.own;
                let verified = own.verify_server_cert(end_entity, &[], server_name, &[], now);
                if let Err(error) = verified
                    && is_of_time(&error)
                {
                    return Err(error);
                }
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.inner.requires_raw_public_keys()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        self.inner.root_hint_subjects()
    }
}

/// Whether a certificate is refused because of when it is shown. webpki looks at that before it asks
/// what a certificate is for.
fn is_of_time(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidCertificate(
            CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. }
                | CertificateError::Revoked
        )
    )
}

#[cfg(all(test, feature = "rustls-aws-lc-rs"))]
mod tests {
    use std::time::Duration;

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    /// A platform that does not know a certificate, and looks no further.
    #[derive(Debug)]
    struct Unknown;

    impl ServerCertVerifier for Unknown {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Err(Error::InvalidCertificate(CertificateError::UnknownIssuer))
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            Vec::new()
        }
    }

    #[test]
    fn named_certificate_is_trusted_in_its_time_and_for_its_names_whatever_the_platform_says() {
        let mut params = CertificateParams::new(["server.example".to_owned()]).expect("a name");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2030, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let named = params.self_signed(&key).expect("a certificate").der().clone();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = OrNamed::around(Arc::new(Unknown), std::slice::from_ref(&named), &provider);
        let verifier = verifier.expect("an authority");
        let verify = |name: &'static str, year: u64| {
            let now = UnixTime::since_unix_epoch(Duration::from_secs((year - 1970) * 31_557_600));
            let name = ServerName::try_from(name).expect("a name");
            verifier.verify_server_cert(&named, &[], &name, &[], now).map(drop)
        };
        assert!(verify("server.example", 2025).is_ok());
        for (name, year) in [("server.example", 2019), ("server.example", 2031)] {
            let error = verify(name, year).expect_err("not in its time");
            assert!(is_of_time(&error), "{error}");
        }
        assert!(verify("other.example", 2025).is_err());
    }
}
