//! Borrowing Workstation's session.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use http::{Request, Response};
use mstr::core::{RequestContext, SharedTimer};
use mstr::{
    BlockingTransport, Body, Connection, Error, ErrorKind, Timeouts, Transport, TransportError,
    WorkstationData, blocking,
};
use mstr_fake::{FakeTransport, Server, VirtualTime};

use crate::rig::{Driver, on_both, server};

/// Records the limits of each request.
#[derive(Clone, Debug)]
struct Watching {
    fake: FakeTransport,
    seen: Arc<Mutex<Vec<RequestContext>>>,
}

impl Watching {
    fn see(&self, request: &Request<Body>) {
        let context = RequestContext::of(request);
        self.seen.lock().unwrap().push(context);
    }
}

#[async_trait]
impl Transport for Watching {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        self.see(&request);
        Transport::send(&self.fake, request).await
    }

    fn timer(&self) -> SharedTimer {
        self.fake.timer()
    }
}

impl BlockingTransport for Watching {
    fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        self.see(&request);
        BlockingTransport::send(&self.fake, request)
    }

    fn now(&self) -> Instant {
        self.fake.now()
    }

    fn sleep_until(&self, deadline: Instant) {
        self.fake.sleep_until(deadline);
    }
}

/// A session of Workstation's own, and the document about it.
fn workstation(server: Server) -> (Watching, VirtualTime, blocking::Connection, WorkstationData) {
    let time = VirtualTime::new();
    let fake = FakeTransport::new(server, time.clone());
    let workstation = blocking::Connection::builder(fake.base_url())
        .standard("alice", "secret")
        .blocking_transport(fake.clone())
        .connect()
        .unwrap();
    let (token, cookies) = fake.server(|server| server.wire_credentials_of_newest_session());
    let cookies: Vec<_> = cookies
        .iter()
        .map(|(name, value)| serde_json::json!({ "name": name, "value": value }))
        .collect();
    let document = serde_json::json!({
        "url": fake.base_url(), "headers": { "X-MSTR-AuthToken": token }, "cookies": cookies,
    });
    let data = WorkstationData::from_json(&document.to_string()).unwrap();
    (Watching { fake, seen: Arc::default() }, time, workstation, data)
}

fn borrow(
    driver: Driver,
    watching: &Watching,
    time: &VirtualTime,
    data: &WorkstationData,
    timeouts: Timeouts,
) -> Result<(), Error> {
    let builder = Connection::from_workstation(data).timeouts(timeouts);
    match driver {
        Driver::Tasks => time.run(async {
            builder.transport(watching.clone()).connect().await?.close().await;
            Ok(())
        }),
        Driver::Threads => {
            builder.blocking_transport(watching.clone()).connect()?.close();
            Ok(())
        }
    }
}

#[test]
fn workstation_request_has_the_limits_of_every_other() {
    on_both(|driver| {
        let (watching, time, own, data) = workstation(server().build());
        let (connect, attempt) = (Duration::from_secs(2), Duration::from_secs(7));
        let idle = Duration::from_secs(3);
        let timeouts = Timeouts::new().connect(connect).attempt(attempt).idle_body(idle);
        let begun = watching.fake.now();
        borrow(driver, &watching, &time, &data, timeouts).unwrap();
        let seen = std::mem::take(&mut *watching.seen.lock().unwrap());
        assert_eq!(seen[0].operation, "create identity token");
        for context in seen {
            assert_eq!(context.deadline.map(|it| it >= begun + attempt), Some(true), "{context:?}");
            assert_eq!(context.connect_timeout, Some(connect), "{context:?}");
            assert_eq!(context.body_idle_timeout, Some(idle), "{context:?}");
            assert_eq!(context.attempt, 1);
        }

        // A server that does not answer.
        watching.fake.server(|server| server.add_fault("identity-token:*:stall".parse().unwrap()));
        let begun = time.elapsed();
        let error = borrow(driver, &watching, &time, &data, timeouts).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        assert_eq!(time.elapsed() - begun, attempt);
        watching.fake.server(|server| server.clear_faults());
        own.get("/api/echo").send().unwrap();
        own.close();
    });
}
