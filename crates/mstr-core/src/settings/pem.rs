//! PEM text that was named in the settings.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::refuse;
use crate::contract::TransportError;

/// Where PEM text comes from, and the setting that said so.
#[derive(Clone)]
pub(super) struct PemSource {
    setting: &'static str,
    from: From,
}

#[derive(Clone)]
enum From {
    Bytes(Arc<Zeroizing<Vec<u8>>>),
    File(PathBuf),
}

impl PemSource {
    pub(super) fn bytes(setting: &'static str, pem: impl Into<Vec<u8>>) -> Self {
        Self { setting, from: From::Bytes(Arc::new(Zeroizing::new(pem.into()))) }
    }

    pub(super) fn file(setting: &'static str, path: impl AsRef<Path>) -> Self {
        Self { setting, from: From::File(path.as_ref().to_owned()) }
    }

    fn load(
        &self,
        read: &impl Fn(&Path) -> io::Result<Vec<u8>>,
    ) -> Result<Arc<Zeroizing<Vec<u8>>>, TransportError> {
        let text = match &self.from {
            From::Bytes(bytes) => Arc::clone(bytes),
            From::File(path) => match read(path) {
                Ok(bytes) => Arc::new(Zeroizing::new(bytes)),
                Err(_) if path.as_os_str().is_empty() => {
                    let setting = self.setting;
                    return Err(refuse(format!(
                        "{setting} is empty: the name of a file is expected"
                    )));
                }
                Err(error) => {
                    let problem = format!("it cannot be read ({})", error.kind());
                    return Err(self.error(&problem).with_source(error));
                }
            },
        };
        match other_format(&text) {
            Some(problem) => Err(self.error(problem)),
            None => Ok(text),
        }
    }

    /// Reads certificates to trust.
    pub(super) fn roots(
        &self,
        read: &impl Fn(&Path) -> io::Result<Vec<u8>>,
    ) -> Result<Pem, TransportError> {
        let text = self.load(read)?;
        Ok(Pem { certificates: self.certificates(&text)?, key: None, text, source: self.clone() })
    }

    /// Reads a certificate chain and its key.
    pub(super) fn identity(
        &self,
        read: &impl Fn(&Path) -> io::Result<Vec<u8>>,
    ) -> Result<Pem, TransportError> {
        let text = self.load(read)?;
        let certificates = self.certificates(&text);
        let keys = self.parse::<PrivateKeyDer<'static>>(&text);
        // Another key beside it may be encrypted.
        if !keys.as_ref().is_ok_and(|keys| !keys.is_empty()) && is_encrypted(&text) {
            return Err(self.error(
                "its private key is encrypted: decrypt it first (`openssl pkey -in FILE -out KEY`)",
            ));
        }
        let (certificates, keys) = (certificates?, keys?);
        let Some(key) = keys.first() else {
            return Err(self.error("there is no unencrypted private key in it"));
        };
        let key = Some(Arc::new(Zeroizing::new(key.secret_der().to_vec())));
        Ok(Pem { certificates, key, text, source: self.clone() })
    }

    fn certificates(&self, text: &[u8]) -> Result<Vec<Vec<u8>>, TransportError> {
        let found = self.parse::<CertificateDer<'static>>(text)?;
        if found.is_empty() {
            return Err(self.error("there is no certificate in it"));
        }
        Ok(found.into_iter().map(|certificate| certificate.to_vec()).collect())
    }

    fn parse<T: PemObject>(&self, text: &[u8]) -> Result<Vec<T>, TransportError> {
        T::pem_slice_iter(text).collect::<Result<_, pem::Error>>().map_err(|error| {
            // In words of our own, and not as the source: the parser's errors hold the text that
            // it stumbled over, which may be a key.
            let problem = match error {
                pem::Error::IllegalSectionStart { .. } => {
                    ": the first line of a section is broken; PEM needs its line breaks"
                }
                pem::Error::MissingSectionEnd { .. } => {
                    ": a section has no end; PEM needs its line breaks"
                }
                pem::Error::Base64Decode(_) => ": what stands in a section is not Base64",
                _ => "",
            };
            self.error(&format!("it is not valid PEM{problem}"))
        })
    }

    fn error(&self, problem: &str) -> TransportError {
        refuse(format!("{self}: {problem}"))
    }
}

/// The name of a format that is often given in place of PEM.
fn other_format(bytes: &[u8]) -> Option<&'static str> {
    // A certificate and a PKCS#12 store are both a sequence, with a length of two bytes; then comes
    // the sequence that is signed, or the store's version (RFC 5280, 4.1; RFC 7292, 4).
    match bytes {
        [0x30, 0x82, _, _, 0x02, 0x01, 0x03, ..] => {
            Some("it is PKCS#12, not PEM: convert it (`openssl pkcs12 -in FILE -out PEM -nodes`)")
        }
        [0x30, 0x82, _, _, 0x30, ..] | [0x30, 0x82, _, _, 0x02, 0x01, 0x00, ..] => {
            Some("it is DER, not PEM: convert it (`openssl x509` or `pkey`, with `-inform der`)")
        }
        [0xEF, 0xBB, 0xBF, ..] | [0xFE, 0xFF, ..] | [0xFF, 0xFE, ..] => {
            Some("it begins with a byte order mark: save it as plain ASCII text")
        }
        _ => None,
    }
}

/// Whether a private key is among PEM sections that needs a password, in either of its forms
/// (RFC 5958, 3; RFC 1421, 4.6.1.1).
fn is_encrypted(text: &[u8]) -> bool {
    let contains = |mark: &[u8]| text.windows(mark.len()).any(|part| part == mark);
    contains(b"-----BEGIN ENCRYPTED PRIVATE KEY-----") || contains(b"Proc-Type: 4,ENCRYPTED")
}

impl fmt::Display for PemSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.from {
            From::Bytes(_) => write!(f, "{}: the given PEM", self.setting),
            From::File(path) => write!(f, "{}: {}", self.setting, path.display()),
        }
    }
}

impl fmt::Debug for PemSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the bytes: a private key may be among them.
        match &self.from {
            From::Bytes(bytes) => write!(f, "Pem({} bytes)", bytes.len()),
            From::File(path) => write!(f, "Pem({})", path.display()),
        }
    }
}

/// PEM text that was read and is PEM: at least one certificate, and a key where one is needed.
///
/// Its content is wiped when it is dropped, and never printed.
#[derive(Clone)]
pub struct Pem {
    certificates: Vec<Vec<u8>>,
    key: Option<Arc<Zeroizing<Vec<u8>>>>,
    text: Arc<Zeroizing<Vec<u8>>>,
    source: PemSource,
}

impl Pem {
    /// The certificates as DER, in their order. Whether they are certificates in more than name
    /// is for the TLS library to say.
    #[must_use]
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.certificates
    }

    /// The private key as DER (PKCS#8, PKCS#1 or SEC1), if this is an identity.
    #[must_use]
    pub fn private_key(&self) -> Option<&[u8]> {
        self.key.as_ref().map(|key| key.as_slice())
    }

    /// Everything as it was given.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The file it was read from, if it was.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.source.from {
            From::Bytes(_) => None,
            From::File(path) => Some(path),
        }
    }

    /// An error that names the setting, and the file if it is one.
    #[must_use]
    pub fn error(&self, problem: &str) -> TransportError {
        self.source.error(problem)
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}
