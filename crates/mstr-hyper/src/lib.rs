//! The transport for [`mstr`](https://docs.rs/mstr-sdk) over hyper and rustls: HTTP/1.1 and HTTP/2, TLS,
//! connection pools, deadlines.
//!
//! Programs get it with `mstr`, by default and as `mstr::hyper`; the examples here use these names.
//! Depend on this crate directly to choose its features yourself, or to use it with `mstr-core` alone.
//!
//! ```no_run
//! # mod mstr { pub use mstr_core::*; pub mod hyper { pub use mstr_hyper::*; } }
//! use std::time::Duration;
//!
//! use mstr::hyper::HyperTransport;
//! use mstr::{Connection, TlsConfig};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), mstr::Error> {
//! let transport = HyperTransport::builder()
//!     .tls(TlsConfig::new().add_root_pem_file("/etc/ssl/company-ca.pem"))
//!     .pool_idle_timeout(Duration::from_secs(10))
//!     .build()?;
//! let connection = Connection::builder("https://env.example.com/MicroStrategyLibrary")
//!     .standard("username", "password")
//!     .transport(transport)
//!     .connect()
//!     .await?;
//! connection.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! [`HyperTransport`] is for asynchronous code. It uses the tokio runtime on which it is built, and can
//! be used from any thread, inside another runtime or outside of all of them.
//! [`blocking::HyperBlocking`] is for blocking code and runs a thread of its own.
//!
//! A transport is not a complete HTTP client. It sends one request and returns its response. It follows
//! no redirect, keeps no cookie, decodes nothing and repeats nothing. It adds no header of its own,
//! except a proxy's password to requests that the proxy forwards. `mstr` does everything else.
//!
//! # Time limits
//!
//! | limit | covers | set by |
//! | --- | --- | --- |
//! | connect timeout | DNS, TCP, the proxy and the TLS handshakes | [`Timeouts::connect`](mstr_core::Timeouts::connect) |
//! | deadline | everything until the response's head, waiting for a connection included | [`Timeouts::attempt`](mstr_core::Timeouts::attempt) and [`total`](mstr_core::Timeouts::total) |
//! | idle limit | each wait for a piece of the response's body | [`Timeouts::idle_body`](mstr_core::Timeouts::idle_body) |
//!
//! They travel with each request. For a request without a connect timeout, which no connection sends,
//! there is [`connect_timeout`](HyperTransportBuilder::connect_timeout).
//!
//! # Connections
//!
//! Over HTTP/1.1 a connection serves one request at a time, and is in use until the body of the response
//! has been read to its end or is dropped. Over HTTP/2 one connection serves all requests; until a
//! server has said for the first time that it speaks HTTP/2, a second one may be made. The number
//! of connections is limited by
//! [`max_connections_per_host`](HyperTransportBuilder::max_connections_per_host). Further requests wait
//! in line, and are sent in turn even if their callers are not polled meanwhile.
//!
//! | event | noticed by | reaction |
//! | --- | --- | --- |
//! | the server closes an unused connection | a check of the socket before each request | the connection is not used |
//! | the server closes a connection while a request is being written | hyper, which returns the request if nothing of it was written | the request is sent again |
//! | the server is silent until a request's deadline | that deadline | the connection and all others that were silent for as long get no more requests; over HTTP/2 requests that are under way continue |
//! | the server or the network is gone | [`http2_ping`](HyperTransportBuilder::http2_ping), [`tcp_keepalive`](HyperTransportBuilder::tcp_keepalive), [`tcp_user_timeout`](HyperTransportBuilder::tcp_user_timeout) | the connection ends with all its requests |
//!
//! A request's body may continue for 15 seconds after the response has ended. After that, over HTTP/1.1,
//! the connection is closed. Over HTTP/2 the body fails when hyper next asks for a piece, which resets
//! the stream. hyper does not ask while flow control blocks the stream. Such a stream stays until the
//! server unblocks or resets it, or the connection ends.
//!
//! # Proxies
//!
//! By default no proxy is used and no environment variable is read.
//! [`proxy`](HyperTransportBuilder::proxy) changes that:
//!
//! ```no_run
//! # mod mstr { pub use mstr_core::*; pub mod hyper { pub use mstr_hyper::*; } }
//! use mstr::ProxyConfig;
//! use mstr::hyper::HyperTransport;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), mstr::Error> {
//! let proxy = ProxyConfig::from_env() // HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY
//!     .https("http://user:password@proxy.example.com:3128") // overrides HTTPS_PROXY
//!     .no_proxy("intranet.example.com, 10.0.0.0/8");
//! let transport = HyperTransport::builder().proxy(proxy).build()?;
//! # Ok(())
//! # }
//! ```
//!
//! | proxy | http server | https server | names are looked up |
//! | --- | --- | --- | --- |
//! | `http://` | the proxy forwards requests and can read them | a tunnel: the proxy sees host and port | by the proxy |
//! | `https://` | the same, over TLS as in the table below | the same, TLS inside of TLS | by the proxy |
//! | `socks5h://` | a connection | a connection | by the proxy |
//! | `socks5://` | a connection | a connection | by this machine; the first address is used |
//!
//! HTTP/2 is spoken with the server inside a tunnel, never with a proxy. With `http2_only`, http servers
//! get a tunnel as well. User and password are sent only to the proxy, as `Basic` credentials or by the
//! method of SOCKS.
//!
//! | the proxy | error |
//! | --- | --- |
//! | cannot be reached, or refuses temporarily | kind `Connect`; nothing was sent, and the request can be repeated |
//! | refuses the user or the password (407, 401, or in SOCKS) | kind `Config`; not repeated, because repeating a wrong password locks accounts |
//! | does not allow the tunnel (403) | kind `Config` |
//!
//! The error names the proxy without its password. Any other answer to a forwarded request is returned
//! as the response, because the server could have sent it as well.
//!
//! # TLS
//!
//! | setting | effect |
//! | --- | --- |
//! | none | the operating system's certificates are trusted; TLS 1.2 and 1.3 |
//! | `add_root_pem`, `add_root_pem_file` | these are trusted in addition |
//! | `only_given_roots` | only these are trusted |
//! | `client_identity_pem`, `client_identity_pem_file` | answers a server that asks for a certificate |
//! | `min_tls_version(TlsVersion::Tls13)` | refuses TLS 1.2 |
//! | `dangerous_accept_any_certificate` | accepts every certificate for every host |
//!
//! The environment overrides no setting, and nothing is read from the working directory. A file that is
//! missing or wrong is an error of [`build`](HyperTransportBuilder::build), which names the file.
//!
//! # Features
//!
//! <!-- features: begin, generated by cargo xtask generate -->
//!
//! | feature | default | |
//! |---|---|---|
//! | `rustls-aws-lc-rs` | yes | Cryptography by aws-lc-rs; preferred if both providers are enabled |
//! | `rustls-ring` | | Cryptography by ring, which builds faster |
//! | `platform-roots` | yes | Trusts what the platform trusts; preferred if both sources are enabled |
//! | `webpki-roots` | | Trusts Mozilla's list of authorities, compiled in |
//! | `dangerous` | | `TlsConfig::dangerous_accept_any_certificate`, which accepts every certificate for every host |
//!
//! <!-- features: end -->
//!
//! Without some of these features, `https` does not work:
//!
//! | cryptography | source of roots | `http://` | `https://` |
//! | --- | --- | --- | --- |
//! | one | one, or given certificates | works | works |
//! | one | none | works | error of kind `Config` |
//! | none | any | works | error of kind `Config` |
//!
//! The cryptography provider is passed to rustls directly. The process-wide default is neither read nor
//! set.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

pub mod blocking;

mod builder;
mod connector;
mod error;
mod files;
mod named;
mod pool;
mod runtime;
mod sync;
mod timer;
mod tls;
mod transport;

pub use builder::HyperTransportBuilder;
pub use files::{file_body, read_body};
pub use mstr_core::{ProxyConfig, TlsConfig, TlsVersion};
pub use timer::TokioTimer;
pub use transport::HyperTransport;
