//! Headers for what stands in front of the server: identity-aware proxies, gateways, tracing.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::wire;
use crate::contract::BoxError;
use crate::error::{Error, ErrorKind};
use crate::sync::{Mutex, lock};

/// Supplies headers before each request to the server, the session's own included: a token that an
/// identity-aware proxy wants and that is soon out of date, or a `traceparent`.
///
/// They go to the server of the base URL only, as the session's token does; they are marked
/// sensitive, and no error, event or `Debug` shows them. Headers that a request has already stay as
/// they are, and those of the session and the transport cannot be supplied. A `Cookie` is added to
/// the session's own.
///
/// A logout in the background, of a session that was replaced, carries those of the request before
/// it; so does, of a blocking connection, that of the last handle. A provider must not wait for a call
/// of the connection that asks it.
///
/// ```
/// use http::{HeaderMap, HeaderValue};
/// use mstr_core::{BoxError, HeaderProvider};
///
/// #[derive(Debug)]
/// struct AccessToken;
///
/// #[async_trait::async_trait]
/// impl HeaderProvider for AccessToken {
///     async fn headers(&self) -> Result<HeaderMap, BoxError> {
///         let token = "read it from a file or a cache here";
///         let mut headers = HeaderMap::new();
///         headers.insert("proxy-authorization-token", HeaderValue::from_str(token)?);
///         Ok(headers)
///     }
/// }
/// ```
#[async_trait]
pub trait HeaderProvider: fmt::Debug + Send + Sync + 'static {
    /// Returns the headers for one request.
    ///
    /// # Errors
    ///
    /// Any error fails a call, before anything is sent: with the kind
    /// [`Credentials`](ErrorKind::Credentials), or its own if it is an [`Error`] or a
    /// [`TransportError`](crate::TransportError). A login, a renewal or a logout is tried again as after
    /// a failure that passes, and then fails as [`Canceled`](ErrorKind::Canceled), with it as the cause.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the call is, and when it takes longer than
    /// [`Timeouts::attempt`](crate::Timeouts::attempt).
    ///
    /// # Blocking code
    ///
    /// The future is polled by the thread that makes the call.
    async fn headers(&self) -> Result<HeaderMap, BoxError>;
}

/// What a connection sends with each of its requests. Cheap to clone.
#[derive(Clone)]
pub(crate) struct FrontHeaders(Arc<Inner>);

struct Inner {
    fixed: HeaderMap,
    provider: Option<Arc<dyn HeaderProvider>>,
    last: Mutex<HeaderMap>,
}

impl FrontHeaders {
    /// `None` if there is nothing to send.
    pub(crate) fn new(fixed: HeaderMap, provider: Option<Arc<dyn HeaderProvider>>) -> Option<Self> {
        let last = Mutex::new(HeaderMap::new());
        (!fixed.is_empty() || provider.is_some())
            .then(|| Self(Arc::new(Inner { fixed, provider, last })))
    }

    /// Those that need no asking, if that is all.
    pub(crate) fn at_once(&self) -> Option<HeaderMap> {
        self.0.provider.is_none().then(|| self.0.fixed.clone())
    }

    /// Those of the request before.
    pub(crate) fn last(&self) -> HeaderMap {
        lock(&self.0.last).clone()
    }

    /// Asks for those of the next request; `explain` says what the provider's failure means.
    pub(crate) async fn ask(&self, explain: fn(BoxError) -> Error) -> Result<HeaderMap, Error> {
        let mut headers = self.0.fixed.clone();
        if let Some(provider) = &self.0.provider {
            let supplied = provider.headers().await.map_err(explain)?;
            for name in supplied.keys() {
                headers.remove(name);
            }
            // Further values of a name come without it.
            let mut name = None;
            for (next, value) in supplied {
                name = next.or(name);
                if let Some(name) = &name {
                    headers.append(name, value);
                }
            }
            lock(&self.0.last).clone_from(&headers);
        }
        Ok(headers)
    }
}

/// A header of a fixed set, or why it cannot be one.
pub(crate) fn fixed<N, V>(name: N, value: V) -> Result<(HeaderName, HeaderValue), Error>
where
    N: TryInto<HeaderName>,
    V: TryInto<HeaderValue>,
{
    let refuse = |why: String| Error::new(ErrorKind::Config, why);
    let name = name.try_into().map_err(|_| refuse("a header has a name it cannot have".into()))?;
    // The value may be a secret.
    let mut value = value
        .try_into()
        .map_err(|_| refuse(format!("the header \"{name}\" has a value it cannot have")))?;
    if wire::is_own(&name) {
        return Err(refuse(format!(
            "the header \"{name}\" belongs to the session or the transport and cannot be set"
        )));
    }
    value.set_sensitive(true);
    Ok((name, value))
}

impl fmt::Debug for FrontHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrontHeaders").field("provider", &self.0.provider).finish_non_exhaustive()
    }
}
