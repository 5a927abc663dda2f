//! Connects, makes one request, closes, and ends: with the client that it was built with, and with none
//! nothing at all.
//!
//! `cargo xtask bench --sockets cold` builds this with each and measures how long the processes live.
//! That is why the clients are not those of another package: what a program links is part of what it
//! costs to start.
//!
//! ```text
//! URL [AUTHORITY]
//! ```
//!
//! The authority is a file with certificates in PEM, which are trusted beside those of the system.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "this is a program for testers")]

fn main() {
    let mut words = std::env::args().skip(1);
    let url = words.next().unwrap();
    let authority = words.next().map(|file| std::fs::read_to_string(file).unwrap());
    client::run(&url, authority);
}

#[cfg(any(feature = "aws-lc-rs", feature = "reqwest", feature = "ring"))]
fn block_on(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
}

#[cfg(feature = "reqwest")]
mod client {
    const TOKEN: &str = "x-mstr-authtoken";

    pub(crate) fn run(url: &str, authority: Option<String>) {
        crate::block_on(async {
            let mut builder = reqwest::Client::builder().cookie_store(true);
            if let Some(authority) = authority {
                let authority = reqwest::Certificate::from_pem(authority.as_bytes()).unwrap();
                builder = builder.tls_certs_merge([authority]);
            }
            let client = builder.build().unwrap();
            let login = client
                .post(format!("{url}/api/auth/login"))
                .header("content-type", "application/json")
                .body(r#"{"username":"alice","password":"secret","loginMode":1}"#);
            let answer = login.send().await.unwrap().error_for_status().unwrap();
            let token = answer.headers()[TOKEN].clone();
            let request = client.get(format!("{url}/small")).header(TOKEN, token.clone());
            assert_eq!(request.send().await.unwrap().bytes().await.unwrap().len(), 200);
            let logout = client.post(format!("{url}/api/auth/logout")).header(TOKEN, token);
            logout.send().await.unwrap().error_for_status().unwrap();
        });
    }
}

#[cfg(all(any(feature = "aws-lc-rs", feature = "ring"), not(feature = "reqwest")))]
mod client {
    use mstr::hyper::HyperTransport;
    use mstr::{Connection, TlsConfig};

    pub(crate) fn run(url: &str, authority: Option<String>) {
        crate::block_on(async {
            let tls = authority.into_iter().fold(TlsConfig::new(), TlsConfig::add_root_pem);
            let transport = HyperTransport::builder().tls(tls).build().unwrap();
            let builder = Connection::builder(url).standard("alice", "secret").checks(false);
            let connection = builder.transport(transport).connect().await.unwrap();
            let answer = connection.get("/small").send().await.unwrap();
            assert_eq!(answer.bytes().await.unwrap().len(), 200);
            connection.close().await;
        });
    }
}

#[cfg(not(any(feature = "aws-lc-rs", feature = "reqwest", feature = "ring")))]
mod client {
    pub(crate) fn run(_: &str, _: Option<String>) {}
}
