//! The program `mstr-fake`, as a client in any language meets it: over a socket, with bytes.
#![expect(clippy::unwrap_used, reason = "this is test code")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// A running program; killed if a test fails.
struct Program {
    child: Child,
    address: String,
    rest: BufReader<std::process::ChildStdout>,
}

impl Program {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_mstr-fake"))
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut rest = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        rest.read_line(&mut line).unwrap();
        let url = line.trim_end().strip_prefix("listening on http://").unwrap();
        let address = url.strip_suffix("/MicroStrategyLibrary").unwrap().to_owned();
        Self { child, address, rest }
    }

    /// Sends one request and reads until the server closes.
    fn send(&self, head: &str, body: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let length = body.len();
        let request = format!(
            "{head} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {length}\r\n",
            self.address
        );
        let kind = if body.is_empty() { "" } else { "content-type: application/json\r\n" };
        stream.write_all(format!("{request}{kind}\r\n{body}").as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    fn log_in(&self) -> std::io::Result<String> {
        let body = r#"{"username":"alice","password":"secret"}"#;
        self.send("POST /MicroStrategyLibrary/api/auth/login", body)
    }

    /// Ends it as a service manager does, and returns what it still had to say.
    fn terminate(mut self) -> String {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let mut text = String::new();
        self.rest.read_to_string(&mut text).unwrap();
        assert!(self.child.wait().unwrap().success());
        text
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Has ended already unless the test failed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn refused(arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } =
        Command::new(env!("CARGO_BIN_EXE_mstr-fake")).args(arguments).output().unwrap();
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

#[cfg(unix)]
#[test]
fn it_serves_writes_its_journal_and_ends_on_a_signal() {
    let journal = std::env::temp_dir().join(format!("mstr-fake-{}.jsonl", std::process::id()));
    let program = Program::start(&[
        "--listen",
        "127.0.0.1:0",
        "--user",
        "alice:secret",
        "--session-timeout",
        "600",
        "--max-sessions",
        "1",
        "--server-version",
        "11.3.0100.00001",
        "--latency",
        "1",
        "--journal",
        journal.to_str().unwrap(),
    ]);
    let status = program.send("GET /MicroStrategyLibrary/api/status", "").unwrap();
    assert!(status.contains("11.3.0100.00001"), "{status}");
    let login = program.log_in().unwrap();
    assert!(login.starts_with("HTTP/1.1 204"), "{login}");
    assert!(login.contains("x-mstr-authtoken: ") && login.contains("JSESSIONID="), "{login}");
    let second = program.log_in().unwrap();
    assert!(second.contains("-2147072486"), "{second}");
    let parting = program.terminate();
    assert_eq!(parting, "ended after 3 requests, with 1 sessions open\n");

    let text = std::fs::read_to_string(&journal).unwrap();
    std::fs::remove_file(&journal).unwrap();
    assert_eq!(text.lines().count(), 3, "{text}");
    let token = login.split("x-mstr-authtoken: ").nth(1).unwrap().lines().next().unwrap();
    assert!(!text.contains("secret") && !text.contains(token), "{text}");
}

#[cfg(unix)]
#[test]
fn faults_break_the_connection_as_they_say() {
    let program = Program::start(&[
        "--user",
        "alice:secret",
        "--fault",
        "login:1:reset-before",
        "--fault",
        "login:2:reset-after",
        "--fault",
        "login:3:status=503,retry-after=2",
        "--fault",
        "status:1:reset-mid-body",
    ]);
    for _ in 0..2 {
        // A reset is an error for the reader; the system decides how much arrives before it.
        let answer = program.log_in();
        assert!(answer.is_err() || answer.as_ref().unwrap().is_empty(), "{answer:?}");
    }
    let busy = program.log_in().unwrap();
    assert!(busy.starts_with("HTTP/1.1 503") && busy.contains("retry-after: 2"), "{busy}");
    let broken = program.send("GET /MicroStrategyLibrary/api/status", "");
    assert!(broken.as_ref().map_or(true, |text| !text.ends_with('}')), "{broken:?}");
    let whole = program.send("GET /MicroStrategyLibrary/api/status", "").unwrap();
    assert!(whole.ends_with('}'), "{whole}");
    assert_eq!(program.terminate(), "ended after 5 requests, with 1 sessions open\n");
}

#[cfg(unix)]
#[test]
fn it_answers_endpoints_of_one_s_own_from_files() {
    let folder = std::env::temp_dir().join(format!("mstr-fake-{}-answers", std::process::id()));
    std::fs::create_dir_all(folder.join("cubes")).unwrap();
    for (name, text) in
        [("cubes/C1.json", r#"{"id":"C1"}"#), ("queued.txt", "q"), ("done.txt", "d")]
    {
        std::fs::write(folder.join(name), text).unwrap();
    }
    let of = |rule: &str, name: &str| format!("{rule}={}", folder.join(name).display());
    let program = Program::start(&[
        "--user",
        "alice:secret",
        "--answer",
        &of("GET /api/v2/cubes/*", "cubes"),
        "--answer",
        &of("POST /api/jobs", "queued.txt"),
        "--answer",
        &of("POST /api/jobs", "done.txt"),
        "--fault",
        "path=/api/v2/cubes/*:3:expire",
    ]);
    std::fs::remove_dir_all(&folder).unwrap();
    let cube = "GET /MicroStrategyLibrary/api/v2/cubes/C1";
    assert!(program.send(cube, "").unwrap().starts_with("HTTP/1.1 401"), "there is no session");
    let login = program.log_in().unwrap();
    let after = |name: &str| login.split(name).nth(1).unwrap().split([';', '\r']).next().unwrap();
    // As the vendor's tutorial for curl does it: the token and the session's own cookie.
    let session = format!(
        " HTTP/1.1\r\nx-mstr-authtoken: {}\r\ncookie: JSESSIONID={}\r\nx-end: ",
        after("x-mstr-authtoken: "),
        after("JSESSIONID=")
    );
    let send = |what: &str| program.send(&format!("{what}{session}"), "").unwrap();
    let found = send(cube);
    assert!(found.contains("application/json") && found.ends_with(r#"{"id":"C1"}"#), "{found}");
    let jobs: Vec<String> = (0..3).map(|_| send("POST /MicroStrategyLibrary/api/jobs")).collect();
    assert!(jobs[0].ends_with('q') && jobs[1].ends_with('d') && jobs[2].ends_with('d'), "{jobs:?}");
    let expired = send(cube);
    assert!(expired.contains("ERR009"), "{expired}");
}

#[test]
fn wrong_arguments_say_what_is_wrong() {
    for (arguments, named) in [
        (&["--fault", "login:1:explode"][..], "explode"),
        (&["--fault", "nonsense"], "WHAT:WHEN:EFFECT"),
        (&["--user", "alice"], "NAME:PASSWORD"),
        (&["--api-token", "TOKEN"], "TOKEN=USER"),
        (&["--listen", "nowhere"], "nowhere"),
        (&["--session-timeout", "0"], "0"),
        (&["--max-sessions", "0"], "0"),
        (&["--server-version", "abc"], "11.3.0100"),
        (&["--answer", "/api/x=y.json"], "METHOD PATH=FILE"),
        (&["--answer", "GET /api/x"], "METHOD PATH=FILE"),
        (&["--answer", "GET /api/x="], "METHOD PATH=FILE"),
        (&["--answer", "get /api/x=y.json"], "\"get\" is not a method"),
        (&["--answer", "GET api/x=y.json"], "must begin with /"),
        (&["--answer", "POST /api/auth/login=y.json"], "the session's own"),
    ] {
        let (code, text) = refused(arguments);
        assert_eq!(code, Some(2), "{text}");
        assert!(text.contains(named), "{text}");
    }
    for (arguments, named) in [
        (&["--listen", "0.0.0.0:0"][..], "127.0.0.1"),
        (&["--api-token", "T=bob"], "bob"),
        (&["--journal", "/no/such/folder/journal"], "/no/such/folder/journal"),
        (&["--answer", "GET /api/x=no/such.json"], "\"no/such.json\" cannot be read"),
        (&["--answer", "GET /api/x=src"], "open part"),
        (&["--answer", "GET /api/*=src", "--answer", "GET /api/*=src"], "several answers"),
    ] {
        let (code, text) = refused(arguments);
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains(named), "{text}");
    }
}

#[test]
fn the_help_has_every_effect() {
    let (_, error) = refused(&["--fault", "login:1:explode"]);
    let words = error.lines().find_map(|line| line.split_once(" is not one of ")).unwrap().1;
    let help = Command::new(env!("CARGO_BIN_EXE_mstr-fake")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let effects = help.split("EFFECT is one of").nth(1).unwrap();
    let effects = effects.split("Examples:").next().unwrap();
    let shown: Vec<&str> = effects
        .lines()
        .filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')))
        .flat_map(|line| line.split("  ").next().unwrap().split(", "))
        .map(|word| word.split('=').next().unwrap())
        .collect();
    let known: Vec<&str> =
        words.split(", ").map(|word| word.split(['=', ',']).next().unwrap()).collect();
    assert_eq!(shown, known, "what --help shows, and what a rule may say");
}

#[test]
fn it_speaks_https_and_has_a_proxy_if_it_is_told_to() {
    let file = std::env::temp_dir().join(format!("mstr-fake-{}.pem", std::process::id()));
    let mut child = Command::new(env!("CARGO_BIN_EXE_mstr-fake"))
        .args(["--user", "alice:secret", "--proxy", "ann:hush", "--tls"])
        .arg(&file)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (server, proxy) = (lines.next().unwrap().unwrap(), lines.next().unwrap().unwrap());
    child.kill().unwrap();
    child.wait().unwrap();
    let authority = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(server.starts_with("listening on https://127.0.0.1:"), "{server}");
    assert!(proxy.starts_with("proxy on 127.0.0.1:"), "{proxy}");
    assert!(authority.starts_with("-----BEGIN CERTIFICATE-----"), "{authority}");
    assert!(!authority.contains("PRIVATE KEY"), "the key stays here");
}

#[cfg(unix)]
#[test]
fn what_the_proxy_refused_does_not_count_as_passed_on() {
    let mut program = Program::start(&["--proxy", "ann:hush"]);
    let mut line = String::new();
    program.rest.read_line(&mut line).unwrap();
    let proxy = line.trim_end().strip_prefix("proxy on ").unwrap();
    let status = format!("GET http://{}/MicroStrategyLibrary/api/status HTTP/1.1", program.address);
    // "ann:hush" in base64.
    for (credentials, expected) in [("", "407"), ("Proxy-Authorization: Basic YW5uOmh1c2g=", "200")]
    {
        let mut stream = TcpStream::connect(proxy).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let end = if credentials.is_empty() { "" } else { "\r\n" };
        let head = format!("{status}\r\nHost: x\r\nConnection: close\r\n{credentials}{end}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected}")), "{answer}");
    }
    assert_eq!(
        program.terminate(),
        "the proxy passed on 1 connections and requests, and refused 1\n\
         ended after 1 requests, with 0 sessions open\n"
    );
}
