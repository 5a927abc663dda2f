//! The TLS settings of a transport.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use super::pem::{Pem, PemSource};
use super::refuse;
use crate::contract::TransportError;

/// Names a file with certificates to trust.
const CA_FILE: &str = "MSTR_CA_FILE";
/// What an error calls it.
const CA_FILE_SETTING: &str = "the environment variable MSTR_CA_FILE";

/// The TLS settings of a transport: trusted certificates, client certificate, oldest version.
///
/// ```
/// # use mstr_core as mstr;
/// use mstr::{Connection, TlsConfig, TlsVersion};
///
/// let tls = TlsConfig::new()
///     .add_root_pem_file("/etc/ssl/company-ca.pem")
///     .client_identity_pem_file("/etc/ssl/export-client.pem")
///     .min_tls_version(TlsVersion::Tls13);
/// // For the default transport. Transports have a method `tls` of their own.
/// let builder = Connection::builder("https://env.example.com/MicroStrategyLibrary")
///     .tls(tls);
/// # drop(builder);
/// ```
///
/// | certificates of | are trusted |
/// |---|---|
/// | the operating system | by default |
/// | your company | with [`add_root_pem`](Self::add_root_pem) or [`add_root_pem_file`](Self::add_root_pem_file), in addition |
/// | your company only | with these and [`only_given_roots`](Self::only_given_roots) |
/// | Mozilla's list | with [`bundled_roots`](Self::bundled_roots), instead of those of the system |
///
/// Files are read when the transport is built, and a mistake is an error that names the setting and the
/// file. The environment does not override these settings, except that `SSL_CERT_FILE` and
/// `SSL_CERT_DIR` can replace the certificates of the operating system on Linux. The settings mean the
/// same on every transport; one that an HTTP stack cannot honour is an error.
#[derive(Clone, Debug, Default)]
pub struct TlsConfig {
    roots: Vec<PemSource>,
    source: RootSource,
    identity: Option<PemSource>,
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

/// The authorities that are trusted besides those that were added.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum RootSource {
    /// Mozilla's list, compiled in.
    Bundled,
    /// None.
    OnlyGiven,
    /// Those of the operating system.
    #[default]
    Platform,
}

impl TlsConfig {
    /// The default settings.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The default settings, and in addition the certificates in the PEM file that the environment
    /// variable `MSTR_CA_FILE` names, if it is set.
    #[must_use]
    pub fn from_env() -> Self {
        Self::from_variable(std::env::var_os(CA_FILE))
    }

    fn from_variable(file: Option<OsString>) -> Self {
        let roots = file.map(|file| PemSource::file(CA_FILE_SETTING, Path::new(&file)));
        Self { roots: roots.into_iter().collect(), ..Self::default() }
    }

    /// Trusts the certificates in `pem` in addition. Can be called several times.
    #[must_use]
    pub fn add_root_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots.push(PemSource::bytes("TlsConfig::add_root_pem", pem));
        self
    }

    /// Trusts the certificates in the PEM file at `path` in addition. Can be called several times.
    #[must_use]
    pub fn add_root_pem_file(mut self, path: impl AsRef<Path>) -> Self {
        self.roots.push(PemSource::file("TlsConfig::add_root_pem_file", path));
        self
    }

    /// Trusts Mozilla's list of authorities instead of the operating system's. It needs the feature
    /// `webpki-roots`, which compiles the list in.
    #[must_use]
    pub fn bundled_roots(mut self) -> Self {
        self.source = RootSource::Bundled;
        self
    }

    /// Trusts only the certificates that were added here.
    #[must_use]
    pub fn only_given_roots(mut self) -> Self {
        self.source = RootSource::OnlyGiven;
        self
    }

    /// Sets the client certificate, for servers that ask for one. `pem` has the certificate, then its
    /// chain, and the private key (PKCS#8, PKCS#1 or SEC1, not encrypted).
    #[must_use]
    pub fn client_identity_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.identity = Some(PemSource::bytes("TlsConfig::client_identity_pem", pem));
        self
    }

    /// Sets the client certificate from a PEM file that has the certificate, its chain and the private
    /// key; see [`client_identity_pem`](Self::client_identity_pem).
    #[must_use]
    pub fn client_identity_pem_file(mut self, path: impl AsRef<Path>) -> Self {
        self.identity = Some(PemSource::file("TlsConfig::client_identity_pem_file", path));
        self
    }

    /// Sets the oldest version of TLS that is accepted. Default: TLS 1.2.
    #[must_use]
    pub fn min_tls_version(mut self, version: TlsVersion) -> Self {
        self.min_version = version;
        self
    }

    /// Accepts every certificate for every host. **The connection is not protected: the network can
    /// read the password.**
    #[cfg(feature = "dangerous")]
    #[must_use]
    pub fn dangerous_accept_any_certificate(mut self) -> Self {
        self.accept_any = true;
        self
    }

    /// Reads and checks all certificates and keys. For transports, which pass a function that reads a
    /// file.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::TransportErrorKind::Config), naming the setting, the file and the
    /// problem.
    pub fn load(
        &self,
        read: impl Fn(&Path) -> io::Result<Vec<u8>>,
    ) -> Result<LoadedTls, TransportError> {
        let roots = self.roots.iter().map(|pem| pem.roots(&read)).collect::<Result<Vec<_>, _>>()?;
        if self.source == RootSource::OnlyGiven && roots.is_empty() && !self.accept_any {
            return Err(refuse(
                "TlsConfig::only_given_roots: no certificate to trust was given; add some with \
                 `add_root_pem` or `add_root_pem_file`",
            ));
        }
        let identity = self.identity.as_ref().map(|pem| pem.identity(&read)).transpose()?;
        Ok(LoadedTls {
            roots,
            source: self.source,
            identity,
            min_version: self.min_version,
            accept_any: self.accept_any,
        })
    }
}

