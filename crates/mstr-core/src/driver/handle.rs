//! The common part of both connections: a handle on a core, with its own project.

use std::fmt;
use std::sync::Arc;

use http::Method;

use super::core::{Core, Driver};
use super::scope::Scope;
use crate::call::{ProjectChoice, Spec};
use crate::error::Error;
use crate::protocol::{Project, ProjectRef, resolve_project};

/// A handle. The last one of a core closes what is left open.
pub(super) struct Handle<D: Driver> {
    pub(super) core: Arc<Core<D>>,
    _last: Arc<Last<D>>,
    project: Selected,
}

/// Which project a handle's requests are about.
#[derive(Clone)]
enum Selected {
    /// The one the connection was opened for.
    Default,
    None,
    Scope(Arc<Scope>),
}

/// Closes what the last handle leaves behind.
struct Last<D: Driver>(Arc<Core<D>>);

impl<D: Driver> Drop for Last<D> {
    fn drop(&mut self) {
        self.0.lock().timeline.let_go();
        D::release(&self.0);
    }
}

impl<D: Driver> Handle<D> {
    pub(super) fn new(core: Arc<Core<D>>) -> Self {
        Self { _last: Arc::new(Last(Arc::clone(&core))), core, project: Selected::Default }
    }

    /// A request of this handle.
    pub(super) fn spec(&self, method: Method, path: impl Into<String>) -> Box<Spec> {
        let mut spec = Box::new(Spec::new(method, path));
        self.core.set_defaults(&mut spec);
        spec.project = match &self.project {
            Selected::Default => ProjectChoice::Default,
            Selected::None => ProjectChoice::None,
            Selected::Scope(scope) => ProjectChoice::Header(scope.header.clone()),
        };
        spec
    }

    pub(super) fn project(&self) -> Option<&Project> {
        match &self.project {
            Selected::Default => self.core.project().map(|scope| &*scope.project),
            Selected::None => None,
            Selected::Scope(scope) => Some(&scope.project),
        }
    }

    /// The same session with the one of `projects` that is wanted.
    pub(super) fn scoped(&self, projects: &[Project], wanted: &ProjectRef) -> Result<Self, Error> {
        let scope = Scope::new(Arc::new(resolve_project(projects, wanted)?));
        Ok(Self { project: Selected::Scope(Arc::new(scope)), ..self.clone() })
    }

    pub(super) fn without_project(&self) -> Self {
        Self { project: Selected::None, ..self.clone() }
    }
}

impl<D: Driver> Clone for Handle<D> {
    fn clone(&self) -> Self {
        Self {
            core: Arc::clone(&self.core),
            _last: Arc::clone(&self._last),
            project: self.project.clone(),
        }
    }
}

impl<D: Driver> fmt::Debug for Handle<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.core.fmt(f)
    }
}

/// The methods of a connection that send nothing and wait for nothing. They and their documentation
/// are the same for tasks and threads.
macro_rules! common_methods {
    ($connection:ident) => {
        impl $connection {
            /// Begins a request. Nothing is sent before [`send`](RequestBuilder::send).
            ///
            /// `path` is below the base URL: `"/api/projects"` is sent to
            /// `https://env.example.com/MicroStrategyLibrary/api/projects`. An absolute URL has to
            /// have the origin of the base URL, unless the request is sent
            /// [without the session](RequestBuilder::without_auth).
            pub fn request(&self, method: Method, path: impl Into<String>) -> RequestBuilder {
                RequestBuilder::new(self.0.clone(), self.0.spec(method, path))
            }

            /// Begins a GET request; see [`request`](Self::request).
            pub fn get(&self, path: impl Into<String>) -> RequestBuilder {
                self.request(Method::GET, path)
            }

            /// Begins a POST request; see [`request`](Self::request).
            pub fn post(&self, path: impl Into<String>) -> RequestBuilder {
                self.request(Method::POST, path)
            }

            /// Begins a PUT request; see [`request`](Self::request).
            pub fn put(&self, path: impl Into<String>) -> RequestBuilder {
                self.request(Method::PUT, path)
            }

            /// Begins a PATCH request; see [`request`](Self::request).
            pub fn patch(&self, path: impl Into<String>) -> RequestBuilder {
                self.request(Method::PATCH, path)
            }

            /// Begins a DELETE request; see [`request`](Self::request).
            pub fn delete(&self, path: impl Into<String>) -> RequestBuilder {
                self.request(Method::DELETE, path)
            }

            /// Begins a HEAD request; see [`request`](Self::request).
            pub fn head(&self, path: impl Into<String>) -> RequestBuilder {
                self.request(Method::HEAD, path)
            }

            /// The project that the requests of this handle are about. Sends no request: the project
            /// of the builder is `None` here until the connection has been opened.
            #[must_use]
            pub fn project(&self) -> Option<&Project> {
                self.0.project()
            }

            /// Returns a new handle on the same session, whose requests are about no project.
            #[must_use]
            pub fn without_project(&self) -> Self {
                Self(self.0.without_project())
            }

            /// The address of the server.
            #[must_use]
            pub fn base_url(&self) -> &BaseUrl {
                &self.0.core.endpoint.base
            }

            /// The name of the user who logs in; `None` for anonymous, API token and borrowed
            /// sessions. With a credential provider it is known only while a login is under way.
            #[must_use]
            pub fn username(&self) -> Option<String> {
                self.0.core.look(|session| session.username().map(str::to_owned))
            }

            /// The login mode; `None` for a borrowed session.
            #[must_use]
            pub fn login_mode(&self) -> Option<LoginMode> {
                self.0.core.look(Session::login_mode)
            }

            /// What this connection has done lately, and why: a snapshot.
            #[must_use]
            pub fn timeline(&self) -> Timeline {
                self.0.core.timeline()
            }

            /// How many sessions this connection has opened so far; `None` before the first.
            #[must_use]
            pub fn generation(&self) -> Option<Generation> {
                self.0.core.look(Session::generation)
            }

            /// The session's token in clear, for another tool; `None` while no session is open.
            ///
            /// A program that has the token and the cookies acts as this user. The value is wiped from
            /// memory when it is dropped.
            #[must_use]
            pub fn expose_token(&self) -> Option<ExposedToken> {
                self.0.core.look(Session::expose_token)
            }

            /// Subscribes to what happens to the session from now on: logins, renewals, losses.
            #[must_use]
            pub fn events(&self) -> Events {
                self.0.core.subscribe()
            }

            /// Replaces the credentials; with `None`, the provider is asked again. The next call logs
            /// in with them, also if the server has refused the former ones. An open session is
            /// logged out in the background.
            pub fn reset_credentials(&self, credentials: Option<Credentials>) {
                self.0.core.reset(credentials);
            }
        }

        impl fmt::Debug for $connection {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

pub(super) use common_methods;
