//! The one body type of requests and responses.
//!
//! A body is `Send + Sync` whatever is inside, so that a response held across an await leaves
//! the user's future `Send`, and so that stacks that ask for `Sync` bodies accept it. What goes
//! in needs to be `Send` only.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;
use sync_wrapper::SyncWrapper;

use super::context::RequestContext;
use super::transport_error::{BoxError, TransportError, TransportErrorKind};

/// The largest buffer, in bytes, that [`Body::collect`] allocates because of a `Content-Length`: 64 MiB.
///
/// For a longer body the buffer grows as the bytes arrive.
pub const COLLECT_PREALLOCATION_LIMIT: usize = 64 * 1024 * 1024;

type Stream = Pin<Box<dyn HttpBody<Data = Bytes, Error = TransportError> + Send>>;
type Factory = Arc<dyn Fn() -> Body + Send + Sync>;

/// The bytes of a request or response: empty, in memory, or streamed.
///
/// ```
/// # use mstr_core as mstr;
/// use std::error::Error;
/// use std::fs::File;
///
/// use mstr::{Body, Connection};
///
/// async fn upload(connection: &Connection) -> Result<(), Box<dyn Error>> {
///     // In memory, and sent again if the attempt fails.
///     let small = connection.put("/api/items/1").body("id,name\n1,Ann\n").idempotent(true);
///     small.header("Content-Type", "text/csv").send().await?;
///
///     // From a file, without reading it into memory.
///     let large = Body::from_file(File::open("sales.csv")?)?;
///     connection.post("/api/items").body(large).send().await?;
///
///     // From any reader. It is sent once and never repeated.
///     let socket = std::net::TcpStream::connect("export.example.com:9000")?;
///     connection.post("/api/items").body(Body::from_reader(socket)).send().await?;
///     Ok(())
/// }
/// ```
///
/// | from | constructor | can be sent again |
/// |---|---|---|
/// | text or bytes | `Body::from`, or directly `.body("text")` | yes |
/// | a file | [`from_file`](Self::from_file); `mstr::hyper::file_body` in tokio's threads | yes |
/// | a reader | [`from_reader`](Self::from_reader); `mstr::hyper::read_body` for tokio's | no |
/// | any `http_body::Body` | [`wrap`](Self::wrap) | no |
/// | a function that makes a body | [`replayable`](Self::replayable) | yes |
pub struct Body {
    inner: Inner,
    context: Option<RequestContext>,
}

enum Inner {
    Empty,
    Full(Bytes),
    Replayable { make: Factory, current: Option<Box<Body>> },
    Stream { first: VecDeque<Bytes>, rest: SyncWrapper<Stream>, hint: SizeHint, ended: bool },
}

impl Body {
    const fn new(inner: Inner) -> Self {
        Self { inner, context: None }
    }

    pub(super) fn context(&self) -> Option<RequestContext> {
        self.context
    }

    pub(super) fn set_context(&mut self, context: RequestContext) {
        self.context = Some(context);
    }

    /// A body of no bytes.
    #[must_use]
    pub const fn empty() -> Self {
        Self::new(Inner::Empty)
    }

