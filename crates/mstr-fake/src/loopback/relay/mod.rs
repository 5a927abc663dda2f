//! A TCP relay, for everything that networks do to connections.

mod carry;
mod faults;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::future::pending;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::{RecvError, Sender as StdSender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncWriteExt, copy, sink};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::task::spawn_local;
use tokio::time::sleep;

pub use self::faults::{Cut, Direction};

use self::carry::carry;
use self::faults::{Faults, Limit, Way};
use super::running::Running;

/// How many clients may wait to be accepted.
const BACKLOG: i32 = 1024;

/// A TCP relay on a free port of 127.0.0.1, in front of a server: it carries bytes both ways. A
/// test changes that while clients work.
///
/// It can add latency, stall, lose everything in silence, cut connections (at once or after a number
/// of bytes), refuse them, and come back on its port. The effect of a method begins when the method
/// returns, applies to present and future connections, and lasts until [`heal`](Self::heal). All of
/// them take `&self`. TLS passes unchanged.
///
/// ```
/// # mod mstr { pub use mstr_core::*; pub use mstr_fake as fake; }
/// use std::io::{Read, Write};
/// use std::net::TcpStream;
///
/// use mstr::fake::Server;
/// use mstr::fake::loopback::{Cut, Direction, HttpServer, Relay};
///
/// let server = HttpServer::start(Server::builder().build())?;
/// let relay = Relay::start(server.address())?;
/// let get = || {
///     let mut client = TcpStream::connect(relay.address())?;
///     let head = "GET /MicroStrategyLibrary/api/status HTTP/1.1\r\nconnection: close\r\n\r\n";
///     client.write_all(head.as_bytes())?;
///     let mut answer = String::new();
///     client.read_to_string(&mut answer)?;
///     std::io::Result::Ok(answer)
/// };
///
/// // The answer breaks off in its first line.
/// relay.cut_after(Direction::Downstream, 12, Cut::Close);
/// assert_eq!(get()?, "HTTP/1.1 200");
///
/// relay.heal();
/// assert!(get()?.starts_with("HTTP/1.1 200 OK\r\n"));
///
/// // The server goes away, and comes back on the same port.
/// relay.stop();
/// assert!(get().is_err());
/// relay.restart()?;
/// assert!(get()?.starts_with("HTTP/1.1 200 OK\r\n"));
/// assert_eq!(relay.connections(), 3);
/// # std::io::Result::Ok(())
/// ```
///
/// It runs on a thread of its own, in real time, and needs no runtime. Dropping it ends all
/// connections.
#[derive(Debug)]
pub struct Relay {
    shared: Arc<Shared>,
    address: SocketAddr,
    orders: UnboundedSender<Order>,
    _running: Running,
}

/// An order to the thread that accepts. The answer comes when it is done.
#[derive(Debug)]
enum Order {
    Refuse(StdSender<io::Result<()>>),
    Listen(StdSender<io::Result<()>>),
}

/// An order to a connection.
#[derive(Debug)]
struct CutOrder {
    cut: Cut,
    /// Dropped when it is done.
    _done: StdSender<()>,
}

#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    faults: watch::Sender<Faults>,
    connections: Mutex<Connections>,
}

#[derive(Debug, Default)]
struct Connections {
    accepted: usize,
    most: usize,
    open: BTreeMap<usize, UnboundedSender<CutOrder>>,
}

impl Relay {
    /// Starts a relay in front of `upstream`, the address of a server.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a server that is not on this machine,
    /// [`Unsupported`](io::ErrorKind::Unsupported) in a tokio runtime whose clock is paused, and
    /// those of binding a socket and starting a thread.
    pub fn start(upstream: SocketAddr) -> io::Result<Self> {
        if !upstream.ip().is_loopback() {
            let message = format!("{upstream} is not on this machine: use 127.0.0.1 or [::1]");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let socket = bind((Ipv4Addr::LOCALHOST, 0).into())?;
        socket.listen(BACKLOG)?;
        let listener = std::net::TcpListener::from(socket);
        let address = listener.local_addr()?;
        let (orders, ordered) = unbounded_channel();
        let faults = watch::Sender::new(Faults::default());
        let shared = Arc::new(Shared { upstream, faults, connections: Mutex::default() });
        let accepting = Arc::clone(&shared);
        let running = Running::work("relay", move || async move {
            if let Ok(listener) = TcpListener::from_std(listener) {
                accept(listener, address, accepting, ordered).await;
            }
        })?;
        Ok(Self { shared, address, orders, _running: running })
    }

    /// The socket's address, which stays the same.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of a path, which begins with `/`, of a server without TLS.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How many connections have been accepted so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections().accepted
    }

