//! Both transports in both drivers.

use std::time::Duration;

use mstr::hyper::HyperTransport;
use mstr::hyper::blocking::HyperBlocking;
use mstr::{
    BlockingTransport, Connection, ConnectionBuilder, Error, NoTransport, RetryPolicy, Timeouts,
    Transport, blocking,
};
use mstr_isahc::IsahcTransport;
use mstr_isahc::blocking::IsahcBlocking;

/// The limit of a caller that sets one.
const LIMIT: usize = 1024 * 1024;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Client {
    HyperTasks,
    HyperThreads,
    IsahcTasks,
    IsahcThreads,
}

/// A caller's action.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// Opens a connection that checks its session.
    Connect,
    /// Opens a connection for a project that it names.
    Open,
    /// Reads an answer whole.
    Bytes,
    /// The same with a limit.
    Limited,
    Projects,
    User,
    Session,
    Renew,
    Close,
}

impl Client {
    /// The test that is about it.
    pub(crate) const fn test(self) -> &'static str {
        match self {
            Self::HyperTasks => "hostile_servers_meet_hyper_in_tasks",
            Self::HyperThreads => "hostile_servers_meet_hyper_on_threads",
            Self::IsahcTasks => "hostile_servers_meet_isahc_in_tasks",
            Self::IsahcThreads => "hostile_servers_meet_isahc_on_threads",
        }
    }

    /// Does it; what there is of the answer, in bytes or entries.
    pub(crate) fn run(self, url: &str, act: Act) -> Result<usize, Error> {
        match self {
            Self::HyperTasks => {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.unwrap().block_on(async {
                    tasks(url, act, HyperTransport::builder().http1_only().build().unwrap()).await
                })
            }
            Self::IsahcTasks => {
                let transport = IsahcTransport::builder().http1_only().build().unwrap();
                futures_executor::block_on(tasks(url, act, transport))
            }
            Self::HyperThreads => {
                let builder = HyperTransport::builder().http1_only();
                threads(url, act, HyperBlocking::from_builder(builder).unwrap())
            }
            Self::IsahcThreads => {
                let builder = IsahcTransport::builder().http1_only();
                threads(url, act, IsahcBlocking::from_builder(builder).unwrap())
            }
        }
    }
}

fn described(builder: ConnectionBuilder<NoTransport>, act: Act) -> ConnectionBuilder<NoTransport> {
    let limit = Duration::from_millis(500);
    let timeouts = Timeouts::new().attempt(limit).idle_body(limit).total(Some(limit));
    let builder = match act {
        Act::Open => builder.project_name("Sales"),
        _ => builder.checks(matches!(act, Act::Connect)),
    };
    builder.standard("alice", "secret").timeouts(timeouts).retry(RetryPolicy::never())
}

async fn tasks(url: &str, act: Act, transport: impl Transport) -> Result<usize, Error> {
    let builder = described(Connection::builder(url), act);
    let connection = builder.transport(transport).connect().await?;
    let get = || connection.get("/api/x").send();
    match act {
        Act::Connect | Act::Open => Ok(0),
        Act::Bytes => Ok(get().await?.bytes().await?.len()),
        Act::Limited => Ok(get().await?.bytes_limited(LIMIT).await?.len()),
        Act::Projects => Ok(connection.fetch_projects().await?.len()),
        Act::User => connection.fetch_user().await.map(|_| 1),
        Act::Session => connection.fetch_session().await.map(|_| 1),
        Act::Renew => connection.renew().await.map(|()| 0),
        Act::Close => {
            drop(connection.close().await);
            Ok(0)
        }
    }
}

fn threads(url: &str, act: Act, transport: impl BlockingTransport) -> Result<usize, Error> {
    let builder = described(blocking::Connection::builder(url), act);
    let connection = builder.blocking_transport(transport).connect()?;
    let get = || connection.get("/api/x").send();
    match act {
        Act::Connect | Act::Open => Ok(0),
        Act::Bytes => Ok(get()?.bytes()?.len()),
        Act::Limited => Ok(get()?.bytes_limited(LIMIT)?.len()),
        Act::Projects => Ok(connection.fetch_projects()?.len()),
        Act::User => connection.fetch_user().map(|_| 1),
        Act::Session => connection.fetch_session().map(|_| 1),
        Act::Renew => connection.renew().map(|()| 0),
        Act::Close => {
            drop(connection.close());
            Ok(0)
        }
    }
}
