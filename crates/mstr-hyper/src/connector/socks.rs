//! A connection through a SOCKS 5 proxy (RFC 1928), with user and password (RFC 1929).
//!
//! Not hyper-util's: that one has no room for long passwords and long names at once, offers a
//! proxy one way to authenticate only, looks names up on the thread of the runtime, and does not
//! name the cause of an error.

use std::io;
use std::net::IpAddr;

use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use mstr_core::TransportError;
use mstr_core::settings::Proxy;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::error::proxy_failed;

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
const NOTHING_ACCEPTABLE: u8 = 0xff;

const ADDRESS_V4: u8 = 1;
const NAME: u8 = 3;
const ADDRESS_V6: u8 = 4;

/// The host to which the proxy is to connect.
#[derive(Clone, Debug)]
pub(super) enum Host {
    Address(IpAddr),
    /// To be looked up by the proxy.
    Name(String),
}

/// Asks the proxy at the other end of `hop` for a connection.
pub(super) async fn open<T>(
    hop: &mut T,
    proxy: &Proxy,
    host: &Host,
    port: u16,
) -> Result<(), TransportError>
where
    T: Read + Write + Unpin,
{
    match ask(hop, proxy.credentials(), host, port).await {
        Ok(()) => Ok(()),
        Err(Failure::Refused(why)) => Err(proxy.refused(why)),
        Err(Failure::RefusedCredentials(why)) => Err(proxy.refused_for_good(why)),
        Err(Failure::Io(error)) => {
            Err(proxy_failed(proxy, Some("asking for a connection through it"), error.into()))
        }
    }
}

