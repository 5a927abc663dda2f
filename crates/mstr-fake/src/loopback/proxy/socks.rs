//! SOCKS 5 (RFC 1928), with user and password (RFC 1929).

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::client::{Client, Reader};
use super::shared::{ProxyEntry, ProxyKind};

/// What a client begins with.
pub(super) const VERSION: u8 = 5;

const NO_AUTHENTICATION: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
const NOTHING_ACCEPTABLE: u8 = 0xff;

const HOST_UNREACHABLE: u8 = 4;
const CONNECTION_REFUSED: u8 = 5;
const UNKNOWN_COMMAND: u8 = 7;
const UNKNOWN_ADDRESS: u8 = 8;

pub(super) async fn serve<S>(mut client: Client<S>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite,
{
    let count = client.reader.take(2).await?[1];
    let offered = client.reader.take(usize::from(count)).await?;
    let mut entry = ProxyEntry {
        kind: ProxyKind::Socks5,
        target: String::new(),
        credentials: None,
        admitted: false,
        request: None,
    };
    let method = match client.shared.credentials {
        Some(_) => USER_AND_PASSWORD,
        None => NO_AUTHENTICATION,
    };
    if !offered.contains(&method) {
        client.shared.seen().push(entry);
        return client.dismiss([VERSION, NOTHING_ACCEPTABLE]).await;
    }
    client.writer.write_all(&[VERSION, method]).await?;
    if method == USER_AND_PASSWORD {
        entry.credentials = Some(credentials(&mut client.reader).await?);
        if !client.shared.admits(entry.credentials.as_ref()) {
            client.shared.seen().push(entry);
            return client.dismiss([1, 1]).await;
        }
        client.writer.write_all(&[1, 0]).await?;
    }
    entry.admitted = true;

    let request = client.reader.take(4).await?;
    let Some((host, shown)) = host(request[3], &mut client.reader).await? else {
        return client.dismiss(reply(UNKNOWN_ADDRESS)).await;
    };
    let port = client.reader.take(2).await?;
    let port = u16::from_be_bytes([port[0], port[1]]);
    if request[1] != 1 {
        return client.dismiss(reply(UNKNOWN_COMMAND)).await;
    }
    entry.target = format!("{shown}:{port}");
    client.shared.seen().push(entry);
    match client.shared.dial(&host, port).await {
        Ok(upstream) => {
            client.writer.write_all(&reply(0)).await?;
            client.relay(upstream).await
        }
        Err(error) => {
            let refused = error.kind() == io::ErrorKind::ConnectionRefused;
            let code = if refused { CONNECTION_REFUSED } else { HOST_UNREACHABLE };
            client.dismiss(reply(code)).await
        }
    }
}

async fn credentials<R: AsyncRead + Unpin>(reader: &mut Reader<R>) -> io::Result<(String, String)> {
    if reader.take_byte().await? != 1 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let user = text(reader).await?;
    let password = text(reader).await?;
    Ok((user, password))
}

/// A text with its length before it.
async fn text<R: AsyncRead + Unpin>(reader: &mut Reader<R>) -> io::Result<String> {
    let length = reader.take_byte().await?;
    let bytes = reader.take(usize::from(length)).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A host, once as it is looked up and once as it stands before a port. `None` for a kind of
/// address that does not exist.
async fn host<R: AsyncRead + Unpin>(
    kind: u8,
    reader: &mut Reader<R>,
) -> io::Result<Option<(String, String)>> {
    let invalid = |_| io::Error::from(io::ErrorKind::InvalidData);
    Ok(match kind {
        1 => {
            let octets: [u8; 4] = reader.take(4).await?.try_into().map_err(invalid)?;
            let address = Ipv4Addr::from(octets).to_string();
            Some((address.clone(), address))
        }
        3 => {
            let name = text(reader).await?;
            Some((name.clone(), name))
        }
        4 => {
            let octets: [u8; 16] = reader.take(16).await?.try_into().map_err(invalid)?;
            let address = Ipv6Addr::from(octets);
            Some((address.to_string(), format!("[{address}]")))
        }
        _ => None,
    })
}

/// A reply with this code, and no address, because no client reads it.
const fn reply(code: u8) -> [u8; 10] {
    [VERSION, code, 0, 1, 0, 0, 0, 0, 0, 0]
}
