//! Plain requests and tunnels.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::super::raw::RawRequest;
use super::client::{Client, Reader, carry};
use super::shared::{ProxyEntry, ProxyKind, Shared};

/// Headers that are meant for the proxy.
const OWN: [&str; 2] = ["proxy-authorization", "proxy-connection"];

pub(super) async fn serve<S>(mut client: Client<S>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite,
{
    let mut next = client.reader.head().await?;
    while let Some(request) = next.take() {
        let Some(target) = Target::of(&request) else {
            return client.dismiss(last("400 Bad Request")).await;
        };
        if !target.note(&request, &client.shared) {
            let status = "407 Proxy Authentication Required";
            let challenge = "\r\nproxy-authenticate: Basic realm=\"proxy\"";
            return client.dismiss(last(&format!("{status}{challenge}"))).await;
        }
        let Ok(upstream) = client.shared.dial(&target.host, target.port).await else {
            return client.dismiss(last("502 Bad Gateway")).await;
        };
        if target.kind == ProxyKind::Connect {
            client.writer.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
            return client.relay(upstream).await;
        }
        let (mut from_server, mut to_server) = upstream.into_split();
        let requests = pass(&mut client.reader, &mut to_server, request, &target, &client.shared);
        next = tokio::select! {
            next = requests => next?,
            // How a body ends may be told by the end of its connection only.
            ended = carry(&mut from_server, &mut client.writer, &client.record) => return ended,
        };
    }
    Ok(())
}

/// An answer after which the connection ends.
pub(super) fn last(head: &str) -> String {
    format!("HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
}

/// Passes on `request` and those after it that are for the same server. Returns the first that is
/// not.
async fn pass<R: AsyncRead + Unpin>(
    reader: &mut Reader<R>,
    to_server: &mut (impl AsyncWrite + Unpin),
    mut request: RawRequest,
    target: &Target,
    shared: &Shared,
) -> io::Result<Option<RawRequest>> {
    loop {
        let path = Target::of(&request).map(|target| target.path).unwrap_or_default();
        to_server.write_all(&request.for_server(&path, &OWN)).await?;
        reader.pass_body(&request, to_server).await?;
        let Some(next) = reader.head().await? else { return Ok(None) };
        let same = Target::of(&next).is_some_and(|other| other.is_same_server(target));
        if !same || !shared.admits(credentials(&next).as_ref()) {
            return Ok(Some(next));
        }
        target.note(&next, shared);
        request = next;
    }
}

/// Where a request is to go.
struct Target {
    kind: ProxyKind,
    /// As it was asked for.
    shown: String,
    host: String,
    port: u16,
    path: String,
}

impl Target {
    fn of(request: &RawRequest) -> Option<Self> {
        let target = request.target();
        let (method, target) = target.split_once(' ')?;
        let (kind, authority, path) = if method == "CONNECT" {
            (ProxyKind::Connect, target, "")
        } else {
            let rest = target.strip_prefix("http://")?;
            let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
            (ProxyKind::Forward, authority, path)
        };
        let (host, port) = match authority.rsplit_once(':') {
            // The colon of an address in brackets.
            Some((_, port)) if port.ends_with(']') => (authority, None),
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (authority, None),
        };
        let port = match kind {
            ProxyKind::Connect => port?,
            _ => port.unwrap_or(80),
        };
        let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let slash = if path.starts_with('/') { "" } else { "/" };
        let shown = format!("{host}:{port}");
        let found = Self { kind, shown, host: name, port, path: format!("{slash}{path}") };
        (!found.host.is_empty()).then_some(found)
    }

    fn is_same_server(&self, other: &Self) -> bool {
        (self.kind, &self.host, self.port) == (other.kind, &other.host, other.port)
    }

    /// Writes it down. Returns whether it is let in.
    fn note(&self, request: &RawRequest, shared: &Shared) -> bool {
        let credentials = credentials(request);
        let admitted = shared.admits(credentials.as_ref());
        shared.seen().push(ProxyEntry {
            kind: self.kind,
            target: self.shown.clone(),
            credentials,
            admitted,
            request: Some(request.clone()),
        });
        admitted
    }
}

/// What stands in the header with user and password.
fn credentials(request: &RawRequest) -> Option<(String, String)> {
    let value = request.text("proxy-authorization")?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}