    /// How many connections are open now. One counts until its client has hung up, also after the
    /// server has, or until it has been reset.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.shared.connections().open.len()
    }

    /// The most connections that have been open at a time.
    #[must_use]
    pub fn max_open_connections(&self) -> usize {
        self.shared.connections().most
    }

    /// Delivers every byte, and a connection's end, so much later. Nothing is reordered, and any
    /// number of bytes can be under way up to 1 MiB. Zero ends it.
    pub fn delay(&self, direction: Direction, latency: Duration) {
        self.change(direction, |fault| fault.latency = latency);
    }

    /// Lets new connections wait so long before the relay connects to the server and carries their
    /// first byte. The system has accepted a connection by then: a client sees it open at once, and
    /// waits in its TLS handshake or for its first answer. Zero ends it.
    pub fn delay_accept(&self, latency: Duration) {
        self.shared.faults.send_modify(|faults| faults.accept = latency);
    }

    /// Holds everything up, as an overloaded network does, until [`resume`](Self::resume). Nothing is
    /// lost; senders are held up when 1 MiB is under way.
    pub fn stall(&self, direction: Direction) {
        self.change(direction, |fault| fault.stalled = true);
    }

    /// Continues the traffic that [`stall`](Self::stall) holds up.
    pub fn resume(&self, direction: Direction) {
        self.change(direction, |fault| fault.stalled = false);
    }

    /// Loses everything, as a firewall does that has forgotten its connections: bytes and ends vanish
    /// and the sockets stay open.
    ///
    /// A connection that has lost something goes on losing what goes this way, [`heal`](Self::heal)
    /// or not: TCP delivers no byte after a gap. It ends when its client hangs up or it is
    /// [cut](Self::cut); then the server sees an end too, so that no sockets pile up.
    pub fn silence(&self, direction: Direction) {
        self.change(direction, |fault| fault.silent = true);
    }

    /// Cuts each connection when so many more of its bytes have passed this way. With 0 it is cut
    /// when the first one comes, which does not pass. A later call replaces an earlier one.
    ///
    /// With [`Direction::Both`], each way is counted alone.
    pub fn cut_after(&self, direction: Direction, bytes: u64, cut: Cut) {
        self.change(direction, |fault| {
            fault.limits += 1;
            fault.limit = Some(Limit { number: fault.limits, bytes, cut });
        });
    }

    /// Cuts the connections that are open. When it returns they are cut.
    pub fn cut(&self, cut: Cut) {
        let (done, waiting) = channel();
        for connection in self.shared.connections().open.values() {
            // One that has just ended needs no cut.
            drop(connection.send(CutOrder { cut, _done: done.clone() }));
        }
        drop(done);
        // Nothing is ever sent: this ends when the last sender is dropped.
        let _: Result<(), RecvError> = waiting.recv();
    }

    /// Refuses new connections. Those there are stay.
    pub fn refuse(&self) {
        // The port is bound again by `restart` at the latest, which says what failed.
        drop(self.order(Order::Refuse));
    }

    /// Refuses new connections and [closes](Cut::Close) those there are, as a server that is stopped
    /// does.
    pub fn stop(&self) {
        self.refuse();
        self.cut(Cut::Close);
    }

    /// Accepts connections again, on the same port.
    ///
    /// # Errors
    ///
    /// Those of binding and listening: another program may have taken the port meanwhile.
    pub fn restart(&self) -> io::Result<()> {
        self.order(Order::Listen)
    }

    /// Ends latency, stalls, silence and cuts to come, for all connections but those that have lost
    /// something. Whether connections are accepted does not change.
    pub fn heal(&self) {
        self.shared.faults.send_modify(Faults::heal);
    }

    fn change(&self, direction: Direction, change: impl Fn(&mut faults::Fault)) {
        self.shared.faults.send_modify(|faults| faults.change(direction, change));
    }

    fn order(&self, order: impl FnOnce(StdSender<io::Result<()>>) -> Order) -> io::Result<()> {
        let (done, waiting) = channel();
        let sent = self.orders.send(order(done));
        sent.map_err(|_| io::ErrorKind::BrokenPipe)?;
        waiting.recv().map_err(|_| io::ErrorKind::BrokenPipe)?
    }
}

impl Shared {
    fn connections(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a connection until what is returned is dropped.
    fn open(self: &Arc<Self>) -> (Open, UnboundedReceiver<CutOrder>) {
        let (orders, ordered) = unbounded_channel();
        let mut connections = self.connections();
        let number = connections.accepted;
        connections.accepted += 1;
        connections.open.insert(number, orders);
        connections.most = connections.most.max(connections.open.len());
        (Open { shared: Arc::clone(self), number }, ordered)
    }
}

/// A connection that counts as open.
struct Open {
    shared: Arc<Shared>,
    number: usize,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared.connections().open.remove(&self.number);
    }
}

