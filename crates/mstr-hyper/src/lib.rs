//! The transport for [`mstr`](https://docs.rs/mstr-sdk) over hyper and rustls: HTTP/1.1 and HTTP/2, TLS,
//! connection pools, deadlines.
//!
//! Programs get it with `mstr`, as `mstr::hyper` and by default. Depend on this crate to choose its
//! features yourself, or if you build on `mstr-core` alone.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use mstr_core::Connection;
//! use mstr_hyper::{HyperTransport, TlsConfig};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), mstr_core::Error> {
//! let transport = HyperTransport::builder()
//!     .tls(TlsConfig::new().add_root_pem_file("/etc/ssl/company-ca.pem"))
//!     .connect_timeout(Duration::from_secs(5))
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
//! [`HyperTransport`] is for asynchronous code. It lives on the tokio runtime it is built on, and can
//! be used from any thread, inside another runtime or outside of all of them.
//! [`blocking::HyperBlocking`] is for blocking code and runs a thread of its own.
//!
//! What it is not: a client. It moves one request and its response; it follows no redirect, keeps no
//! cookie, decodes nothing, repeats nothing and adds no header of its own, except a proxy's password
//! to what that proxy passes on. Sessions are the business of `mstr`.
//!
//! # Time limits
//!
//! | limit | covers | from |
//! | --- | --- | --- |
//! | connect timeout | DNS, TCP, the proxy and the TLS handshakes | the request, or `connect_timeout` (10 s) |
//! | deadline | everything until the response's head, waiting for a connection included | the request |
//! | idle limit | each wait for a piece of the response's body | the request |
//!
//! # Connections
//!
//! Over HTTP/1.1 a connection serves one request at a time, and is held until the body of its answer
//! has been read to its end or is dropped. Over HTTP/2 one connection serves all. There are at most
//! [`max_connections_per_host`](HyperTransportBuilder::max_connections_per_host); further requests
//! wait in line, whether or not their callers are polled meanwhile.
//!
//! | a connection | is noticed by | and then |
//! | --- | --- | --- |
//! | that the server closes while it is kept | a look at the socket before each request | is not used |
//! | that it closes while a request is being written | hyper, which gives the request back if nothing of it was written | the request goes out once more |
//! | on which nothing was heard until a request's deadline | that deadline | takes no more requests, nor do those that have been as silent; over HTTP/2 the others on it go on |
//! | whose other side is gone | [`http2_ping`](HyperTransportBuilder::http2_ping), [`tcp_keepalive`](HyperTransportBuilder::tcp_keepalive), [`tcp_user_timeout`](HyperTransportBuilder::tcp_user_timeout) | ends with all its requests |
//!
//! A request's body may go on for 15 seconds after its answer has ended. Over HTTP/1.1 its connection
//! ends then. Over HTTP/2 the body fails when hyper next asks for a piece, which resets the stream.
//! hyper does not ask while the server gives the stream no room (flow control): such a body and its
//! stream stay until the server gives room or resets the stream, or the connection ends.
//!
//! # Proxies
//!
//! None are used, and no variable is read, unless [`proxy`](HyperTransportBuilder::proxy) says so.
//!
//! ```no_run
//! use mstr_hyper::{HyperTransport, ProxyConfig};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), mstr_core::Error> {
//! let proxy = ProxyConfig::from_env() // HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY
//!     .https("http://user:password@proxy.example.com:3128") // beats them
//!     .no_proxy("intranet.example.com, 10.0.0.0/8");
//! let transport = HyperTransport::builder().proxy(proxy).build()?;
//! # Ok(())
//! # }
//! ```
//!
//! | proxy | http server | https server | names are looked up |
//! | --- | --- | --- | --- |
//! | `http://` | the proxy passes requests on, and sees them whole | a tunnel: the proxy sees host and port | by the proxy |
//! | `https://` | the same, over TLS as in the table below | the same, TLS inside of TLS | by the proxy |
//! | `socks5h://` | a connection | a connection | by the proxy |
//! | `socks5://` | a connection | a connection | here; the first address is taken |
//!
//! HTTP/2 is spoken with the server inside a tunnel, never with a proxy; with `http2_only` http servers
//! get a tunnel as well. User and password are sent to the proxy and to nobody else, as `Basic`
//! credentials or by the method of SOCKS.
//!
//! A proxy that cannot be reached, or that refuses for now, is an error of kind `Connect` that names
//! the proxy, without its password, says why, and says that nothing was sent. One that refuses for
//! good is one of kind `Config`: the user or the password (407, 401, or in SOCKS), also for a request
//! that it should have forwarded, or a tunnel that it does not allow (403). It is not tried again,
//! because repeating a wrong password locks accounts. Any other answer to a forwarded request is the
//! answer: whether proxy or server gave it cannot be told.
//!
//! # TLS
//!
//! | setting | effect |
//! | --- | --- |
//! | none | the platform's certificates are trusted; TLS 1.2 and 1.3 |
//! | `add_root_pem`, `add_root_pem_file` | these are trusted as well |
//! | `only_given_roots` | only these are trusted |
//! | `client_identity_pem`, `client_identity_pem_file` | answers a server that asks for a certificate |
//! | `min_tls_version(TlsVersion::Tls13)` | refuses TLS 1.2 |
//! | `dangerous_accept_any_certificate` | accepts every certificate for every host |
//!
//! Nothing is taken from the working directory, and nothing in the environment overrides a setting. A
//! file that is missing or holds the wrong thing is an error of
//! [`build`](HyperTransportBuilder::build) that names it.
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
//! What works without some of them:
//!
//! | provider | source of roots | `http://` | `https://` |
//! | --- | --- | --- | --- |
//! | one | one, or given certificates | works | works |
//! | one | none | works | error of kind `Config` |
//! | none | any | works | error of kind `Config` |
//!
//! The provider is passed to rustls explicitly; the process-wide default is neither read nor set.
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
