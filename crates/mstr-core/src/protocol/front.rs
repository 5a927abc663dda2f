//! Headers for identity-aware proxies, gateways and tracing in front of the server.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::wire;
use crate::contract::BoxError;
use crate::error::{Error, ErrorKind};
use crate::sync::{Mutex, lock};

/// Supplies headers for each request to the server, logins included.
///
/// For example a short-lived token for an identity-aware proxy, or a `traceparent`.
///
/// Implement it with [`async-trait`](https://docs.rs/async-trait), and pass it to
/// [`ConnectionBuilder::header_provider`](crate::ConnectionBuilder::header_provider). For a header that
/// never changes, [`ConnectionBuilder::header`](crate::ConnectionBuilder::header) is enough.
///
/// ```
/// # use mstr_core as mstr;
/// use std::sync::{Arc, RwLock};
///
/// use async_trait::async_trait;
/// use http::{HeaderMap, HeaderValue};
/// use mstr::{BoxError, Connection, HeaderProvider};
///
/// /// A token that another task of the program renews.
/// #[derive(Clone, Debug, Default)]
/// struct AccessToken(Arc<RwLock<String>>);
///
/// #[async_trait]
/// impl HeaderProvider for AccessToken {
///     async fn headers(&self) -> Result<HeaderMap, BoxError> {
///         let token = self.0.read().map_err(|_| "the renewing task has panicked")?;
///         let mut headers = HeaderMap::new();
///         headers.insert("x-access-token", HeaderValue::from_str(&token)?);
///         Ok(headers)
///     }
/// }
///
/// let token = AccessToken::default();
/// let builder = Connection::builder("https://env.example.com/MicroStrategyLibrary")
///     .header_provider(token.clone());
/// # drop(builder);
/// ```
///
/// - The headers are sent to the server of the base URL only. They are marked sensitive, and no error,
///   event or `Debug` shows them.
/// - A header that a request has already is not replaced. The headers of the session and the transport
///   cannot be supplied. A `Cookie` is added to those of the session.
/// - A provider must not wait for a call of the connection that asks it.
/// - A logout in the background is sent with the headers of the request before it.
#[async_trait]
pub trait HeaderProvider: fmt::Debug + Send + Sync + 'static {
    /// Returns the headers for one request.
    ///
    /// # Errors
    ///
    /// Any error fails the call before anything is sent, with the kind
    /// [`Credentials`](ErrorKind::Credentials); an [`Error`] or a
    /// [`TransportError`](crate::TransportError) keeps its own kind. A login, a renewal or a logout is
    /// tried again within the [`RetryPolicy`](crate::RetryPolicy), and then fails with
    /// [`Canceled`](ErrorKind::Canceled) and this error as its source.
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

/// The headers that a connection sends with each of its requests. Cheap to clone.
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

    /// The fixed headers, if there is no provider to ask.
    pub(crate) fn at_once(&self) -> Option<HeaderMap> {
        self.0.provider.is_none().then(|| self.0.fixed.clone())
    }

    /// The headers of the last request.
    pub(crate) fn last(&self) -> HeaderMap {
        lock(&self.0.last).clone()
    }

    /// Asks for the headers of the next request; `explain` classifies the provider's failure.
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
    let name = name.try_into().map_err(|_| refuse("a header has an invalid name".into()))?;
    // The value may be a secret.
    let mut value = value
        .try_into()
        .map_err(|_| refuse(format!("the header \"{name}\" has an invalid value")))?;
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
