//! The description of a request, which both drivers' request builders share.

use std::borrow::Cow;
use std::time::Instant;

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use serde::Serialize;

use super::query;
use crate::call::{ProjectChoice, Spec};
use crate::contract::Body;
use crate::error::{Error, ErrorKind};
use crate::protocol::{Project, ProjectRef, resolve_project, wire};

/// A request that is being described.
#[derive(Debug)]
pub(crate) struct Described {
    /// It is large, and is handed from one to the next until it is sent.
    pub(crate) spec: Box<Spec>,
    /// The name of the project it is about, which has to be looked up.
    pub(crate) named_project: Option<String>,
}

impl Described {
    pub(crate) const fn new(spec: Box<Spec>) -> Self {
        Self { spec, named_project: None }
    }

    /// The same once more; `None` if its body can be sent only once.
    pub(crate) fn try_clone(&self) -> Option<Self> {
        let replayable = self.spec.body.is_replayable();
        replayable
            .then(|| Self { spec: self.spec.another(), named_project: self.named_project.clone() })
    }

    pub(crate) fn query<T: Serialize + ?Sized>(&mut self, parameters: &T) {
        match query::write(parameters) {
            Ok(query) => {
                if !self.spec.query.is_empty() && !query.is_empty() {
                    self.spec.query.push('&');
                }
                self.spec.query.push_str(&query);
            }
            Err(error) => self.spec.note_mistake(error),
        }
    }

    pub(crate) fn json<T: Serialize + ?Sized>(&mut self, value: &T) {
        match serde_json::to_vec(value) {
            Ok(json) => self.body(json.into(), wire::JSON),
            Err(error) => self
                .spec
                .note_mistake(usage("the value cannot be written as JSON").with_source(error)),
        }
    }

    pub(crate) fn form<T: Serialize + ?Sized>(&mut self, value: &T) {
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        match serde_html_form::to_string(value) {
            Ok(text) => self.body(text.into(), form),
            Err(error) => self
                .spec
                .note_mistake(usage("the value cannot be written as a form").with_source(error)),
        }
    }

    /// Sends this. What it is counts unless the caller has said so.
    pub(crate) fn body(&mut self, body: Body, content_type: HeaderValue) {
        self.spec.body = body;
        if !self.spec.content_type_given {
            self.spec.headers.insert(CONTENT_TYPE, content_type);
        }
    }

    pub(crate) fn header<N, V>(&mut self, name: N, value: V)
    where
        N: TryInto<HeaderName>,
        V: TryInto<HeaderValue>,
    {
        match (name.try_into(), value.try_into()) {
            (Ok(name), Ok(value)) if name == CONTENT_TYPE => {
                self.spec.content_type_given = true;
                self.spec.headers.insert(name, value);
            }
            (Ok(name), Ok(value)) => {
                if name == wire::PROJECT_ID {
                    self.named_project = None;
                }
                self.spec.header(name, value);
            }
            (Ok(name), Err(_)) => {
                self.spec
                    .note_mistake(usage(format!("the header \"{name}\" has an invalid value")));
            }
            (Err(_), _) => self.spec.note_mistake(usage("a header has an invalid name")),
        }
    }

    pub(crate) fn project(&mut self, project: ProjectRef) {
        self.without_project();
        match project {
            ProjectRef::Id(id) => {
                self.spec.project = ProjectChoice::Header(wire::project_header(&id));
            }
            ProjectRef::Name(name) => self.named_project = Some(name),
        }
    }

    pub(crate) fn without_project(&mut self) {
        self.named_project = None;
        self.spec.headers.remove(wire::PROJECT_ID);
        self.spec.project = ProjectChoice::None;
    }

    /// The project that has to be looked up before the request can be sent. A request that goes
    /// without the session is about none, and one that is wrong is not sent.
    pub(crate) fn wanted_project(&self) -> Option<ProjectRef> {
        let name = self.named_project.as_ref()?;
        let wanted = self.spec.authenticated && self.spec.mistake.is_none();
        wanted.then(|| ProjectRef::Name(name.clone()))
    }

    /// Sends it about the one of `projects` that is wanted.
    pub(crate) fn choose(
        &mut self,
        projects: &[Project],
        wanted: &ProjectRef,
    ) -> Result<(), Error> {
        self.project(resolve_project(projects, wanted)?.id.into());
        Ok(())
    }

    /// Counts the request's time from `begun` on.
    pub(crate) const fn begun_at(&mut self, begun: Instant) {
        self.spec.begun = Some(begun);
    }
}

fn usage(message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Usage, message)
}

