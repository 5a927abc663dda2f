//! The client's connection: reading with a record, and carrying bytes between two sockets.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, copy, sink, split,
};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::super::raw::RawRequest;
use super::shared::{RECORD_LIMIT, Shared};

/// The longest wait for bytes that a client owes.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest head that is read.
const HEAD_LIMIT: usize = 1024 * 1024;
/// How long a client that was refused may take to hang up.
const FAREWELL: Duration = Duration::from_secs(2);

pub(super) struct Client<S> {
    pub(super) reader: Reader<ReadHalf<S>>,
    pub(super) writer: WriteHalf<S>,
    pub(super) shared: Arc<Shared>,
    /// Of what comes from servers.
    pub(super) record: Record,
}

impl<S: AsyncRead + AsyncWrite> Client<S> {
    pub(super) fn new(stream: S, shared: Arc<Shared>) -> Self {
        let (reader, writer) = split(stream);
        let (sent, received) = {
            let mut records = shared.records();
            records.extend([Vec::new(), Vec::new()]);
            (records.len() - 2, records.len() - 1)
        };
        let record = |place| Record { shared: Arc::clone(&shared), place };
        Self {
            reader: Reader { half: reader, ahead: Vec::new(), record: record(sent) },
            writer,
            record: record(received),
            shared,
        }
    }

    /// Writes a last answer, and waits until the client has had the time to read it: closing a
    /// socket that has unread bytes takes back what was written.
    pub(super) async fn dismiss(mut self, answer: impl AsRef<[u8]>) -> io::Result<()> {
        self.writer.write_all(answer.as_ref()).await?;
        self.writer.shutdown().await?;
        // It may never hang up, which is why there is a limit.
        drop(timeout(FAREWELL, copy(&mut self.reader.half, &mut sink())).await);
        Ok(())
    }

    /// Carries everything both ways until both sides have ended.
    pub(super) async fn relay(self, upstream: TcpStream) -> io::Result<()> {
        let Self { reader, mut writer, record, .. } = self;
        let (mut from_server, mut to_server) = upstream.into_split();
        let Reader { mut half, ahead, record: sent } = reader;
        to_server.write_all(&ahead).await?;
        tokio::try_join!(
            carry(&mut half, &mut to_server, &sent),
            carry(&mut from_server, &mut writer, &record),
        )?;
        Ok(())
    }
}

/// Carries bytes until their source ends, and then says so.
pub(super) async fn carry(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    record: &Record,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let size = from.read(&mut buffer).await?;
        if size == 0 {
            return to.shutdown().await;
        }
        record.add(&buffer[..size]);
        to.write_all(&buffer[..size]).await?;
        to.flush().await?;
    }
}

/// Where the bytes of one direction are kept.
pub(super) struct Record {
    shared: Arc<Shared>,
    place: usize,
}

impl Record {
    fn add(&self, bytes: &[u8]) {
        let mut records = self.shared.records();
        let Some(record) = records.get_mut(self.place) else { return };
        let room = RECORD_LIMIT.saturating_sub(record.len());
        record.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

/// What comes from the client.
pub(super) struct Reader<R> {
    half: R,
    /// Read, but not asked for yet.
    ahead: Vec<u8>,
    record: Record,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    async fn more(&mut self) -> io::Result<usize> {
        let mut buffer = vec![0; 16 * 1024];
        let size = timeout(PATIENCE, self.half.read(&mut buffer)).await??;
        self.record.add(&buffer[..size]);
        self.ahead.extend_from_slice(&buffer[..size]);
        Ok(size)
    }

    /// The next byte, which stays to be read.
    pub(super) async fn peek(&mut self) -> io::Result<Option<u8>> {
        if self.ahead.is_empty() {
            self.more().await?;
        }
        Ok(self.ahead.first().copied())
    }

    pub(super) async fn take(&mut self, size: usize) -> io::Result<Vec<u8>> {
        while self.ahead.len() < size {
            if self.more().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.ahead.drain(..size).collect())
    }

    pub(super) async fn take_byte(&mut self) -> io::Result<u8> {
        Ok(self.take(1).await?[0])
    }

    /// The next request without its body, or `None` if the client has hung up.
    pub(super) async fn head(&mut self) -> io::Result<Option<RawRequest>> {
        loop {
            if let Some(head) = RawRequest::take_head(&mut self.ahead) {
                return Ok(Some(head));
            }
            if self.ahead.len() > HEAD_LIMIT {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if self.more().await? == 0 {
                return Ok(None);
            }
        }
    }

    /// The next line with its end.
    async fn line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(end) = self.ahead.iter().position(|byte| *byte == b'\n') {
                return Ok(self.ahead.drain(..=end).collect());
            }
            if self.ahead.len() > HEAD_LIMIT {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if self.more().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Passes on so many bytes, as they come.
    async fn pass(&mut self, mut size: u64, to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        while size > 0 {
            if self.ahead.is_empty() && self.more().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let now =
                usize::try_from(size).map_or(self.ahead.len(), |all| all.min(self.ahead.len()));
            to.write_all(&self.ahead[..now]).await?;
            self.ahead.drain(..now);
            size -= now as u64;
        }
        Ok(())
    }

    /// Passes on the body of `request`, with its framing.
    pub(super) async fn pass_body(
        &mut self,
        request: &RawRequest,
        to: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<()> {
        let invalid = || io::Error::from(io::ErrorKind::InvalidData);
        if request.is_chunked() {
            loop {
                let line = self.line().await?;
                let size = RawRequest::chunk_size(&line).ok_or_else(invalid)?;
                to.write_all(&line).await?;
                if size == 0 {
                    break;
                }
                self.pass(size as u64 + 2, to).await?;
            }
            // Trailers, and the empty line that ends them.
            loop {
                let line = self.line().await?;
                to.write_all(&line).await?;
                if line == b"\r\n" {
                    return Ok(());
                }
            }
        }
        match request.text("content-length") {
            Some(length) => self.pass(length.parse().map_err(|_| invalid())?, to).await,
            None => Ok(()),
        }
    }
}