    /// Streams from any `http_body::Body`. It can be sent only once: a request with such a body is
    /// never repeated.
    #[must_use]
    pub fn wrap<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let hint = body.size_hint();
        let ended = body.is_end_stream();
        let stream: Stream = Box::pin(Mapped { body });
        Self::new(Inner::Stream {
            first: VecDeque::new(),
            rest: SyncWrapper::new(stream),
            hint,
            ended,
        })
    }

    /// A body that `make` produces anew for each attempt, so that the request can be repeated.
    #[must_use]
    pub fn replayable(make: impl Fn() -> Self + Send + Sync + 'static) -> Self {
        Self::new(Inner::Replayable { make: Arc::new(make), current: None })
    }

    /// The bytes, if they are all in memory.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&Bytes> {
        static NOTHING: Bytes = Bytes::new();
        match &self.inner {
            Inner::Empty => Some(&NOTHING),
            Inner::Full(bytes) => Some(bytes),
            Inner::Replayable { .. } | Inner::Stream { .. } => None,
        }
    }

    /// The same, if there are at most `limit` of them.
    pub(crate) fn whole(&self, limit: usize) -> Option<Bytes> {
        self.as_bytes().filter(|bytes| bytes.len() <= limit).cloned()
    }

    /// The exact length of the unread part in bytes, if it is known.
    #[must_use]
    pub fn len_hint(&self) -> Option<u64> {
        self.size_hint().exact()
    }

    /// Whether this body can be sent more than once.
    #[must_use]
    pub fn is_replayable(&self) -> bool {
        match &self.inner {
            Inner::Empty | Inner::Full(_) | Inner::Replayable { .. } => true,
            Inner::Stream { .. } => false,
        }
    }

    /// A second body with the same bytes, from their beginning; `None` for a body that can be sent only
    /// once.
    #[must_use]
    pub fn try_clone(&self) -> Option<Self> {
        match &self.inner {
            Inner::Empty => Some(Self::empty()),
            Inner::Full(bytes) => Some(Self::new(Inner::Full(bytes.clone()))),
            // Made here and not where it is first asked for its length and again where it is read:
            // a factory may open a file.
            Inner::Replayable { make, .. } => {
                let current = Some(Box::new(make()));
                Some(Self::new(Inner::Replayable { make: Arc::clone(make), current }))
            }
            Inner::Stream { .. } => None,
        }
    }

    /// Reads the whole body into memory.
    ///
    /// # Errors
    ///
    /// [`TooLarge`](TransportErrorKind::TooLarge) if there are more than `limit` bytes, and the errors
    /// of the stream. The bytes read so far are lost.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the body, which ends the exchange.
    pub async fn collect(mut self, limit: usize) -> Result<Bytes, TransportError> {
        if let Some(whole) = self.whole(limit) {
            return Ok(whole);
        }
        let mut collected = Collected::new(&self, limit)?;
        while let Some(chunk) = self.chunk().await? {
            collected.push(chunk)?;
        }
        Ok(collected.finish())
    }

    /// Reads the next piece of the body; `None` at its end. Trailers are skipped.
    ///
    /// # Errors
    ///
    /// Those of the stream.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing; the next call goes on.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, TransportError> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// Polls for the next piece of the body; see [`chunk`](Self::chunk).
    ///
    /// # Errors
    ///
    /// Those of the stream.
    pub fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, TransportError>> {
        loop {
            match ready!(Pin::new(&mut *self).poll_frame(cx)) {
                None => return Poll::Ready(Ok(None)),
                Some(Err(error)) => return Poll::Ready(Err(error)),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if data.is_empty() => {}
                    Ok(data) => return Poll::Ready(Ok(Some(data))),
                    Err(_trailers) => {}
                },
            }
        }
    }

    /// Reads up to `limit` bytes, or somewhat more: pieces are not cut. When that was not all, the
    /// body is left as if nothing had been read. `late` is asked as pieces arrive: a body that
    /// trickles never violates the limit between two pieces.
    pub(crate) async fn peek(
        &mut self,
        limit: usize,
        late: impl Fn() -> bool,
    ) -> Result<Bytes, TransportError> {
        // Short ones have come with their heads.
        if let Inner::Full(whole) = &self.inner
            && !late()
        {
            return Ok(whole.clone());
        }
        let mut chunks = VecDeque::new();
        let mut length = 0;
        let complete = loop {
            if length >= limit {
                break false;
            }
            match self.chunk().await {
                // A body that cannot be decoded ends here, and its reader learns why.
                Err(error) if error.is_of_content() => {
                    *self = Self::wrap(Failing(Some(error)));
                    break false;
                }
                Err(error) => return Err(error),
                Ok(None) => break true,
                Ok(Some(chunk)) => {
                    length += chunk.len();
                    chunks.push_back(chunk);
                }
            }
            if late() {
                return Err(TransportError::new(TransportErrorKind::Timeout)
                    .with_detail("the error's body took longer than the call's total timeout"));
            }
        };
        let bytes = concatenate(&chunks);
        if complete {
            *self = Self::from(bytes.clone());
        } else {
            self.put_back(chunks);
        }
        Ok(bytes)
    }

    /// The same after `first`, which has been read from it.
    pub(crate) fn after(mut self, first: Bytes) -> Self {
        self.put_back(VecDeque::from([first]));
        self
    }

    fn put_back(&mut self, mut chunks: VecDeque<Bytes>) {
        match &mut self.inner {
            Inner::Stream { first, hint, ended, .. } => {
                let returned: u64 = chunks.iter().map(|chunk| chunk.len() as u64).sum();
                if let Some(exact) = hint.exact() {
                    *hint = SizeHint::with_exact(exact + returned);
                }
                *ended = false;
                chunks.append(first);
                *first = chunks;
            }
            Inner::Replayable { current: Some(current), .. } => current.put_back(chunks),
            // Everything else was complete in one chunk, or has not been read at all.
            Inner::Empty | Inner::Full(_) | Inner::Replayable { current: None, .. } => {
                let rest = std::mem::take(self);
                if let Inner::Full(bytes) = rest.inner {
                    chunks.push_back(bytes);
                }
                *self = Self::from(concatenate(&chunks));
            }
        }
    }
}