/// The methods of a request builder that describe the request. They and their documentation are the
/// same for tasks and threads.
macro_rules! request_methods {
    ($builder:ident) => {
        impl $builder {
            /// The same request once more, if its body can be sent more than once.
            #[must_use]
            pub fn try_clone(&self) -> Option<Self> {
                let described = self.described.try_clone()?;
                Some(Self { handle: self.handle.clone(), described })
            }

            /// Adds query parameters: a struct, a map or a list of pairs. A list as a value repeats the
            /// key; `None` and null are left out.
            ///
            /// ```
            /// # use mstr_core as mstr;
            /// # fn run(connection: &mstr::Connection) -> mstr::RequestBuilder {
            /// #[derive(serde::Serialize)]
            /// struct Search<'a> {
            ///     name: &'a str,
            ///     r#type: Vec<u32>,
            ///     root: Option<&'a str>,
            /// }
            ///
            /// let search = Search { name: "sales", r#type: vec![3, 55], root: None };
            /// // /api/searches/results?name=sales&type=3&type=55
            /// connection.get("/api/searches/results").query(&search)
            /// # }
            /// ```
            pub fn query<T: Serialize + ?Sized>(mut self, parameters: &T) -> Self {
                self.described.query(parameters);
                self
            }

            /// Sends `value` as JSON, with `Content-Type: application/json` unless the request has
            /// another one.
            pub fn json<T: Serialize + ?Sized>(mut self, value: &T) -> Self {
                self.described.json(value);
                self
            }

            /// Sends `value` as an HTML form, with `Content-Type: application/x-www-form-urlencoded`
            /// unless the request has another one.
            pub fn form<T: Serialize + ?Sized>(mut self, value: &T) -> Self {
                self.described.form(value);
                self
            }

            /// Sends these bytes or this stream, with `Content-Type: application/octet-stream` unless the
            /// request has another one. See [`Body`] for files and readers.
            ///
            /// A stream has to produce data until the server has answered. Some servers replace the
            /// session's cookie with every answer, and then calls are sent one at a time. With such a
            /// server, a stream that produces nothing for
            /// [`Timeouts::idle_body`](crate::Timeouts::idle_body) fails, because it blocks the calls of
            /// all other tasks. A stream that is fed by the task that also waits for the response can
            /// run into this.
            pub fn body(mut self, body: impl Into<Body>) -> Self {
                let bytes = HeaderValue::from_static("application/octet-stream");
                self.described.body(body.into(), bytes);
                self
            }

            /// Adds a header. `Content-Type`, `Accept` and `User-Agent` replace the defaults, and
            /// `X-MSTR-ProjectID` replaces the connection's project. The headers of the session, such as
            /// `X-MSTR-AuthToken`, cannot be set.
            pub fn header<N, V>(mut self, name: N, value: V) -> Self
            where
                N: TryInto<HeaderName>,
                V: TryInto<HeaderValue>,
            {
                self.described.header(name, value);
                self
            }

            /// Adds all of these headers; see [`header`](Self::header).
            pub fn headers(mut self, headers: HeaderMap) -> Self {
                let mut last = None;
                for (name, value) in headers {
                    // A name stands at its first value only.
                    last = name.or(last);
                    if let Some(name) = &last {
                        self.described.header(name, value);
                    }
                }
                self
            }

            /// Limits this call as a whole: waiting for a login, all attempts, and the body if it is read
            /// whole. Default 5 minutes. One attempt may take as long, unless
            /// [`Timeouts::attempt`](crate::Timeouts::attempt) is set.
            pub fn timeout(mut self, total: Duration) -> Self {
                self.described.spec.timeouts = self.described.spec.timeouts.total(Some(total));
                self
            }

            /// Replaces all time limits of this call; see [`Timeouts`] for the defaults.
            pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
                self.described.spec.timeouts = timeouts;
                self
            }

            /// Replaces the retry policy of this call; see [`RetryPolicy`] for the defaults.
            pub fn retry(mut self, policy: RetryPolicy) -> Self {
                self.described.spec.retry = policy;
                self
            }

            /// Sends the request about this project instead of the connection's own. A name is looked up
            /// first, with a request that counts against this call's time. For more than one call, use
            /// [`select_project`](super::Connection::select_project), which looks it up once.
            pub fn project(mut self, project: impl Into<ProjectRef>) -> Self {
                self.described.project(project.into());
                self
            }

            /// Sends the request about no project.
            pub fn without_project(mut self) -> Self {
                self.described.without_project();
                self
            }

            /// Sends the request without the session: no token, no cookies, no project. It needs no login
            /// and may go to another host.
            pub fn without_auth(mut self) -> Self {
                self.described.spec.authenticated = false;
                self
            }

            /// States whether the request can be repeated without harm. Only such a request is repeated
            /// after a failure that leaves open whether the server has carried it out.
            ///
            /// Default: true for GET, HEAD and OPTIONS, false for all other methods, because a repeated
            /// PUT or DELETE can undo a change that was made in between.
            pub fn idempotent(mut self, idempotent: bool) -> Self {
                self.described.spec.idempotent = Some(idempotent);
                self
            }
        }
    };
}

pub(crate) use request_methods;
