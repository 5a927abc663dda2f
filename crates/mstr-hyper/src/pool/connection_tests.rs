//! What is left for the driver of a connection, and when that has ended.

use std::sync::atomic::AtomicUsize;
use std::task::Wake;

use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::connector::Socket;

#[derive(Default)]
struct Counts {
    ready: AtomicUsize,
    looked: AtomicUsize,
}

impl Owner for Counts {
    fn is_stranded(&self) -> bool {
        false
    }

    fn ready(self: Arc<Self>, _: &Arc<Connection>, _: Sender, _: bool) {
        self.ready.fetch_add(1, Ordering::SeqCst);
    }

    fn looked(self: Arc<Self>, _: &Connection) {
        self.looked.fetch_add(1, Ordering::SeqCst);
    }

    fn allow(self: Arc<Self>, _: &Arc<Connection>, _: usize) {}

    fn release(self: Arc<Self>, _: Arc<Connection>, _: Option<Sender>, _: u64, _: How) {}

    fn upload_until(&self) -> u64 {
        NEVER
    }

    fn watch(&self, _: u64) {}

    fn closed(self: Arc<Self>, _: &Arc<Connection>) {}

    fn ended(self: Arc<Self>, _: &Arc<Connection>) {}
}

/// A connection of a pool that counts what it is told.
async fn connection() -> (Arc<Counts>, Arc<Connection>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let lookout = Socket::new(hyper_util::rt::TokioIo::new(tcp)).lookout();
    let pool = Arc::new(Counts::default());
    let owner: Weak<dyn Owner> = Arc::<Counts>::downgrade(&pool);
    let address = Uri::from_static("http://host/");
    let peer = Peer::of(&address).unwrap();
    let header = HeaderValue::from_static("host");
    (pool, Arc::new(Connection::new(1, 1, peer, address, header, lookout, owner)))
}

/// A sender that will not be ready again.
async fn sender() -> Sender {
    let (here, _there) = tokio::io::duplex(64);
    http1::handshake(hyper_util::rt::TokioIo::new(here)).await.unwrap().0
}

struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn desk_that_was_empty_is_looked_at_once_something_is_left_or_the_end_has_come() {
    let (pool, connection) = connection().await;
    let woken = Arc::new(Woken(AtomicUsize::new(0)));
    let (waker, mut known) = (Waker::from(Arc::clone(&woken)), None);
    let mut poll = || connection.poll_desk(&mut known, &mut Context::from_waker(&waker));
    for times in 1..3 {
        assert!(poll().is_pending() && poll().is_pending());
        connection.leave(sender().await, true, NEVER);
        assert_eq!(woken.0.load(Ordering::SeqCst), times, "its driver is woken");
        assert!(poll().is_pending());
        assert_eq!(pool.looked.load(Ordering::SeqCst), times, "the driver has looked");
    }
    assert!(poll().is_pending());
    connection.end();
    assert_eq!(woken.0.load(Ordering::SeqCst), 3);
    assert!(poll().is_ready());
}

#[tokio::test]
async fn what_is_left_for_a_driver_that_has_ended_is_not_waited_for() {
    let (pool, connection) = connection().await;
    for ends_first in [true, false] {
        let sender = sender().await;
        let end = End(Arc::clone(&connection));
        if ends_first {
            drop(end);
            connection.leave(sender, true, NEVER);
        } else {
            *lock(&connection.desk) = Desk { driver: None, returned: None, closed: false };
            connection.leave(sender, true, NEVER);
            drop(end);
        }
        assert_eq!(pool.looked.swap(0, Ordering::SeqCst), 1, "{ends_first}");
        assert_eq!(connection.leaves_by(), NEVER);
    }
    assert_eq!(pool.ready.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn look_is_left_out_for_a_safe_request_soon_after_the_one_with_the_second_answer() {
    let (_pool, connection) = connection().await;
    let looks = |kept, safe| connection.needs_a_look(kept, safe, 2 * PROMPT);
    connection.asked.store(PROMPT + 1, Ordering::Relaxed);
    assert!(!looks(false, false), "made for this request");
    assert!(looks(true, true), "made for another");
    connection.has_answered();
    for kept in [true, false] {
        assert!(looks(kept, true), "the server may keep no connections");
    }
    for _ in 0..300 {
        connection.has_answered();
        for kept in [true, false] {
            assert!(!looks(kept, true));
            assert!(looks(kept, false), "the request cannot be repeated");
        }
    }
    connection.asked.store(PROMPT, Ordering::Relaxed);
    assert!(looks(true, true), "unused for a while, or the answer has been there for a while");
}

/// tokio's channel keeps a message that is sent at the moment in which its receiver goes away.
#[tokio::test]
async fn request_that_is_sent_while_its_connection_ends_is_given_back() {
    const ROUNDS: usize = 20_000;
    let (_pool, model) = connection().await;
    let (begin, begun) = std::sync::mpsc::channel();
    let ready = Arc::new(AtomicUsize::new(0));
    let meet = {
        let ready = Arc::clone(&ready);
        move |round: usize| {
            ready.fetch_add(1, Ordering::SeqCst);
            let mut spins = 0_u32;
            while ready.load(Ordering::SeqCst) < 2 * round {
                spins += 1;
                // The other thread may need this core.
                match spins % 1_000 {
                    0 => std::thread::yield_now(),
                    _ => std::hint::spin_loop(),
                }
            }
        }
    };
    let meets = meet.clone();
    let ending = std::thread::spawn(move || {
        for (round, (io, end)) in begun.iter().enumerate() {
            meets(round + 1);
            drop::<(http1::Connection<_, UploadBody>, End)>((io, end));
        }
    });
    for round in 1..=ROUNDS {
        let (peer, address, header) =
            (model.peer.clone(), model.address.clone(), model.host_header.clone());
        let (lookout, owner) = (model.lookout.clone(), Weak::<Counts>::new());
        let connection = Arc::new(Connection::new(1, 1, peer, address, header, lookout, owner));
        let (here, _there) = tokio::io::duplex(64);
        let (sender, io) = http1::handshake(hyper_util::rt::TokioIo::new(here)).await.unwrap();
        begin.send((io, End(Arc::clone(&connection)))).unwrap();
        let request = http::Request::get("http://host/").body(mstr_core::Body::empty()).unwrap();
        let order = Order::new(request, NEVER, None, None).unwrap();
        meet(round);
        let exchange = connection.send(sender, order, 1, 0);
        let head = poll_fn(|cx| exchange.poll_head(cx));
        let head = tokio::time::timeout(std::time::Duration::from_secs(10), head).await;
        let head = head.unwrap_or_else(|_| panic!("round {round}: no answer, and none comes"));
        assert!(head.is_err());
    }
    drop(begin);
    ending.join().unwrap();
}
