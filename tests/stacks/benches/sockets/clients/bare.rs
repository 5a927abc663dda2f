//! hyper-util's client, and what lies below it: hyper's connections, and a socket.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{COOKIE, Call, HEADERS, Target, headers};

pub(super) fn legacy(target: &Target) -> Call {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let (url, read) = (target.url(), target.read);
    Rc::new(move || {
        let request = headers(Request::get(&*url)).body(Empty::new()).unwrap();
        let answer = client.request(request);
        Box::pin(async move {
            read.finish(&answer.await.unwrap().into_body().collect().await.unwrap().to_bytes())
        })
    })
}

fn address(target: &Target) -> (Uri, String) {
    let uri: Uri = target.url().parse().unwrap();
    let address = format!("127.0.0.1:{}", uri.port_u16().unwrap());
    (uri, address)
}

/// hyper's connections with the least that can be called a pool.
pub(super) fn by_conn(target: &Target) -> Call {
    let (uri, address) = address(target);
    let idle: Rc<RefCell<Vec<http1::SendRequest<Empty<Bytes>>>>> = Rc::default();
    let path = uri.path().to_owned();
    Rc::new(move || {
        let (idle, address, path) = (Rc::clone(&idle), address.clone(), path.clone());
        Box::pin(async move {
            let kept = idle.borrow_mut().pop();
            let mut sender = match kept {
                Some(sender) => sender,
                None => {
                    let stream = TcpStream::connect(&address).await.unwrap();
                    stream.set_nodelay(true).unwrap();
                    let (sender, connection) =
                        http1::handshake(TokioIo::new(stream)).await.unwrap();
                    tokio::task::spawn(connection);
                    sender
                }
            };
            let request = headers(Request::get(&*path)).header("host", &*address);
            let answer = sender.send_request(request.body(Empty::new()).unwrap()).await.unwrap();
            let length = answer.into_body().collect().await.unwrap().to_bytes().len();
            sender.ready().await.unwrap();
            idle.borrow_mut().push(sender);
            length
        })
    })
}

/// A connection and its buffer.
type Socket = (TcpStream, Vec<u8>);

/// A socket and as much of HTTP as this server needs: the limit for every client.
pub(super) fn by_hand(target: &Target) -> Call {
    let (uri, address) = address(target);
    let idle: Rc<RefCell<Vec<Socket>>> = Rc::default();
    let headers = [("host", &*address), COOKIE].into_iter().chain(HEADERS);
    let headers: String = headers.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let request: Rc<str> = format!("GET {} HTTP/1.1\r\n{headers}\r\n", uri.path()).into();
    Rc::new(move || {
        let (idle, address, request) = (Rc::clone(&idle), address.clone(), Rc::clone(&request));
        Box::pin(async move {
            let kept = idle.borrow_mut().pop();
            let (mut stream, mut buffer) = match kept {
                Some(kept) => kept,
                None => {
                    let stream = TcpStream::connect(&address).await.unwrap();
                    stream.set_nodelay(true).unwrap();
                    (stream, vec![0; 64 * 1024])
                }
            };
            stream.write_all(request.as_bytes()).await.unwrap();
            let (mut read, mut end) = (0, None);
            let length = loop {
                if end.is_none() && read == buffer.len() {
                    panic!("a head of more than {read} bytes");
                }
                let room = if end.is_some() { 0 } else { read };
                let count = stream.read(&mut buffer[room..]).await.unwrap();
                assert!(count > 0, "the server has hung up");
                read += count;
                if end.is_none() {
                    let head = buffer[..read].windows(4).position(|bytes| bytes == b"\r\n\r\n");
                    let Some(head) = head else { continue };
                    let text = std::str::from_utf8(&buffer[..head]).unwrap();
                    let length = text
                        .lines()
                        .filter_map(|line| line.split_once(": "))
                        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                        .map_or(0, |(_, length)| length.parse::<usize>().unwrap());
                    end = Some((head + 4 + length, length));
                }
                if let Some((end, length)) = end
                    && read >= end
                {
                    break length;
                }
            };
            idle.borrow_mut().push((stream, buffer));
            length
        })
    })
}