/// Bytes on their way into one buffer, with a limit.
pub(crate) struct Collected {
    first: Option<Bytes>,
    buffer: Vec<u8>,
    declared: usize,
    limit: usize,
}

impl Collected {
    pub(crate) fn new(body: &Body, limit: usize) -> Result<Self, TransportError> {
        let declared = body.len_hint().unwrap_or(0);
        if declared > limit as u64 {
            return Err(too_large(limit));
        }
        let declared = usize::try_from(declared).unwrap_or(usize::MAX);
        Ok(Self {
            first: None,
            buffer: Vec::new(),
            declared: declared.min(COLLECT_PREALLOCATION_LIMIT),
            limit,
        })
    }

    pub(crate) fn push(&mut self, chunk: Bytes) -> Result<(), TransportError> {
        let held = self.first.as_ref().map_or(self.buffer.len(), Bytes::len);
        if held + chunk.len() > self.limit {
            return Err(too_large(self.limit));
        }
        // A body that arrives in one piece is handed on as it is.
        if held == 0 && self.buffer.capacity() == 0 {
            self.first = Some(chunk);
            return Ok(());
        }
        if self.buffer.capacity() == 0 {
            self.buffer.reserve_exact(self.declared.max(held + chunk.len()));
        }
        if let Some(first) = self.first.take() {
            self.buffer.extend_from_slice(&first);
        }
        self.buffer.extend_from_slice(&chunk);
        Ok(())
    }

    pub(crate) fn finish(self) -> Bytes {
        self.first.unwrap_or_else(|| Bytes::from(self.buffer))
    }
}

fn too_large(limit: usize) -> TransportError {
    TransportError::new(TransportErrorKind::TooLarge).with_detail(format!("limit {limit} bytes"))
}