enum Failure {
    Io(io::Error),
    Refused(&'static str),
    RefusedCredentials(&'static str),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

async fn ask<T>(
    hop: &mut T,
    credentials: Option<(&str, &str)>,
    host: &Host,
    port: u16,
) -> Result<(), Failure>
where
    T: Read + Write + Unpin,
{
    let mut stream = TokioIo::new(hop);
    let methods: &[u8] = match credentials {
        Some(_) => &[VERSION, 2, NO_AUTHENTICATION, USER_AND_PASSWORD],
        None => &[VERSION, 1, NO_AUTHENTICATION],
    };
    stream.write_all(methods).await?;
    stream.flush().await?;
    let mut chosen = [0; 2];
    stream.read_exact(&mut chosen).await?;
    match (chosen, credentials) {
        ([VERSION, NO_AUTHENTICATION], _) => {}
        ([VERSION, USER_AND_PASSWORD], Some((user, password))) => {
            stream.write_all(&login(user, password)?).await?;
            stream.flush().await?;
            let mut outcome = [0; 2];
            stream.read_exact(&mut outcome).await?;
            if outcome[1] != 0 {
                return Err(Failure::RefusedCredentials("wrong user or password"));
            }
        }
        ([VERSION, NOTHING_ACCEPTABLE], None) => {
            return Err(Failure::RefusedCredentials(
                "it asks for a user and a password, or for more",
            ));
        }
        ([VERSION, NOTHING_ACCEPTABLE], Some(_)) => {
            return Err(Failure::RefusedCredentials("it asks for more than a user and a password"));
        }
        _ => return Err(no_socks()),
    }

    stream.write_all(&request(host, port)?).await?;
    stream.flush().await?;
    let mut reply = [0; 4];
    stream.read_exact(&mut reply).await?;
    match reply {
        [VERSION, 0, ..] => {}
        [VERSION, code, ..] => return Err(Failure::Refused(reason(code))),
        _ => return Err(no_socks()),
    }
    // The address it connects from, which is not needed.
    let rest = match reply[3] {
        ADDRESS_V4 => 4,
        ADDRESS_V6 => 16,
        NAME => usize::from(stream.read_u8().await?),
        _ => return Err(no_socks()),
    };
    let mut address = [0; 255 + 2];
    stream.read_exact(&mut address[..rest + 2]).await?;
    Ok(())
}

fn login(user: &str, password: &str) -> Result<Vec<u8>, Failure> {
    let mut message = vec![1];
    push(&mut message, user)?;
    push(&mut message, password)?;
    Ok(message)
}

fn request(host: &Host, port: u16) -> Result<Vec<u8>, Failure> {
    let mut message = vec![VERSION, 1, 0];
    match host {
        Host::Address(IpAddr::V4(address)) => {
            message.push(ADDRESS_V4);
            message.extend_from_slice(&address.octets());
        }
        Host::Address(IpAddr::V6(address)) => {
            message.push(ADDRESS_V6);
            message.extend_from_slice(&address.octets());
        }
        Host::Name(name) => {
            message.push(NAME);
            push(&mut message, name)?;
        }
    }
    message.extend_from_slice(&port.to_be_bytes());
    Ok(message)
}

/// A text with its length before it.
fn push(message: &mut Vec<u8>, text: &str) -> Result<(), Failure> {
    let length = u8::try_from(text.len()).map_err(|_| {
        let problem = "a name, a user or a password is longer than 255 bytes";
        Failure::Io(io::Error::new(io::ErrorKind::InvalidInput, problem))
    })?;
    message.push(length);
    message.extend_from_slice(text.as_bytes());
    Ok(())
}

fn no_socks() -> Failure {
    Failure::Io(io::Error::new(io::ErrorKind::InvalidData, "its answer is not SOCKS 5"))
}

const fn reason(code: u8) -> &'static str {
    match code {
        1 => "it has failed",
        2 => "its rules do not allow it",
        3 => "the network cannot be reached",
        4 => "the host cannot be reached",
        5 => "the server refused the connection",
        6 => "the way to the server is too long",
        7 => "it opens no connections",
        8 => "it does not know this kind of address",
        _ => "it does not say why",
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use mstr_core::{ProxyConfig, Sent, TransportErrorKind};
    use tokio::io::duplex;

    use super::*;

    /// Plays a proxy's answers; returns what was sent to it, and how it ended.
    async fn played(
        url: &str,
        host: Host,
        answers: &[u8],
    ) -> (Vec<u8>, Result<(), TransportError>) {
        let proxies = ProxyConfig::new().all(url).resolve().unwrap();
        let (here, mut there) = duplex(2048);
        there.write_all(answers).await.unwrap();
        let mut hop = TokioIo::new(here);
        let outcome = open(&mut hop, proxies.iter().next().unwrap(), &host, 443).await;
        drop(hop);
        let mut sent = Vec::new();
        there.read_to_end(&mut sent).await.unwrap();
        (sent, outcome)
    }

    const OPENED: [u8; 10] = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0];

    #[tokio::test]
    async fn the_messages_are_those_of_the_standard() {
        let name = || Host::Name("env.test".to_owned());
        let asked = [&[5, 1, 0, 3, 8][..], b"env.test", &443_u16.to_be_bytes()].concat();

        let (sent, outcome) =
            played("socks5h://proxy", name(), &[&[5, 0][..], &OPENED].concat()).await;
        outcome.unwrap();
        assert_eq!(sent, [&[5, 1, 0][..], &asked].concat());

        // A proxy may know that it needs no password.
        let url = "socks5h://ann:p%3Aw@proxy";
        let (sent, outcome) = played(url, name(), &[&[5, 0][..], &OPENED].concat()).await;
        outcome.unwrap();
        assert_eq!(sent, [&[5, 2, 0, 2][..], &asked].concat());

        let (sent, outcome) = played(url, name(), &[&[5, 2, 1, 0][..], &OPENED].concat()).await;
        outcome.unwrap();
        assert_eq!(sent, [&[5, 2, 0, 2][..], b"\x01\x03ann\x03p:w", &asked].concat());

        let bound = [&[5, 0, 5, 0, 0, 3, 3][..], b"abc", &[0, 0]].concat();
        let host = Host::Address(Ipv6Addr::LOCALHOST.into());
        let (sent, outcome) = played("socks5://proxy", host, &bound).await;
        outcome.unwrap();
        assert_eq!(sent[3..], [&[5, 1, 0, 4][..], &[0; 15], &[1, 1, 187]].concat());
    }

    #[tokio::test]
    async fn the_longest_password_and_the_longest_name_go_together() {
        let long = "x".repeat(255);
        let url = format!("socks5h://{long}:{long}@proxy");
        let answers = [&[5, 2, 1, 0][..], &OPENED].concat();
        let (sent, outcome) = played(&url, Host::Name(long.clone()), &answers).await;
        outcome.unwrap();
        assert_eq!(sent.len(), 4 + 3 + 255 * 2 + 7 + 255);
        let (_, outcome) = played("socks5h://proxy", Host::Name(long + "x"), &[5, 0]).await;
        assert_eq!(outcome.unwrap_err().kind(), TransportErrorKind::Connect);
    }

    #[tokio::test]
    async fn a_refusal_says_why() {
        let url = "socks5h://ann:hush@proxy:1";
        let table: [(&str, &[u8], &str); 9] = [
            (url, &[5, 0xff], "more than a user and a password"),
            ("socks5h://proxy:1", &[5, 0xff], "refused: it asks for a user and a password"),
            ("socks5h://proxy:1", &[5, 2], "asking for a connection through it"),
            (url, &[5, 2, 1, 1], "refused: wrong user or password"),
            (url, &[5, 0, 5, 2, 0, 1, 0, 0, 0, 0, 0, 0], "refused: its rules do not allow it"),
            (url, &[5, 0, 5, 5, 0, 1, 0, 0, 0, 0, 0, 0], "refused: the server refused"),
            (url, &[5, 0, 5, 99, 0, 1, 0, 0, 0, 0, 0, 0], "refused: it does not say why"),
            (url, b"HTTP/1.1 400 Bad Request\r\n\r\n", "the proxy socks5h://proxy:1"),
            (url, &[5, 0, 5, 0, 0, 7], "the proxy socks5h://proxy:1"),
        ];
        for (url, answers, expected) in table {
            let (_, outcome) = played(url, Host::Name("env.test".to_owned()), answers).await;
            let error = outcome.expect_err(expected);
            // A refusal that has to do with a password is not repeated.
            let about_credentials = expected.contains("password");
            let kind = match about_credentials {
                true => TransportErrorKind::Config,
                false => TransportErrorKind::Connect,
            };
            assert_eq!((error.kind(), error.sent()), (kind, Sent::No));
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(expected), "{shown}");
            assert!(!shown.contains("hush"), "{shown}");
        }
    }
}
