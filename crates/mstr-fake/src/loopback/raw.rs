//! A server that is written byte by byte, for everything a well-behaved one never does.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection};

use super::tls::ServerTls;

/// The longest a script waits for bytes that do not come.
const PATIENCE: Duration = Duration::from_secs(20);
/// The longest head that is read.
const HEAD_LIMIT: usize = 1024 * 1024;

/// A loopback server that runs a script on each connection.
///
/// Each connection runs on a thread of its own. Dropping the server ends all of them.
#[derive(Debug)]
pub struct RawServer {
    shared: Arc<Shared>,
    address: SocketAddr,
    secure: bool,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stopping: AtomicBool,
    connections: AtomicUsize,
    /// A second handle on each connection, to end it when the server stops.
    streams: Mutex<BTreeMap<usize, TcpStream>>,
    requests: Mutex<Vec<RawRequest>>,
}

impl RawServer {
    /// Starts a server on a free port of 127.0.0.1. An error of the script ends its connection.
    ///
    /// # Errors
    ///
    /// Those of binding a socket and starting a thread.
    pub fn start(
        script: impl Fn(RawConnection) -> io::Result<()> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::start_with(None, script)
    }

    /// The same for servers that speak TLS. [`RawConnection::write`] encrypts.
    ///
    /// # Errors
    ///
    /// Those of [`start`](Self::start). A handshake that fails ends its connection.
    pub fn start_tls(
        tls: &ServerTls,
        script: impl Fn(RawConnection) -> io::Result<()> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::start_with(Some(tls.config()), script)
    }

    fn start_with(
        tls: Option<Arc<ServerConfig>>,
        script: impl Fn(RawConnection) -> io::Result<()> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let secure = tls.is_some();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let script = Arc::new(script);
        let accepting = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("raw server".into()).spawn(move || {
            for stream in listener.incoming() {
                if accepting.stopping.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let number = accepting.connections.fetch_add(1, Ordering::SeqCst);
                let shared = Arc::clone(&accepting);
                let script = Arc::clone(&script);
                // A connection that cannot be set up is dropped, which the client sees.
                let tls = tls.clone();
                let Ok(connection) = RawConnection::new(stream, number, shared, tls) else {
                    continue;
                };
                let started = std::thread::Builder::new()
                    .name(format!("raw connection {number}"))
                    .spawn(move || drop(script(connection)));
                drop(started);
            }
        })?;
        Ok(Self { shared, address, secure, thread: Some(thread) })
    }

    /// The socket's address.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of a path, which begins with `/`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.address)
    }

    /// How many connections there have been.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// The requests that [`RawConnection::read_request`] has read, of all connections.
    #[must_use]
    pub fn requests(&self) -> Vec<RawRequest> {
        self.shared.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for RawServer {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        for stream in self.shared.streams().values() {
            // Has ended already, or ends now.
            drop(stream.shutdown(Shutdown::Both));
        }
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl Shared {
    fn streams(&self) -> MutexGuard<'_, BTreeMap<usize, TcpStream>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection of a [`RawServer`]. Dropping it closes the connection in order.
#[derive(Debug)]
pub struct RawConnection {
    stream: TcpStream,
    /// Over TLS, of which `stream` has the bytes.
    tls: Option<Box<ServerConnection>>,
    number: usize,
    /// Read, but not asked for yet.
    ahead: Vec<u8>,
    shared: Arc<Shared>,
}

impl RawConnection {
    fn new(
        stream: TcpStream,
        number: usize,
        shared: Arc<Shared>,
        tls: Option<Arc<ServerConfig>>,
    ) -> io::Result<Self> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let kept = stream.try_clone()?;
        shared.streams().insert(number, kept);
        let tls = tls.map(ServerConnection::new).transpose().map_err(io::Error::other)?;
        Ok(Self { stream, tls: tls.map(Box::new), number, ahead: Vec::new(), shared })
    }

    /// Which connection this is, from 0.
    #[must_use]
    pub const fn number(&self) -> usize {
        self.number
    }

    /// Reads a request's head, without its body. `None` if the client has hung up.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    pub fn read_head(&mut self) -> io::Result<Option<RawRequest>> {
        loop {
            if let Some(request) = RawRequest::take_head(&mut self.ahead) {
                return Ok(Some(request));
            }
            if self.ahead.len() > HEAD_LIMIT {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if self.read_more()? == 0 {
                return Ok(None);
            }
        }
    }

    /// Reads a request with its body. `None` if the client has hung up.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    pub fn read_request(&mut self) -> io::Result<Option<RawRequest>> {
        let Some(mut request) = self.read_head()? else { return Ok(None) };
        if request.is_chunked() {
            loop {
                let size = RawRequest::chunk_size(&self.read_line()?);
                let size = size.ok_or(io::ErrorKind::InvalidData)?;
                let mut chunk = self.read_exactly(size)?;
                self.read_line()?;
                if size == 0 {
                    break;
                }
                request.body.append(&mut chunk);
            }
        } else if let Some(length) = request.text("content-length") {
            let length = length.parse().map_err(|_| io::ErrorKind::InvalidData)?;
            request.body = self.read_exactly(length)?;
        }
        let mut requests = self.shared.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.push(request.clone());
        Ok(Some(request))
    }

    /// Writes these bytes.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        match &mut self.tls {
            Some(tls) => {
                rustls::Stream::new(&mut **tls, &mut self.stream).write_all(bytes.as_ref())
            }
            None => self.stream.write_all(bytes.as_ref()),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => rustls::Stream::new(&mut **tls, &mut self.stream).read(buffer),
            None => self.stream.read(buffer),
        }
    }

    /// Writes an answer with this head (status line and headers, lines ended by `\r\n`) and body,
    /// and the body's length.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    pub fn answer(&mut self, head: &str, body: impl AsRef<[u8]>) -> io::Result<()> {
        let body = body.as_ref();
        self.write(format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n", body.len()))?;
        self.write(body)
    }

    /// Reads exactly so many bytes.
    ///
    /// # Errors
    ///
    /// Those of the socket, [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) among them.
    pub fn read_exactly(&mut self, size: usize) -> io::Result<Vec<u8>> {
        while self.ahead.len() < size {
            if self.read_more()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.ahead.drain(..size).collect())
    }

    /// Reads up to so many bytes of a body, as they come. An empty result is the end.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    pub fn read_some(&mut self, limit: usize) -> io::Result<Vec<u8>> {
        if self.ahead.is_empty() {
            self.read_more()?;
        }
        let size = self.ahead.len().min(limit);
        Ok(self.ahead.drain(..size).collect())
    }

    /// Ends the connection with a reset.
    pub fn reset(self) {
        // With no time to linger, closing sends a reset. The drop does the closing.
        drop(socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)));
    }

    /// Waits until the client has hung up, at most so long. Returns whether it has.
    #[must_use]
    pub fn wait_for_end(&mut self, patience: Duration) -> bool {
        if self.stream.set_read_timeout(Some(patience)).is_err() {
            return true;
        }
        let mut buffer = [0; 4096];
        loop {
            match self.read(&mut buffer) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => {
                    let late = [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut];
                    return !late.contains(&error.kind());
                }
            }
        }
    }

    /// Waits without doing anything, as a server that hangs does. Ends early with the server.
    pub fn hang(&mut self, duration: Duration) {
        let step = Duration::from_millis(20);
        let mut left = duration;
        while !left.is_zero() && !self.shared.stopping.load(Ordering::SeqCst) {
            #[expect(clippy::disallowed_methods, reason = "a socket lives in real time")]
            std::thread::sleep(step.min(left));
            left = left.saturating_sub(step);
        }
    }

    fn read_more(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 16 * 1024];
        let size = self.read(&mut buffer)?;
        self.ahead.extend_from_slice(&buffer[..size]);
        Ok(size)
    }

    fn read_line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(end) = find(&self.ahead, b"\r\n") {
                let mut line: Vec<u8> = self.ahead.drain(..end + 2).collect();
                line.truncate(end);
                return Ok(line);
            }
            if self.read_more()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

