//! Where a request goes: at first, and after redirects.

use std::fmt;
use std::sync::Arc;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::response::Parts;
use http::{Method, StatusCode, Uri};

use super::spec::Spec;
use crate::contract::Body;
use crate::error::{Error, ErrorKind};
use crate::protocol::Target;
use crate::protocol::wire::{self, Endpoint};
use crate::shown::without_secrets;

/// How many redirects are followed.
const REDIRECT_LIMIT: u32 = 10;

/// The address of one request.
pub(super) struct Route {
    endpoint: Arc<Endpoint>,
    /// Worked out already, for the next attempt.
    uri: Option<Uri>,
    redirects: u32,
    /// It goes to the origin of the connection.
    at_home: bool,
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.uri.as_ref().map(|uri| without_secrets(&uri.to_string()).into_owned());
        f.debug_struct("Route")
            .field("uri", &shown)
            .field("redirects", &self.redirects)
            .field("at_home", &self.at_home)
            .finish_non_exhaustive()
    }
}

impl Route {
    /// Works the address out. What is wrong with it is noted in `spec`.
    pub(super) fn new(endpoint: &Arc<Endpoint>, spec: &mut Spec) -> Self {
        let endpoint = Arc::clone(endpoint);
        let (uri, at_home) = match endpoint.base.target(&spec.path, &spec.query) {
            Ok(Target { uri, same_origin }) => (Some(uri), same_origin),
            Err(error) => {
                spec.note_mistake(error);
                (None, true)
            }
        };
        if spec.authenticated && !at_home {
            let message = format!(
                "\"{}\" is not on {}: the session's token is not sent there; call \
                 without_auth() to send the request without it",
                without_secrets(&spec.path),
                endpoint.base.origin()
            );
            spec.note_mistake(Error::new(ErrorKind::Usage, message));
        }
        Self { endpoint, uri, redirects: 0, at_home }
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(super) fn shared_endpoint(&self) -> Arc<Endpoint> {
        Arc::clone(&self.endpoint)
    }

    pub(super) const fn is_at_home(&self) -> bool {
        self.at_home
    }

    /// Works the address of the next attempt out, if it is not at hand: that is cheaper than a copy
    /// for each request, of which most are sent once.
    pub(super) fn prepare(&mut self, spec: &Spec) -> Result<(), Error> {
        if self.uri.is_none() {
            self.uri = Some(self.endpoint.base.target(&spec.path, &spec.query)?.uri);
        }
        Ok(())
    }

    /// The address that was prepared.
    pub(super) fn take(&mut self) -> Uri {
        self.uri.take().unwrap_or_default()
    }

    /// Follows a redirect within the origin. A redirect to another origin is an error: the
    /// request carries the session's token. `spent` is whether the body cannot be sent again.
    /// Returns whether it has become a `GET` without one.
    pub(super) fn follow(
        &mut self,
        head: &Parts,
        spec: &mut Spec,
        spent: bool,
    ) -> Result<bool, Error> {
        let refused = || wire::redirected(head.status, &head.headers);
        let refuse = |why: &'static str| Err(refused().with_message(why));
        let Some(location) = head.headers.get(LOCATION).and_then(|value| value.to_str().ok())
        else {
            return refuse("the redirect has no target");
        };
        if self.redirects >= REDIRECT_LIMIT {
            return refuse("the server keeps redirecting: stopped after 10 times");
        }
        let from = self.endpoint.base.target(&spec.path, &spec.query)?.uri;
        let Ok(target) = self.endpoint.base.redirect(&from, location) else {
            return refuse("the redirect's target is not a valid address");
        };
        // Without the session's token, the origin to stay on is the one that was asked.
        let stays = target.same_origin
            || (!spec.authenticated
                && target.uri.scheme() == from.scheme()
                && target.uri.authority() == from.authority());
        if !stays {
            return Err(refused());
        }
        let rewritten = match head.status.as_u16() {
            303 => spec.method != Method::HEAD,
            301 | 302 => spec.method == Method::POST,
            _ => false,
        };
        if rewritten {
            spec.method = Method::GET;
            spec.body = Body::empty();
            spec.headers.remove(CONTENT_TYPE);
            spec.headers.remove(CONTENT_LENGTH);
        } else if spent {
            return refuse("the redirect asks for the body again, which can be sent only once");
        }
        self.redirects += 1;
        (spec.path, spec.query) = (target.uri.to_string(), String::new());
        Ok(rewritten)
    }
}

/// Whether a response asks to look elsewhere.
pub(super) fn is_redirect(head: &Parts) -> bool {
    let asks = |status: StatusCode| matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
    asks(head.status) && head.headers.contains_key(LOCATION)
}
