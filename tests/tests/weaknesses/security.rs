//! A: tokens, passwords and trust.

use std::error::Error as _;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use mstr::hyper::HyperTransport;
use mstr::{
    ApiTokenRequest, Body, BoxError, Connection, CredentialProvider, Credentials, Error, ErrorKind,
};
use mstr_fake::{Fault, Purpose};
use mstr_suite::{Lab, server};
use serde_json::{Value, json};

use crate::network::{Network, response};

const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];
const TUTORIAL: &str = "B7CA92F04B9FAE8D941C3E9B7E0CD754";

/// 1.
#[test]
fn a_redirect_to_another_host_sends_nothing_there() {
    Lab::in_memory(async |lab| {
        let (world, other) = (lab.start(server()), lab.start(server()));
        let network = Network::of(&[&world, &other]);
        let connection = network.builder(&world.base_url).project_id(TUTORIAL).connect().await;
        let connection = connection.unwrap();
        for status in REDIRECTS {
            let to = format!("{}/api/echo", other.base_url);
            let query = [("to", to), ("status", status.to_string())];
            for request in [
                connection.get("/api/redirect").query(&query),
                connection.post("/api/redirect").query(&query).json(&json!({ "plan": "secret" })),
            ] {
                let error = request.send().await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Redirect, "{status}");
            }
        }
        assert_eq!(network.seen_at(&other.base_url).len(), 0);
        assert_eq!(world.logins(), 1, "and the session has not suffered");
        connection.close().await;
    });
}

/// 2.
#[test]
fn a_login_that_is_redirected_to_another_host_sends_no_password_there() {
    for status in REDIRECTS {
        Lab::in_memory(async move |lab| {
            let (world, other) = (lab.start(server()), lab.start(server()));
            let network = Network::of(&[&world, &other]);
            let to = format!("{}/api/auth/login", other.base_url);
            let from = format!("{}/api/auth/login", world.base_url);
            network.answer(&from, move || response(status, &[("location", &to)]));
            let error = network.builder(&world.base_url).connect().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Redirect, "{status}");
            assert_eq!(network.seen_at(&other.base_url).len(), 0);
            assert_eq!(other.open_sessions(), 0);
        });
    }
}

/// 3.
#[test]
fn a_redirect_from_https_to_http_is_not_followed() {
    Lab::in_memory(async |lab| {
        let world = lab.start(server());
        let network = Network::of(&[&world]);
        let connection = network.builder(&world.base_url).connect().await.unwrap();
        let plain = world.base_url.replace("https:", "http:");
        assert_ne!(plain, world.base_url);
        for status in REDIRECTS {
            let query = [("to", format!("{plain}/api/echo")), ("status", status.to_string())];
            let error = connection.get("/api/redirect").query(&query).send().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Redirect, "{status}");
        }
        connection.close().await;
        assert!(network.seen().iter().all(|request| request.uri.scheme_str() == Some("https")));
    });
}

/// 4.
#[test]
fn an_absolute_url_elsewhere_gets_no_secret_and_plants_no_cookie() {
    Lab::in_memory(async |lab| {
        let world = lab.start(server());
        let network = Network::of(&[&world]);
        let connection = network.builder(&world.base_url).project_id(TUTORIAL).connect().await;
        let connection = connection.unwrap();
        let host = world.base_url.replace("/MicroStrategyLibrary", "");
        for elsewhere in ["https://other.example".to_owned(), format!("{host}:8443")] {
            let url = format!("{elsewhere}/page");
            network.answer(&url, || response(200, &[("set-cookie", "JSESSIONID=planted; Path=/")]));
            let error = connection.get(&url).send().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
            assert_eq!(network.seen_at(&url).len(), 0);

            connection.get(&url).without_auth().send().await.unwrap();
            let seen = network.seen_at(&url).remove(0);
            for header in ["x-mstr-authtoken", "x-mstr-projectid", "cookie", "authorization"] {
                assert!(!seen.headers.contains_key(header), "{header}");
            }
            connection.get("/api/echo").send().await.unwrap();
        }
        assert_eq!(world.logins(), 1);
        connection.close().await;
        for request in network.seen() {
            assert!(!format!("{:?}", request.headers.get("cookie")).contains("planted"));
        }
    });
}