impl Drop for RawConnection {
    fn drop(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            // The client may be gone.
            drop(tls.write_tls(&mut self.stream));
        }
        // The server's own handle would keep the connection open.
        self.shared.streams().remove(&self.number);
    }
}

/// A request as its bytes came.
#[derive(Clone)]
pub struct RawRequest {
    head: Vec<u8>,
    body: Vec<u8>,
}

impl RawRequest {
    /// Takes a whole head from the front of what has been read.
    pub(super) fn take_head(ahead: &mut Vec<u8>) -> Option<Self> {
        let end = find(ahead, b"\r\n\r\n")?;
        Some(Self { head: ahead.drain(..end + 4).collect(), body: Vec::new() })
    }

    /// Whether its body comes in chunks.
    pub(super) fn is_chunked(&self) -> bool {
        self.values("transfer-encoding").iter().any(|value| value == b"chunked")
    }

    /// The size that stands in the line before a chunk.
    pub(super) fn chunk_size(line: &[u8]) -> Option<usize> {
        let digits = std::str::from_utf8(line).ok()?.split(';').next()?.trim();
        usize::from_str_radix(digits, 16).ok()
    }

    /// The head as a proxy passes it on: with only `path` in its first line, and without these
    /// headers. Everything else is as it came.
    pub(super) fn for_server(&self, path: &str, without: &[&str]) -> Vec<u8> {
        let line = self.line();
        let method = line.split(' ').next().unwrap_or_default();
        let mut head = format!("{method} {path} HTTP/1.1\r\n").into_bytes();
        for line in self.head.split_inclusive(|byte| *byte == b'\n').skip(1) {
            let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
            let own = without.iter().any(|own| name.eq_ignore_ascii_case(own.as_bytes()));
            if !own {
                head.extend_from_slice(line);
            }
        }
        head
    }

    /// The request line, for example `GET /a?b HTTP/1.1`.
    #[must_use]
    pub fn line(&self) -> String {
        let end = find(&self.head, b"\r\n").unwrap_or(self.head.len());
        String::from_utf8_lossy(&self.head[..end]).into_owned()
    }

    /// Method and target, without the version.
    #[must_use]
    pub fn target(&self) -> String {
        let line = self.line();
        match line.rsplit_once(' ') {
            Some((target, _version)) => target.to_owned(),
            None => line,
        }
    }

    /// Names (in lower case) and values of the headers, in their order.
    #[must_use]
    pub fn headers(&self) -> Vec<(String, Vec<u8>)> {
        let lines = self.head.split(|byte| *byte == b'\n').skip(1);
        let pairs = lines.filter_map(|line| {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let colon = line.iter().position(|byte| *byte == b':')?;
            let name = String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase();
            Some((name, line[colon + 1..].trim_ascii().to_vec()))
        });
        pairs.collect()
    }

    /// The values of a header (its name in lower case), in their order.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<Vec<u8>> {
        let matching = self.headers().into_iter().filter(|(other, _)| other == name);
        matching.map(|(_, value)| value).collect()
    }

    /// The first value of a header as text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        self.values(name).first().map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

impl std::fmt::Debug for RawRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({} bytes)", self.line(), self.body.len())
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
