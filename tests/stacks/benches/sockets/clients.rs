//! The clients that are compared. Each makes a GET and reads the answer, with the headers that a call of a
//! session has.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use mstr_core::blocking;
use mstr_core::{Body, Connection, RequestContext, TlsConfig, Transport};
use mstr_hyper::HyperTransport;
use mstr_hyper::blocking::HyperBlocking;
use mstr_isahc::IsahcTransport;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Makes one request and returns the length of the answer's body.
pub(crate) type Call = Rc<dyn Fn() -> Pin<Box<dyn Future<Output = usize>>>>;

/// The path that is requested, and the server.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) base: String,
    pub(crate) path: &'static str,
    /// The authority to trust, in PEM.
    pub(crate) authority: Option<String>,
    /// Over TLS: HTTP/1.1 only.
    pub(crate) http1_only: bool,
}

impl Target {
    fn url(&self) -> String {
        format!("{}/MicroStrategyLibrary{}", self.base, self.path)
    }

    fn tls(&self) -> TlsConfig {
        match &self.authority {
            Some(authority) => TlsConfig::new().add_root_pem(authority.clone()),
            None => TlsConfig::new(),
        }
    }
}

pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    /// Speaks TLS.
    pub(crate) tls: bool,
    /// Runs on the calling thread alone, so that its allocations can be counted.
    pub(crate) alone: bool,
    /// Blocks the calling thread, which therefore has one request in flight.
    pub(crate) blocks: bool,
    pub(crate) build: fn(&Target) -> Call,
}

pub(crate) const CONTESTANTS: &[Contestant] = &[
    Contestant { name: "hyper-util", tls: false, alone: true, blocks: false, build: legacy },
    Contestant { name: "hyper conn", tls: false, alone: true, blocks: false, build: by_conn },
    Contestant { name: "by hand", tls: false, alone: true, blocks: false, build: by_hand },
    Contestant { name: "mstr-hyper", tls: true, alone: true, blocks: false, build: transport },
    Contestant { name: "mstr over hyper", tls: true, alone: true, blocks: false, build: layer },
    Contestant {
        name: "mstr over hyper, blocking",
        tls: true,
        alone: false,
        blocks: true,
        build: layer_blocking,
    },
    Contestant { name: "reqwest", tls: true, alone: true, blocks: false, build: reqwest },
    Contestant {
        name: "reqwest with middleware",
        tls: true,
        alone: true,
        blocks: false,
        build: reqwest_stacked,
    },
    Contestant { name: "isahc", tls: false, alone: false, blocks: false, build: isahc },
    Contestant {
        name: "mstr-isahc",
        tls: true,
        alone: false,
        blocks: false,
        build: isahc_transport,
    },
    Contestant {
        name: "mstr over isahc",
        tls: true,
        alone: false,
        blocks: false,
        build: isahc_layer,
    },
];

/// What the headers of a call amount to.
fn headers(request: http::request::Builder) -> http::request::Builder {
    request
        .header("x-mstr-authtoken", "a-token-of-the-usual-length")
        .header("cookie", "JSESSIONID=0123456789ABCDEF")
        .header("accept", "application/json")
        .header("user-agent", "mstr/0.1")
        .header("x-mstr-projectid", "B7CA92F04B9FAE8D941C3E9B7E0CD754")
}

fn legacy(target: &Target) -> Call {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let url = target.url();
    Rc::new(move || {
        let request = headers(Request::get(&*url)).body(Empty::new()).unwrap();
        let answer = client.request(request);
        Box::pin(async move {
            answer.await.unwrap().into_body().collect().await.unwrap().to_bytes().len()
        })
    })
}

fn address(target: &Target) -> (Uri, String) {
    let uri: Uri = target.url().parse().unwrap();
    let address = format!("127.0.0.1:{}", uri.port_u16().unwrap());
    (uri, address)
}