/// The settings with everything read, for transports.
#[derive(Clone, Debug)]
pub struct LoadedTls {
    roots: Vec<Pem>,
    source: RootSource,
    identity: Option<Pem>,
    min_version: TlsVersion,
    accept_any: bool,
}

impl LoadedTls {
    /// The certificates to trust besides those of [`root_source`](Self::root_source).
    #[must_use]
    pub fn roots(&self) -> &[Pem] {
        &self.roots
    }

    /// Which authorities to trust besides.
    #[must_use]
    pub fn root_source(&self) -> RootSource {
        self.source
    }

    /// The certificate chain and key to show to servers that ask.
    #[must_use]
    pub fn identity(&self) -> Option<&Pem> {
        self.identity.as_ref()
    }

    /// The oldest version to speak.
    #[must_use]
    pub fn min_version(&self) -> TlsVersion {
        self.min_version
    }

    /// Whether every certificate is to be accepted. Never without the feature `dangerous`.
    #[must_use]
    pub fn accepts_any(&self) -> bool {
        self.accept_any
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;
    use crate::contract::{Sent, TransportErrorKind};

    const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    const KEY: &str = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";

    fn nothing(path: &Path) -> io::Result<Vec<u8>> {
        panic!("nobody asked for {}", path.display())
    }

    fn refused(config: &TlsConfig) -> TransportError {
        let error = config
            .load(|_| Err(io::Error::from(io::ErrorKind::NotFound)))
            .expect_err("it cannot work");
        assert_eq!((error.kind(), error.sent()), (TransportErrorKind::Config, Sent::No));
        error
    }

    #[test]
    fn what_was_given_is_read_and_split() {
        let both = format!("{CERTIFICATE}{KEY}{CERTIFICATE}");
        let config = TlsConfig::new()
            .add_root_pem(format!("{CERTIFICATE}# a comment\n{CERTIFICATE}"))
            .add_root_pem_file("/ca.pem")
            .client_identity_pem(both.clone())
            .min_tls_version(TlsVersion::Tls13);
        let loaded = config
            .load(|path| {
                assert_eq!(path, Path::new("/ca.pem"));
                Ok(CERTIFICATE.into())
            })
            .unwrap();
        let certificates: Vec<usize> =
            loaded.roots().iter().map(|pem| pem.certificates().len()).collect();
        assert_eq!(certificates, [2, 1]);
        assert_eq!(loaded.roots()[1].path(), Some(Path::new("/ca.pem")));
        let identity = loaded.identity().unwrap();
        assert_eq!(identity.certificates(), [[0, 0, 0], [0, 0, 0]]);
        assert_eq!(identity.private_key(), Some(&b"secret"[..]));
        assert_eq!(identity.text(), both.as_bytes());
        assert_eq!(loaded.min_version(), TlsVersion::Tls13);
        assert!(!loaded.accepts_any());
        assert_eq!(TlsConfig::new().load(nothing).unwrap().root_source(), RootSource::Platform);
    }

    #[test]
    fn a_mistake_names_its_setting_and_its_problem() {
        let broken = "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n";
        let table = [
            (
                TlsConfig::new().add_root_pem("hello"),
                "add_root_pem: the given PEM: there is no certificate",
            ),
            (
                TlsConfig::new().add_root_pem(""),
                "add_root_pem: the given PEM: there is no certificate",
            ),
            (
                TlsConfig::new().add_root_pem(broken),
                "add_root_pem: the given PEM: it is not valid PEM",
            ),
            (
                TlsConfig::new().add_root_pem_file("/no/ca.pem"),
                "add_root_pem_file: /no/ca.pem: it cannot be read",
            ),
            (
                TlsConfig::new().client_identity_pem(CERTIFICATE),
                "client_identity_pem: the given PEM: there is no unencrypted private key",
            ),
            (
                TlsConfig::new().client_identity_pem(KEY),
                "client_identity_pem: the given PEM: there is no certificate",
            ),
            (
                TlsConfig::new().client_identity_pem_file("/id.pem"),
                "client_identity_pem_file: /id.pem: it cannot be read",
            ),
            (TlsConfig::new().only_given_roots(), "only_given_roots: no certificate to trust"),
        ];
        for (config, expected) in table {
            let shown = refused(&config).to_string();
            assert!(shown.contains(&format!("TlsConfig::{expected}")), "{shown}");
        }
        let unreadable = refused(&TlsConfig::new().add_root_pem_file("/no/ca.pem"));
        assert!(unreadable.source().is_some(), "what the system said is kept");
    }

    #[test]
    fn other_formats_than_pem_are_named() {
        const DER: &[u8] = b"\x30\x82\x01\x0a\x30\x82\x00\xb4";
        const DER_KEY: &[u8] = b"\x30\x82\x01\x0a\x02\x01\x00\x30";
        const STORE: &[u8] = b"\x30\x82\x0a\x0a\x02\x01\x03\x30";
        let marked = |mark: &[u8]| [mark, CERTIFICATE.as_bytes()].concat();
        let encrypted = KEY.replace("BEGIN PRIVATE", "BEGIN ENCRYPTED PRIVATE");
        let older = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n\
                     -----END RSA PRIVATE KEY-----\n";
        for (given, named) in [
            (DER.to_vec(), "DER"),
            (DER_KEY.to_vec(), "DER"),
            (STORE.to_vec(), "PKCS#12"),
            (marked(b"\xef\xbb\xbf"), "byte order mark"),
            (marked(b"\xff\xfe"), "byte order mark"),
            (marked(encrypted.as_bytes()), "encrypted"),
            (marked(older.as_bytes()), "encrypted"),
        ] {
            let config = TlsConfig::new().client_identity_pem(given.clone());
            let shown = refused(&config).to_string();
            assert!(shown.contains(named), "{named}: {shown}");
            if named != "encrypted" {
                let shown = refused(&TlsConfig::new().add_root_pem(given)).to_string();
                assert!(shown.contains(named), "{named}: {shown}");
            }
        }
    }

    #[test]
    fn no_key_is_printed() {
        let config = TlsConfig::new().client_identity_pem(format!("{CERTIFICATE}{KEY}"));
        let loaded = config.load(nothing).unwrap();
        let shown = format!("{config:?} {loaded:?} {:?}", loaded.identity());
        assert!(!shown.contains("c2VjcmV0") && !shown.contains("secret"), "{shown}");
        // 115, 101, 99: "sec" as bytes.
        assert!(!shown.contains("115, 101"), "{shown}");
    }

    /// As variables and templates do it. The parser takes such a key for a part of a label, and
    /// its errors hold that.
    #[test]
    fn a_key_that_lost_its_line_breaks_is_not_printed() {
        let spaced = format!("{CERTIFICATE}{}", KEY.replace('\n', " "));
        let escaped = format!("{CERTIFICATE}{}", KEY.replace('\n', "\\n"));
        let cut =
            format!("{CERTIFICATE}{}", KEY.trim_end().trim_end_matches('-').replace('\n', ""));
        for (pem, problem) in [
            (spaced, "it is not valid PEM: a section has no end; PEM needs its line breaks"),
            (escaped, "it is not valid PEM: the first line of a section is broken; PEM"),
            (cut, "it is not valid PEM: the first line of a section is broken; PEM"),
        ] {
            let config = TlsConfig::new().client_identity_pem(pem);
            let error = config.load(nothing).expect_err("it is no PEM");
            let mut shown = format!("{error} {error:?}");
            let mut cause = error.source();
            while let Some(inner) = cause {
                shown += &format!(" {inner} {inner:?}");
                cause = inner.source();
            }
            // 99, 50, 86: "c2V" as bytes.
            assert!(!shown.contains("c2VjcmV0") && !shown.contains("99, 50, 86"), "{shown}");
            assert!(shown.contains(problem), "{shown}");
        }
    }

    #[test]
    fn file_that_the_environment_names_is_trusted_as_well() {
        let nothing = |path: &Path| {
            assert_eq!(path, Path::new("company.pem"));
            Err(io::ErrorKind::NotFound.into())
        };
        let loaded = TlsConfig::from_variable(Some("company.pem".into())).load(nothing);
        let error = loaded.map(drop).expect_err("it is not there").to_string();
        let told = "the environment variable MSTR_CA_FILE: company.pem: it cannot be read (entity";
        assert!(error.contains(told), "{error}");
        let missing = |_: &Path| Err(io::ErrorKind::NotFound.into());
        let error = TlsConfig::from_variable(Some("".into())).load(missing);
        let error = error.map(drop).expect_err("empty").to_string();
        assert!(error.contains("variable MSTR_CA_FILE is empty: the name of a file"), "{error}");
        assert!(TlsConfig::from_variable(None).load(nothing).is_ok());
    }
}
