//! The sans-IO machine of one application request.
//!
//! # Responsibilities
//!
//! Decides what one request needs before it may be sent, what its answer means, whether it is sent
//! again and when, which redirects are followed, and how long all of it may take. It passes on to
//! the session, in the same step, what a response shows about it. It does no I/O and reads no clock.
//!
//! # An attempt
//!
//! ```text
//!   begin ──► a place? ──► the store? ──► a grant ──► a turn? ──► front headers? ──► send
//!     ▲                                    ▲  └──────────┘                            │
//!     │ wait                               asked again with the turn                  ▼
//!     └───────────────── again? ◄──────────────────────────── the head, an error's beginning
//!                          │ no
//!                          ▼
//!                  the response, or an error
//! ```
//!
//! Steps with a question mark are left out if the connection does not need them. The table of each
//! input in each state is generated from the machine: `docs/call-machine.md` in the repository.
//!
//! # Driving it
//!
//! Each input returns the next [`Output`]; carry it out, give the machine the input that it names,
//! and so on until [`Output::Deliver`] or [`Output::Fail`]. Place and turn are given back then, and
//! with each [`Output::Wait`]. An input that was not asked for ends the call with
//! [`Usage`](crate::ErrorKind::Usage). A call may be dropped at any time.
//!
//! The session has outputs of its own after [`Call::ask`] and [`Call::handle_head`]: logouts in the
//! background, for example. Take them each time. Session and call are made of the same settings.
//!
//! ```
//! use std::time::{Duration, Instant};
//!
//! use bytes::Bytes;
//! use http::HeaderMap;
//! # mod mstr { pub use mstr_core::*; pub mod core { pub use mstr_core::*; } }
//! use mstr::core::call::{Call, Output, Spec};
//! use mstr::core::session::{Access, Session, SessionConfig};
//! use mstr::{BaseUrl, Body, Credentials, Error};
//!
//! # fn send(request: &http::Request<Body>) -> http::response::Parts {
//! #     assert_eq!(request.headers()["x-mstr-authtoken"], "t0k3n");
//! #     http::Response::new(()).into_parts().0
//! # }
//! # fn read(limit: usize) -> Vec<u8> { Vec::with_capacity(limit) }
//! # fn sleep_until(_: Instant) {}
//! # fn open(session: &mut Session, now: Instant) {
//! #     use mstr_core::session::Output;
//! #     let Output::Send(login) = session.poll_output() else { panic!() };
//! #     let answer = http::Response::builder().status(204).header("X-MSTR-AuthToken", "t0k3n");
//! #     session.handle_response(login.id, Ok(answer.body(Bytes::new()).unwrap()), now);
//! # }
//! let base = BaseUrl::parse("https://env.example.com/MicroStrategyLibrary")?;
//! let config = SessionConfig::new(base).checks(false);
//! let credentials = Credentials::standard("alice", "secret");
//! let mut session = Session::new(config.clone(), Some(credentials))?;
//! let now = Instant::now();
//!
//! let mut call = Call::new(Spec::new(http::Method::GET, "/api/projects"), &config, 7, now);
//! let mut output = call.proceed(now);
//! let mut head = http::Response::new(()).into_parts().0;
//! let mut beginning = Vec::new();
//! let head = loop {
//!     output = match output {
//!         Output::NeedGrant => match call.ask(&mut session, now) {
//!             Access::Granted(grant) => call.handle_access(Ok(grant), None, now),
//!             Access::Denied(error) => call.handle_access(Err(error), None, now),
//!             Access::Pending => {
//!                 open(&mut session, now); // drive the session, then ask again
//!                 Output::NeedGrant
//!             }
//!         },
//!         Output::Send => {
//!             head = send(&call.request()?);
//!             call.handle_head(&head, None, &mut session, now)
//!         }
//!         Output::ReadError { limit } => {
//!             beginning = read(limit);
//!             call.handle_head(&head, Some(&beginning), &mut session, now)
//!         }
//!         Output::AwaitVerdict => {
//!             open(&mut session, now); // drive the session, then judge again
//!             call.handle_head(&head, Some(&beginning), &mut session, now)
//!         }
//!         Output::Wait(until) => {
//!             sleep_until(until);
//!             call.proceed(now)
//!         }
//!         // One caller has every turn, there is no limit and no store.
//!         Output::TakeTurn | Output::TakePlace | Output::ConsultStore => call.proceed(now),
//!         Output::FrontHeaders => call.handle_front_headers(Ok(HeaderMap::new()), now),
//!         Output::Deliver => break head,
//!         Output::Fail(error) => return Err(error),
//!     };
//! };
//! assert_eq!(head.status, 200);
//! # Ok::<(), Error>(())
//! ```

mod machine;
mod messages;
mod repeats;
mod route;
mod spec;
#[cfg(test)]
mod tests;

pub use machine::Call;
pub use messages::{Output, Wants};
pub use spec::Spec;
pub(crate) use spec::{Description, ProjectChoice};