/// Takes an address without listening: connections to it are refused, and no other process gets it.
fn bind(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // Connections that have ended keep an address for a minute. Windows means another thing by it.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Whether the address accepts connections, and by what.
enum Listening {
    Yes(TcpListener),
    /// The address is kept, if that was possible.
    No(Option<Socket>),
}

async fn accept(
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
    mut ordered: UnboundedReceiver<Order>,
) {
    let mut listening = Listening::Yes(listener);
    loop {
        let accepted = async {
            match &listening {
                Listening::Yes(listener) => listener.accept().await,
                Listening::No(_) => pending().await,
            }
        };
        let order = tokio::select! {
            order = ordered.recv() => order,
            accepted = accepted => {
                // A connection that failed before it was accepted is the client's business.
                if let Ok((client, _)) = accepted {
                    let (open, ordered) = shared.open();
                    spawn_local(serve(open, client, ordered));
                }
                continue;
            }
        };
        match order {
            Some(Order::Refuse(done)) => {
                // The listener first: while it listens no other socket can bind.
                if let Listening::Yes(listener) = listening {
                    drop(listener);
                    listening = Listening::No(bind(address).ok());
                }
                drop(done.send(Ok(())));
            }
            Some(Order::Listen(done)) => {
                let outcome = match listening {
                    Listening::Yes(_) => Ok(()),
                    Listening::No(kept) => match listen(kept, address) {
                        Ok(listener) => {
                            listening = Listening::Yes(listener);
                            Ok(())
                        }
                        Err(error) => {
                            listening = Listening::No(None);
                            Err(error)
                        }
                    },
                };
                drop(done.send(outcome));
            }
            None => return,
        }
    }
}

fn listen(kept: Option<Socket>, address: SocketAddr) -> io::Result<TcpListener> {
    let socket = kept.map_or_else(|| bind(address), Ok)?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Serves one connection until its client has hung up.
async fn serve(open: Open, mut client: TcpStream, mut ordered: UnboundedReceiver<CutOrder>) {
    // Bytes go on as they came.
    drop(client.set_nodelay(true));
    let shared = &open.shared;
    let mut upstream = None;
    let (cut, done) = tokio::select! {
        order = ordered.recv() => match order {
            Some(CutOrder { cut, _done: done }) => (cut, Some(done)),
            None => return,
        },
        ended = carry_all(&mut client, &mut upstream, shared) => match ended {
            Ok(()) => return,
            Err(cut) => (cut, None),
        },
    };
    match cut {
        Cut::Reset => {
            // With no time to linger, closing sends a reset.
            for stream in upstream.iter().chain([&client]) {
                drop(stream.set_zero_linger());
            }
            drop((upstream, client, open));
            drop(done);
        }
        Cut::Close => {
            if let Some(mut upstream) = upstream {
                drop(upstream.shutdown().await);
                // What has come and is not read would make a reset of the close.
                while upstream.try_read(&mut [0; 4096]).is_ok_and(|size| size > 0) {}
            }
            drop(client.shutdown().await);
            drop(done);
            // Until the client hangs up too, or is reset.
            let mut nowhere = sink();
            let done = tokio::select! {
                _ = copy(&mut client, &mut nowhere) => None,
                order = reset(&mut ordered) => {
                    drop(client.set_zero_linger());
                    Some(order)
                }
            };
            drop((client, open));
            drop(done);
        }
    }
}

/// Waits for the order to reset.
async fn reset(ordered: &mut UnboundedReceiver<CutOrder>) -> CutOrder {
    loop {
        match ordered.recv().await {
            Some(order) if order.cut == Cut::Reset => return order,
            Some(_) => {}
            None => pending().await,
        }
    }
}

/// Connects to the server and carries bytes both ways. An error says how the connection has to end.
async fn carry_all(
    client: &mut TcpStream,
    upstream: &mut Option<TcpStream>,
    shared: &Shared,
) -> Result<(), Cut> {
    let delay = shared.faults.borrow().accept;
    if !delay.is_zero() {
        sleep(delay).await;
    }
    let connected = TcpStream::connect(shared.upstream).await.map_err(|_| Cut::Reset)?;
    drop(connected.set_nodelay(true));
    let (from_server, to_server) = upstream.insert(connected).split();
    let (from_client, to_client) = client.split();
    let up = carry(Way::Up, from_client, to_server, shared.faults.subscribe());
    let down = carry(Way::Down, from_server, to_client, shared.faults.subscribe());
    tokio::try_join!(up, down).map(drop)
}
