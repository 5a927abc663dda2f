//! A service that acts for many users: each user's identity token opens a borrowed session.
//!
//! ```text
//! cargo run --example many_users
//! ```
//!
//! - one transport for all users, with a limit of connections to the server;
//! - so many requests of users at a time, the others wait for their turn;
//! - a user's connection is kept while it is used, and closed when it was idle for some time;
//! - what fails because the borrowed session has ended needs a new token from the user.
//!
//! It runs against a fake server in the process. There, a portal that each user is logged in to
//! stands for what gives the service its tokens. It ends with "sessions still open on the server: 0".
//! With `MSTR_BASE_URL` and the other variables of `Connection::from_env` the user that they name is
//! the portal's only one.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::collections::HashMap;
use std::error::Error as StdError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mstr::hyper::HyperTransport;
use mstr::prelude::*;
use mstr::{IdentityToken, ProxyConfig, TlsConfig};
use mstr_fake::loopback::HttpServer;
use mstr_fake::{Purpose, Server};
use tokio::sync::{OnceCell, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// How many requests of users are served at a time. The others wait for their turn.
const AT_ONCE: usize = 4;
/// How many connections the server gets, whatever the number of users.
const CONNECTIONS: usize = 8;
/// After how long a user's connection is closed. Some minutes in a real service.
const IDLE: Duration = Duration::from_millis(500);

/// What serves the users.
struct Service {
    base_url: String,
    transport: HyperTransport,
    places: Semaphore,
    users: Mutex<HashMap<String, Arc<Seat>>>,
}

/// A user's place in the cache. A call that uses it holds a clone; the cache has the last one.
struct Seat {
    /// Opened by the first call; calls that come meanwhile wait for it.
    connection: OnceCell<Connection>,
    last_used: Mutex<Instant>,
}

impl Service {
    fn new(base_url: &str, transport: HyperTransport) -> Arc<Self> {
        let places = Semaphore::new(AT_ONCE);
        Arc::new(Self { base_url: base_url.to_owned(), transport, places, users: Mutex::default() })
    }

    /// Does `work` for a user. `token` is asked for only if the user has no connection: a token
    /// works once.
    ///
    /// `user` is the key of the cache, and has to be who the caller has found the user to be: a name
    /// out of a request would open the session of another.
    ///
    /// An error of the kind `SessionLost` means that the user has logged out, or was idle for too
    /// long: a borrowed session is not replaced. The next call takes a new token.
    async fn run<T>(
        &self,
        user: &str,
        token: impl AsyncFnOnce() -> Result<IdentityToken, Error>,
        work: impl AsyncFnOnce(&Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        // It is never closed, so there is always a place.
        let _place = self.places.acquire().await;
        let seat = self.seat(user);
        let open = async || {
            Connection::builder(&self.base_url)
                .identity_token(token().await?)
                .transport(self.transport.clone())
                .user_agent("many-users/1.0")
                .connect()
                .await
        };
        let done = match seat.connection.get_or_try_init(open).await {
            Ok(connection) => work(connection).await,
            Err(error) => Err(error),
        };
        if let Err(error) = &done
            && error.kind() == ErrorKind::SessionLost
        {
            self.forget(user, &seat);
        }
        *lock(&seat.last_used) = Instant::now();
        done
    }

    fn seat(&self, user: &str) -> Arc<Seat> {
        let mut users = lock(&self.users);
        let new = || Seat { connection: OnceCell::new(), last_used: Mutex::new(Instant::now()) };
        Arc::clone(users.entry(user.to_owned()).or_insert_with(|| Arc::new(new())))
    }

    /// Takes this seat out of the cache, unless another call has replaced it.
    fn forget(&self, user: &str, seat: &Arc<Seat>) {
        let mut users = lock(&self.users);
        if users.get(user).is_some_and(|current| Arc::ptr_eq(current, seat)) {
            users.remove(user);
        }
    }

    /// Closes, now and then, what was not used for a while. Never ends.
    async fn sweep(self: Arc<Self>) {
        loop {
            sleep(IDLE / 4).await;
            let now = Instant::now();
            // Taken out under the lock: a call that comes now gets a new seat. A seat that the cache
            // alone holds is used by no call.
            let is_idle = |_: &String, seat: &mut Arc<Seat>| {
                Arc::strong_count(seat) == 1 && now - *lock(&seat.last_used) >= IDLE
            };
            let idle: Vec<_> = lock(&self.users).extract_if(is_idle).collect();
            close(idle).await;
        }
    }

    /// Closes every connection. Calls under way fail with the kind `Closed`.
    async fn close(&self) {
        let all: Vec<_> = lock(&self.users).drain().collect();
        close(all).await;
    }

    fn cached(&self) -> usize {
        lock(&self.users).len()
    }
}

/// Gives borrowed sessions up. Their owners stay logged in: `close_borrowed` would log them out.
async fn close(seats: Vec<(String, Arc<Seat>)>) {
    for (_, seat) in seats {
        if let Some(connection) = seat.connection.get() {
            connection.close().await;
        }
    }
}

/// No lock of these is held across an await, nor can one be poisoned in a way that matters.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    let transport = HyperTransport::builder()
        .max_connections_per_host(CONNECTIONS)
        .tls(TlsConfig::from_env())
        .proxy(ProxyConfig::from_env())
        .build()?;
    if std::env::var_os("MSTR_BASE_URL").is_some() {
        let portal = Connection::from_env()?.transport(transport.clone()).connect().await?;
        let service = Service::new(portal.base_url().as_ref(), transport);
        let name = portal.username().unwrap_or_else(|| "user".to_owned());
        let toured = tour(&service, &[(name, portal.clone())], None).await;
        service.close().await;
        portal.close().await;
        return Ok(toured?);
    }

    println!("no MSTR_BASE_URL, so a fake server is started");
    let names = ["ann", "bob", "cid", "dan", "eve", "fay"];
    let model = names.iter().fold(Server::builder(), |model, name| model.user(name, "secret"));
    let server = HttpServer::start(model.build())?;
    let mut portal = Vec::new();
    for name in names {
        let connection = Connection::builder(server.base_url())
            .standard(name, "secret")
            .transport(transport.clone())
            .connect()
            .await?;
        portal.push((name.to_owned(), connection));
    }
    let service = Service::new(server.base_url(), transport);
    let toured = tour(&service, &portal, Some(&server)).await;
    service.close().await;
    for (_, connection) in &portal {
        connection.close().await;
    }
    toured?;
    let (delegations, open) =
        server.server(|server| (server.journal().count(Purpose::Delegate), server.open_sessions()));
    // One for each user, and one for each that came back; more where the machine is so slow that a
    // user is idle between two requests.
    assert!(delegations >= names.len() + 2, "{delegations} delegations");
    assert_eq!(open, 0, "the service or the portal has left sessions on the server");
    println!("sessions still open on the server: {open}");
    Ok(())
}

/// Three requests of each user at once, a quiet time, a user who comes back, and one whose session
/// has ended.
async fn tour(
    service: &Arc<Service>,
    portal: &[(String, Connection)],
    fake: Option<&HttpServer>,
) -> Result<(), Error> {
    // In a set, so that it ends with this function.
    let mut sweeping = JoinSet::new();
    sweeping.spawn(Arc::clone(service).sweep());

    let mut requests = JoinSet::new();
    for (user, at_portal) in portal.iter().cycle().take(3 * portal.len()) {
        let (service, user, at_portal) = (Arc::clone(service), user.clone(), at_portal.clone());
        requests.spawn(async move { projects_of(&service, &user, &at_portal).await });
    }
    for done in requests.join_all().await {
        done?;
    }
    println!("{} users have a connection", service.cached());

    while service.cached() > 0 {
        sleep(IDLE).await;
    }
    println!("all were idle and are closed");
    let Some((user, at_portal)) = portal.first() else { return Ok(()) };
    println!(
        "{user} comes back and sees {} projects",
        projects_of(service, user, at_portal).await?
    );

    if let Some(fake) = fake {
        // The portal logs in again by itself. The service cannot: the session was borrowed.
        fake.server(|server| server.expire_all_sessions());
        match projects_of(service, user, at_portal).await {
            Err(error) if error.kind() == ErrorKind::SessionLost => println!("{user}: {error}"),
            other => println!("{user}: unexpected: {other:?}"),
        }
        println!(
            "{user} sees {} projects with a new token",
            projects_of(service, user, at_portal).await?
        );
    }
    Ok(())
}

/// What a request of a user does: some call in the user's name. Here it returns how many projects the
/// user may see. (`fetch_user` would not do: it is asked once for each session.)
async fn projects_of(
    service: &Service,
    user: &str,
    at_portal: &Connection,
) -> Result<usize, Error> {
    let token = async || at_portal.create_identity_token().await;
    let work = async |connection: &Connection| connection.fetch_projects().await;
    Ok(service.run(user, token, work).await?.len())
}