fn concatenate(chunks: &VecDeque<Bytes>) -> Bytes {
    if chunks.len() <= 1 {
        return chunks.front().cloned().unwrap_or_default();
    }
    let mut all = Vec::with_capacity(chunks.iter().map(Bytes::len).sum());
    for chunk in chunks {
        all.extend_from_slice(chunk);
    }
    Bytes::from(all)
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        match &mut self.inner {
            Inner::Empty => Poll::Ready(None),
            Inner::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.inner = Inner::Empty;
                let frame = bytes.has_remaining().then(|| Ok(Frame::data(bytes)));
                Poll::Ready(frame)
            }
            Inner::Replayable { make, current } => {
                let body = current.get_or_insert_with(|| Box::new(make()));
                Pin::new(&mut **body).poll_frame(cx)
            }
            Inner::Stream { first, rest, hint, ended } => {
                if let Some(chunk) = first.pop_front() {
                    if let Some(exact) = hint.exact() {
                        *hint = SizeHint::with_exact(exact.saturating_sub(chunk.len() as u64));
                    }
                    return Poll::Ready(Some(Ok(Frame::data(chunk))));
                }
                let stream = rest.get_mut();
                let frame = ready!(stream.as_mut().poll_frame(cx));
                *hint = stream.size_hint();
                *ended = frame.is_none() || stream.is_end_stream();
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Inner::Empty => true,
            Inner::Full(bytes) => bytes.is_empty(),
            Inner::Replayable { current, .. } => {
                current.as_ref().is_some_and(|body| body.is_end_stream())
            }
            Inner::Stream { first, ended, .. } => first.is_empty() && *ended,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Inner::Empty => SizeHint::with_exact(0),
            Inner::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Inner::Replayable { current: Some(body), .. } => body.size_hint(),
            Inner::Replayable { make, current: None } => make().size_hint(),
            Inner::Stream { hint, .. } => *hint,
        }
    }
}

/// The end of a body that could not be read further.
struct Failing(Option<TransportError>);

impl HttpBody for Failing {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        Poll::Ready(self.0.take().map(Err))
    }
}

pin_project! {
    /// Boxes the error of any body.
    struct Mapped<B> {
        #[pin]
        body: B,
    }
}

impl<B> HttpBody for Mapped<B>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        self.project()
            .body
            .poll_frame(cx)
            .map_err(|error| TransportError::from_boxed(TransportErrorKind::Body, error.into()))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the bytes: a login body holds the password.
        let form = match &self.inner {
            Inner::Empty => "empty",
            Inner::Full(_) => "full",
            Inner::Replayable { .. } => "replayable",
            Inner::Stream { .. } => "stream",
        };
        f.debug_struct("Body").field("form", &form).field("len", &self.len_hint()).finish()
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() { Self::empty() } else { Self::new(Inner::Full(bytes)) }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl From<&'static [u8]> for Body {
    fn from(bytes: &'static [u8]) -> Self {
        Bytes::from_static(bytes).into()
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn body_in_memory_is_taken_whole_up_to_the_limit_and_refused_beyond() {
        for (body, length) in [(Body::empty(), 0), (Body::from("four"), 4)] {
            assert_eq!(body.whole(length).map(|bytes| bytes.len()), Some(length));
            assert_eq!(length.checked_sub(1).and_then(|limit| body.whole(limit)), None);
        }
        let collect = |body: Body, limit| {
            let mut cx = Context::from_waker(std::task::Waker::noop());
            match Box::pin(body.collect(limit)).as_mut().poll(&mut cx) {
                Poll::Ready(outcome) => outcome,
                Poll::Pending => panic!("it is all there"),
            }
        };
        assert_eq!(collect(Body::from("four"), 4).expect("as long"), "four");
        let error = collect(Body::from("four"), 3).expect_err("longer");
        assert_eq!(error.kind(), TransportErrorKind::TooLarge);
    }

    #[test]
    fn factory_of_a_body_makes_it_once_for_each_attempt() {
        let made = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&made);
        let original = Body::replayable(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            Body::from("again")
        });
        for attempt in 1..4 {
            let mut body = original.try_clone().expect("it can be made again");
            assert_eq!(body.len_hint(), Some(5));
            assert!(!body.is_end_stream());
            let mut cx = Context::from_waker(std::task::Waker::noop());
            assert!(body.poll_chunk(&mut cx).is_ready());
            assert_eq!(made.load(Ordering::Relaxed), attempt);
        }
    }
}
