//! F: one connection for many.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use futures_util::future::join_all;
use mstr::Connection;
use mstr::hyper::HyperTransport;
use mstr_suite::{Lab, server};

/// Passes bytes on and counts connections. Its threads end with them.
fn counting_relay(to: SocketAddr) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&accepted);
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            counter.fetch_add(1, Ordering::SeqCst);
            let Ok(server) = TcpStream::connect(to) else { return };
            let (from_client, from_server) =
                (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || pass_on(from_client, server));
            thread::spawn(move || pass_on(from_server, client));
        }
    });
    (address, accepted)
}

fn pass_on(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    // A side that closes one direction closes both: these are requests and answers.
    drop((from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both)));
}

/// 46: A pool of ten would throw most of these connections away, and open them anew.
#[test]
fn sixty_four_tasks_keep_their_connections_if_the_pool_is_told_to() {
    Lab::loopback(async |lab| {
        let world = lab.start(server());
        let authority: http::Uri = world.base_url.parse().unwrap();
        let real = authority.authority().unwrap().as_str().parse().unwrap();
        let (relay, accepted) = counting_relay(real);
        let transport = HyperTransport::builder().pool_max_idle_per_host(64).build().unwrap();
        let connection = Connection::builder(format!("http://{relay}{}", authority.path()))
            .standard("alice", "secret")
            .transport(transport.clone())
            .connect()
            .await
            .unwrap();
        let burst = || async {
            let calls = (0..64).map(|_| connection.get("/api/echo").send());
            for response in join_all(calls).await {
                response.unwrap().bytes().await.unwrap();
            }
        };
        burst().await;
        let first = accepted.load(Ordering::SeqCst);
        assert!(first >= 32, "{first}: this is about many connections");
        for _ in 0..5 {
            // The last connections are put back a moment after their answers have been read.
            tokio::time::sleep(Duration::from_millis(100)).await;
            burst().await;
        }
        // One for each task at most, whichever burst needed it first.
        let all = accepted.load(Ordering::SeqCst);
        assert!(all <= 74, "{first} connections for 64 requests, and {all} for 384");
        connection.close().await;
    });
}