/// Collects what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// 5: Also what is printed with `{:?}`, of everything that is around a session.
#[test]
fn the_most_detailed_log_holds_no_secret() {
    const PASSWORD: &str = "a pass phrase to be found";
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_writer(move || writer.clone())
        .finish();
    let shown = Arc::new(Mutex::new(String::new()));
    let secrets = Arc::new(Mutex::new(vec![PASSWORD.to_owned()]));
    let (showing, telling) = (Arc::clone(&shown), Arc::clone(&secrets));
    // Of a single subscriber tracing asks the thread that is the first to meet an event, and the thread
    // of another test has none.
    let second = tracing::Dispatch::new(tracing_subscriber::registry());
    tracing::subscriber::with_default(subscriber, || {
        Lab::in_memory(async move |lab| {
            let world = lab.start(mstr_fake::Server::builder().user("alice", PASSWORD));
            let network = Network::of(&[&world]);
            let show = |text: String| showing.lock().unwrap().push_str(&text);
            let builder = world.builder_for(Credentials::standard("alice", PASSWORD));
            show(format!("{builder:?}"));
            let connection = Connection::builder(&world.base_url)
                .standard("alice", PASSWORD)
                .transport(network.clone())
                .connect()
                .await
                .unwrap();
            let mut events = connection.events();
            let identity = connection.create_identity_token().await.unwrap();
            let api = connection.create_api_token(ApiTokenRequest::new()).await.unwrap();
            show(format!("{connection:?} {identity:?} {api:?}"));
            telling.lock().unwrap().extend([
                identity.expose_token().to_owned(),
                api.token.expose_token().to_owned(),
                connection.expose_token().unwrap().to_owned(),
            ]);
            let borrowed = connection.delegate(identity).await.unwrap();
            telling.lock().unwrap().push(borrowed.expose_token().unwrap().to_owned());
            let request = connection.post("/api/echo").json(&json!({ "text": PASSWORD }));
            show(format!("{request:?}"));
            let response = request.send().await.unwrap();
            show(format!("{response:?}"));
            borrowed.close().await;
            world.server(|server| server.expire_all_sessions());
            connection.get("/api/echo").send().await.unwrap();
            telling.lock().unwrap().push(connection.expose_token().unwrap().to_owned());
            let error = connection.get("/api/status-code?code=500").send().await.unwrap_err();
            show(format!("{error:?} {error}"));
            connection.renew().await.unwrap();
            connection.close().await;
            while let Some(event) = events.try_next() {
                show(format!("{event:?}"));
            }
            // Each cookie of each session is a secret too.
            for request in network.seen() {
                let line = request.headers.get("cookie").map(|line| line.to_str().unwrap());
                let cookies = line.into_iter().flat_map(|line| line.split("; "));
                let values = cookies.filter_map(|cookie| cookie.split_once('=')).map(|pair| pair.1);
                let long = values.filter(|value| value.len() > 8).map(str::to_owned);
                telling.lock().unwrap().extend(long);
            }
        });
    });
    drop(second);
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("session opened") && logged.contains("login"), "{logged}");
    let secrets = secrets.lock().unwrap();
    assert!(secrets.len() > 8, "cookies included: {}", secrets.len());
    let shown = shown.lock().unwrap();
    for secret in secrets.iter() {
        assert!(!logged.contains(secret), "in the log: {secret}");
        assert!(!shown.contains(secret), "in what is shown: {secret}");
    }
}

/// 6.
#[test]
fn a_login_that_fails_leaves_no_password_in_its_error() {
    const PASSWORD: &str = "a pass phrase to be found";
    let answers = [(500, "<html>oops</html>"), (200, "<html>sign in</html>"), (401, ""), (404, "")];
    for (status, body) in answers {
        Lab::in_memory(async move |lab| {
            let page = Fault::page(Purpose::Login, status, body);
            let world = lab.start(server().fault(page));
            let connecting =
                world.builder_for(Credentials::standard("alice", PASSWORD)).connect().await;
            let error: Error = connecting.unwrap_err();
            let mut text = format!("{error} {error:?} {error:#?}");
            let mut cause = error.source();
            while let Some(inner) = cause {
                text += &format!("{inner} {inner:?}");
                cause = inner.source();
            }
            assert!(!text.contains(PASSWORD), "{text}");
        });
    }
}

#[derive(Debug)]
struct Vault;