/// hyper's connections with the least that can be called a pool.
fn by_conn(target: &Target) -> Call {
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
fn by_hand(target: &Target) -> Call {
    let (uri, address) = address(target);
    let idle: Rc<RefCell<Vec<Socket>>> = Rc::default();
    let request = format!(
        "GET {} HTTP/1.1\r\nhost: {address}\r\nx-mstr-authtoken: a-token-of-the-usual-length\r\n\
         cookie: JSESSIONID=0123456789ABCDEF\r\naccept: application/json\r\nuser-agent: \
         mstr/0.1\r\nx-mstr-projectid: B7CA92F04B9FAE8D941C3E9B7E0CD754\r\n\r\n",
        uri.path()
    );
    let request: Rc<str> = request.into();
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

fn transport(target: &Target) -> Call {
    let mut builder = HyperTransport::builder().tls(target.tls());
    if target.http1_only {
        builder = builder.http1_only();
    }
    over(builder.build().unwrap(), target)
}

fn isahc_transport(target: &Target) -> Call {
    let mut builder = IsahcTransport::builder().tls(target.tls());
    if target.http1_only {
        builder = builder.http1_only();
    }
    over(builder.build().unwrap(), target)
}

fn over(transport: impl Transport + Clone, target: &Target) -> Call {
    let url = target.url();
    let timer = transport.timer();
    Rc::new(move || {
        let mut request = headers(Request::get(&*url)).body(Body::empty()).unwrap();
        let mut context = RequestContext::default();
        context.deadline = Some(timer.now() + Duration::from_secs(30));
        context.body_idle_timeout = Some(Duration::from_secs(30));
        context.attach(&mut request);
        let transport = transport.clone();
        Box::pin(async move {
            let answer = transport.send(request).await.unwrap();
            answer.into_body().collect(usize::MAX).await.unwrap().len()
        })
    })
}

fn layer(target: &Target) -> Call {
    let mut builder = HyperTransport::builder().tls(target.tls());
    if target.http1_only {
        builder = builder.http1_only();
    }
    session(builder.build().unwrap(), target)
}

fn isahc_layer(target: &Target) -> Call {
    let mut builder = IsahcTransport::builder().tls(target.tls());
    if target.http1_only {
        builder = builder.http1_only();
    }
    session(builder.build().unwrap(), target)
}

fn session(transport: impl Transport + Clone, target: &Target) -> Call {
    let base = format!("{}/MicroStrategyLibrary", target.base);
    let opened: Rc<RefCell<Option<Connection>>> = Rc::default();
    let path = target.path;
    Rc::new(move || {
        let (opened, base, transport) = (Rc::clone(&opened), base.clone(), transport.clone());
        Box::pin(async move {
            let known = opened.borrow().clone();
            let connection = match known {
                Some(connection) => connection,
                None => {
                    let connection = Connection::builder(base)
                        .standard("alice", "secret")
                        .project_id("B7CA92F04B9FAE8D941C3E9B7E0CD754")
                        .checks(false)
                        .transport(transport)
                        .connect()
                        .await
                        .unwrap();
                    opened.borrow_mut().insert(connection).clone()
                }
            };
            connection.get(path).send().await.unwrap().bytes().await.unwrap().len()
        })
    })
}

fn layer_blocking(target: &Target) -> Call {
    let mut builder = HyperTransport::builder().tls(target.tls());
    if target.http1_only {
        builder = builder.http1_only();
    }
    let transport = HyperBlocking::from_builder(builder).unwrap();
    let connection = blocking::Connection::builder(format!("{}/MicroStrategyLibrary", target.base))
        .standard("alice", "secret")
        .project_id("B7CA92F04B9FAE8D941C3E9B7E0CD754")
        .checks(false)
        .blocking_transport(transport)
        .connect()
        .unwrap();
    let path = target.path;
    Rc::new(move || {
        let length = connection.get(path).send().unwrap().bytes().unwrap().len();
        Box::pin(std::future::ready(length))
    })
}

fn reqwest_builder(target: &Target) -> ::reqwest::ClientBuilder {
    let mut builder = ::reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30));
    if let Some(authority) = &target.authority {
        let authority = ::reqwest::Certificate::from_pem(authority.as_bytes()).unwrap();
        builder = builder.tls_certs_only([authority]);
    }
    if target.http1_only {
        builder = builder.http1_only();
    }
    builder
}

fn reqwest(target: &Target) -> Call {
    let (client, url) = (reqwest_builder(target).build().unwrap(), target.url());
    Rc::new(move || {
        let request = client
            .get(&*url)
            .header("x-mstr-authtoken", "a-token-of-the-usual-length")
            .header("cookie", "JSESSIONID=0123456789ABCDEF")
            .header("accept", "application/json")
            .header("user-agent", "mstr/0.1")
            .header("x-mstr-projectid", "B7CA92F04B9FAE8D941C3E9B7E0CD754");
        Box::pin(async move { request.send().await.unwrap().bytes().await.unwrap().len() })
    })
}

/// With what one adds to come near to a session: a store for cookies, and repetitions.
fn reqwest_stacked(target: &Target) -> Call {
    use reqwest_retry::RetryTransientMiddleware;
    use reqwest_retry::policies::ExponentialBackoff;

    let cookies = Arc::new(::reqwest::cookie::Jar::default());
    let url = target.url();
    cookies.add_cookie_str("JSESSIONID=0123456789ABCDEF; Path=/", &url.parse().unwrap());
    let client = reqwest_builder(target).cookie_provider(cookies).build().unwrap();
    let policy = ExponentialBackoff::builder().build_with_max_retries(2);
    let client = reqwest_middleware::ClientBuilder::new(client)
        .with(RetryTransientMiddleware::new_with_policy(policy))
        .build();
    Rc::new(move || {
        let request = client
            .get(&*url)
            .header("x-mstr-authtoken", "a-token-of-the-usual-length")
            .header("accept", "application/json")
            .header("user-agent", "mstr/0.1")
            .header("x-mstr-projectid", "B7CA92F04B9FAE8D941C3E9B7E0CD754");
        Box::pin(async move { request.send().await.unwrap().bytes().await.unwrap().len() })
    })
}

fn isahc(target: &Target) -> Call {
    use ::isahc::{AsyncReadResponseExt, HttpClient};

    let builder = HttpClient::builder().default_header("user-agent", "mstr/0.1");
    let (client, url) = (Rc::new(builder.build().unwrap()), target.url());
    Rc::new(move || {
        let request = ::isahc::Request::get(&*url)
            .header("x-mstr-authtoken", "a-token-of-the-usual-length")
            .header("cookie", "JSESSIONID=0123456789ABCDEF")
            .header("accept", "application/json")
            .header("x-mstr-projectid", "B7CA92F04B9FAE8D941C3E9B7E0CD754")
            .body(())
            .unwrap();
        let client = Rc::clone(&client);
        Box::pin(
            async move { client.send_async(request).await.unwrap().bytes().await.unwrap().len() },
        )
    })
}
