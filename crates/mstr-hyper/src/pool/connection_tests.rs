//! What is left for the driver of a connection, and when that has ended.

use std::sync::atomic::AtomicUsize;

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

#[tokio::test]
async fn what_is_left_for_a_driver_that_has_ended_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let socket = Socket::new(hyper_util::rt::TokioIo::new(tcp));
    let lookout = socket.lookout();
    let pool = Arc::new(Counts::default());
    let owner: Weak<dyn Owner> = Arc::<Counts>::downgrade(&pool);
    let address = Uri::from_static("http://host/");
    let peer = Peer::of(&address).unwrap();
    let header = HeaderValue::from_static("host");
    let connection = Arc::new(Connection::new(1, 1, peer, address, header, lookout, owner));
    for ends_first in [true, false] {
        let (here, _there) = tokio::io::duplex(64);
        let here = hyper_util::rt::TokioIo::new(here);
        let (sender, driven) = http1::handshake(here).await.unwrap();
        drop(driven);
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