#[async_trait::async_trait]
impl CredentialProvider for Vault {
    async fn credentials(&self) -> Result<Credentials, BoxError> {
        Ok(Credentials::standard("alice", "secret"))
    }
}

/// 6: What a provider supplies is gone once the session stands; nothing is left to be found.
#[test]
fn credentials_from_a_provider_are_kept_for_the_login_only() {
    Lab::in_memory(async |lab| {
        let world = lab.start(server());
        let connection = Connection::builder(&world.base_url)
            .credential_provider(Vault)
            .transport(world.transport.clone())
            .connect()
            .await
            .unwrap();
        connection.get("/api/echo").send().await.unwrap();
        connection.close().await;
        assert_eq!(connection.username(), None, "there is no login under way");
        assert!(connection.expose_token().is_none(), "nor a token after closing");
    });
}

/// 7 and 8: Runs in a process of its own, see below, and does no harm in this one.
#[test]
fn a_whole_session_over_sockets() {
    Lab::loopback(async |lab| {
        let world = lab.start(server());
        let connection = world.connect().await;
        let echo = connection.get("/api/echo").send().await.unwrap();
        let echo: Value = echo.json().await.unwrap();
        assert!(echo["headers"]["authorization"].is_null(), "{echo}");
        assert!(echo["headers"]["proxy-authorization"].is_null(), "{echo}");
        connection.close().await;
        assert_eq!(world.open_sessions(), 0);
    });
}

/// 7 and 8.
#[test]
fn neither_the_environment_nor_the_working_directory_changes_where_requests_go() {
    let folder = std::env::temp_dir().join(format!("mstr-weaknesses-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for planted in ["server.crt", "ca.pem", "client.p12", "key.pem"] {
        std::fs::write(folder.join(planted), "not a certificate").unwrap();
    }
    let netrc = folder.join(".netrc");
    std::fs::write(&netrc, "default login mallory password planted\n").unwrap();
    // Nothing listens on port 9: a proxy that was believed would break every request.
    let proxy = "http://127.0.0.1:9";
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "security::a_whole_session_over_sockets"]).current_dir(&folder);
    command.env("NETRC", &netrc).env("HOME", &folder);
    for name in ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"] {
        command.env(name, folder.join("ca.pem"));
    }
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
    {
        command.env(name, proxy);
    }
    for name in ["no_proxy", "NO_PROXY"] {
        command.env_remove(name);
    }
    let output = command.output().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
}

/// 7 and 8: No code that could: the transport has no way to come by a file or a setting that it
/// was not given.
#[test]
fn the_transport_searches_neither_the_environment_nor_a_directory() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/mstr-hyper/src");
    let mut folders = vec![sources];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for search in ["env::var", "std::env", "read_dir", "current_dir", "home_dir", "glob::"]
            {
                assert!(!text.contains(search), "{}: {search}", path.display());
            }
            files += 1;
        }
    }
    assert!(files > 5, "{files}");
}

/// 9: A setting that cannot hold is refused, and none is dropped in silence.
#[test]
fn a_certificate_file_that_cannot_be_used_is_an_error_not_ignored() {
    Lab::loopback(async |_| {
        for tls in [
            mstr::hyper::TlsConfig::new().add_root_pem("no certificate at all"),
            mstr::hyper::TlsConfig::new().add_root_pem_file("/no/such/file.pem"),
            mstr::hyper::TlsConfig::new().only_given_roots(),
        ] {
            let error = HyperTransport::builder().tls(tls).build().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
        }
    });
}

/// Bodies are compared, so that a body which was sent after all would be seen.
#[test]
fn the_password_stands_in_the_login_and_nowhere_else() {
    Lab::in_memory(async |lab| {
        let world = lab.start(server());
        let network = Network::of(&[&world]);
        let connection = network.builder(&world.base_url).connect().await.unwrap();
        connection.post("/api/echo").body(Body::from("text")).send().await.unwrap();
        world.server(|server| server.expire_all_sessions());
        connection.get("/api/echo").send().await.unwrap();
        connection.close().await;
        let mut logins = 0;
        for request in network.seen() {
            let holds = request.body.windows(6).any(|part| part == b"secret");
            assert_eq!(holds, request.uri.path().ends_with("/api/auth/login"), "{}", request.uri);
            logins += usize::from(holds);
            assert!(!format!("{:?} {}", request.headers, request.uri).contains("secret"));
        }
        assert_eq!(logins, 2);
    });
}
