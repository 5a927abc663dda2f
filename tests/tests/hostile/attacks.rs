//! The answers of a hostile server, and the requests that get them.

use std::io::{self, Write};
use std::sync::LazyLock;

use flate2::Compression;
use flate2::write::GzEncoder;
use mstr_fake::loopback::{RawConnection, RawRequest};

use crate::clients::Act;

const MIB: usize = 1024 * 1024;
const PIECE: usize = 64 * 1024;

/// How the caller's part ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ends {
    Failed,
    Well,
    /// A transport may stand it or not.
    Anyhow,
}

/// One way to do harm.
#[derive(Debug)]
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    pub(crate) act: Act,
    pub(crate) ends: Ends,
    /// About a list of projects, of which 16 MiB are read.
    pub(crate) is_list: bool,
    /// The requests that get it, by the beginning of their first lines.
    to: &'static str,
    answer: fn(&mut RawConnection) -> io::Result<()>,
}

const LOGIN: &str = "POST /api/auth/login";
const CALL: &str = "GET /api/x";
const LIST: &str = "GET /api/projects";

const fn attack(
    name: &'static str,
    to: &'static str,
    act: Act,
    ends: Ends,
    answer: fn(&mut RawConnection) -> io::Result<()>,
) -> Attack {
    Attack { name, act, ends, is_list: false, to, answer }
}

const fn list(
    name: &'static str,
    act: Act,
    ends: Ends,
    answer: fn(&mut RawConnection) -> io::Result<()>,
) -> Attack {
    Attack { name, act, ends, is_list: true, to: LIST, answer }
}

/// All of them.
pub(crate) const ATTACKS: &[Attack] = &[
    // Heads.
    attack("endless headers", CALL, Act::Bytes, Ends::Failed, endless_headers),
    attack("endless headers of a login", LOGIN, Act::Connect, Ends::Failed, endless_headers),
    attack("endless short headers", CALL, Act::Bytes, Ends::Failed, endless_short_headers),
    attack("an endless header", CALL, Act::Bytes, Ends::Failed, |c| {
        c.write("HTTP/1.1 200 OK\r\nx-endless: ")?;
        endless(c, "x".repeat(PIECE))
    }),
    attack("an endless status line", CALL, Act::Bytes, Ends::Failed, |c| {
        c.write("HTTP/1.1 200 ")?;
        endless(c, "x".repeat(PIECE))
    }),
    attack("endless cookies", LOGIN, Act::Connect, Ends::Failed, |c| {
        c.write("HTTP/1.1 204 No Content\r\nx-mstr-authtoken: t\r\n")?;
        endless(c, format!("set-cookie: a={}\r\n", "x".repeat(2_000)).repeat(16))
    }),
    attack("many huge cookies", LOGIN, Act::Bytes, Ends::Well, |c| many_cookies(c, 90, 3_000)),
    attack("many short cookies", LOGIN, Act::Bytes, Ends::Anyhow, |c| many_cookies(c, 4_000, 10)),
    attack("a huge cookie", LOGIN, Act::Bytes, Ends::Well, |c| many_cookies(c, 1, 90_000)),
    attack("endless interim answers", CALL, Act::Bytes, Ends::Failed, |c| {
        endless(c, "HTTP/1.1 100 Continue\r\n\r\n".repeat(1_000))
    }),
    attack("endless interim answers to a login", LOGIN, Act::Connect, Ends::Failed, |c| {
        endless(c, "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(1_000))
    }),
    attack("huge interim answers", CALL, Act::Bytes, Ends::Failed, |c| {
        let head = format!("HTTP/1.1 103 Early Hints\r\nlink: {}\r\n\r\n", "x".repeat(50_000));
        endless(c, head)
    }),
    // Redirects.
    attack("endless redirects", CALL, Act::Bytes, Ends::Failed, |c| {
        c.answer("302 Found\r\nlocation: /api/x", "")
    }),
    attack("a redirect to a huge address", CALL, Act::Bytes, Ends::Failed, |c| {
        c.answer(&format!("302 Found\r\nlocation: /api/x{}", "a".repeat(60_000)), "")
    }),
    attack("endless bodies of redirects", CALL, Act::Bytes, Ends::Failed, |c| {
        endless_body(c, "302 Found\r\nlocation: /api/x")
    }),
    // Bodies.
    attack("an endless answer to a caller with a limit", CALL, Act::Limited, Ends::Failed, ok),
    attack("an endless answer in chunks", CALL, Act::Limited, Ends::Failed, |c| {
        c.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
        endless(c, format!("{PIECE:x}\r\n{}\r\n", "x".repeat(PIECE)))
    }),
    attack("chunks of one byte", CALL, Act::Limited, Ends::Failed, |c| {
        c.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
        endless(c, "1\r\nx\r\n".repeat(10_000))
    }),
    attack("an endless extension of a chunk", CALL, Act::Limited, Ends::Failed, |c| {
        c.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;")?;
        endless(c, "x".repeat(PIECE))
    }),
    attack("endless trailers", CALL, Act::Limited, Ends::Anyhow, |c| {
        c.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n")?;
        endless(c, "a: b\r\n".repeat(10_000))
    }),
    attack("a length that is a lie", CALL, Act::Bytes, Ends::Failed, |c| {
        c.write("HTTP/1.1 200 OK\r\ncontent-length: 999999999999\r\n\r\nx")
    }),
    attack("an endless answer to a login", LOGIN, Act::Connect, Ends::Anyhow, |c| {
        endless_body(c, "200 OK\r\nx-mstr-authtoken: t")
    }),
    attack("an endless refusal of a login", LOGIN, Act::Connect, Ends::Failed, |c| {
        endless_body(c, "401 Unauthorized")
    }),
    attack("an endless session", "GET /api/sessions", Act::Connect, Ends::Failed, ok),
    attack("an endless status", "GET /api/status", Act::Connect, Ends::Anyhow, ok),
    attack("an endless renewal", "PUT /api/sessions", Act::Renew, Ends::Anyhow, ok),
    attack("an endless refusal of a renewal", "PUT /api/sessions", Act::Renew, Ends::Failed, error),
    attack("an endless goodbye", "POST /api/auth/logout", Act::Close, Ends::Well, ok),
    attack("an endless user", "GET /api/sessions/userInfo", Act::User, Ends::Failed, ok),
    attack("an endless error", CALL, Act::Bytes, Ends::Failed, error),
    attack("an endless message", CALL, Act::Bytes, Ends::Failed, |c| {
        let begun = r#"{"code":"ERR002","message":""#;
        c.write(format!("HTTP/1.1 400 Bad Request\r\n\r\n{begun}"))?;
        endless(c, "x".repeat(PIECE))
    }),
    attack("a huge message", CALL, Act::Bytes, Ends::Failed, |c| {
        let long = "\u{1b}[31m\u{202e}".repeat(4_000);
        let error = serde_json::json!({ "code": long, "message": long, "ticketId": long });
        c.answer("400 Bad Request", error.to_string())
    }),
    attack("a message in many parts", CALL, Act::Bytes, Ends::Failed, |c| {
        let parts = r#"{"message":"x"},"#.repeat(4_000);
        c.answer("400 Bad Request", format!(r#"{{"code":"A","errors":[{parts}{{}}]}}"#))
    }),
    attack("a deep answer", LIST, Act::Projects, Ends::Failed, |c| {
        c.answer("200 OK", "[".repeat(MIB))
    }),
    // Compressed.
    attack("a bomb for a caller", CALL, Act::Bytes, Ends::Failed, |c| bomb(c, "200 OK")),
    attack("a bomb in an error", CALL, Act::Bytes, Ends::Failed, |c| bomb(c, "400 Bad Request")),
    attack("a bomb in a refusal", LOGIN, Act::Connect, Ends::Failed, |c| {
        bomb(c, "401 Unauthorized")
    }),
    attack("a bomb for a session", "GET /api/sessions", Act::Connect, Ends::Failed, |c| {
        bomb(c, "200 OK")
    }),
    list("a bomb of projects", Act::Projects, Ends::Failed, |c| bomb(c, "200 OK")),
    list("a bomb of projects for the session", Act::Open, Ends::Failed, |c| bomb(c, "200 OK")),
    attack("endless members of gzip", CALL, Act::Bytes, Ends::Failed, |c| {
        c.write("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n")?;
        endless(c, compressed(b"").repeat(1_000))
    }),
    attack("an endless name in gzip", CALL, Act::Bytes, Ends::Failed, |c| {
        c.write("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n")?;
        // A head with a file's name (RFC 1952, 2.3.1), which ends with a zero.
        c.write([0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3])?;
        endless(c, "x".repeat(PIECE))
    }),
    // Lists of projects.
    list("an endless list", Act::Projects, Ends::Failed, ok),
    list("an endless list for the session", Act::Open, Ends::Failed, ok),
    list("a huge name of a project", Act::Projects, Ends::Well, huge_project),
    list("a huge name of a project, missing", Act::Open, Ends::Failed, huge_project),
    list("many projects", Act::Projects, Ends::Well, many_projects),
    list("many projects, none of that name", Act::Open, Ends::Failed, many_projects),
    list("a project with a list in it", Act::Projects, Ends::Failed, |c| odd_project(c, "more")),
    list("a project whose id is a list", Act::Projects, Ends::Failed, |c| odd_project(c, "id")),
    attack("a session with a list in it", "GET /api/sessions", Act::Session, Ends::Anyhow, |c| {
        repeated(c, r#"{"more":["#, "1,", "1]}")
    }),
    list("many empty projects", Act::Projects, Ends::Anyhow, empty_projects),
];

impl Attack {
    /// Answers requests until the client hangs up.
    pub(crate) fn serve(&self, mut connection: RawConnection) -> io::Result<()> {
        while let Some(request) = connection.read_request()? {
            if request.line().starts_with(self.to) {
                (self.answer)(&mut connection)?;
            } else {
                friendly(&mut connection, &request)?;
            }
        }
        Ok(())
    }
}

/// The answers of a server that is not hostile.
fn friendly(connection: &mut RawConnection, request: &RawRequest) -> io::Result<()> {
    let line = request.line();
    if line.starts_with(LOGIN) {
        return connection.answer("204 No Content\r\nx-mstr-authtoken: t", "");
    }
    connection.answer("200 OK", "{}")
}

fn endless(connection: &mut RawConnection, piece: impl AsRef<[u8]>) -> io::Result<()> {
    loop {
        connection.write(&piece)?;
    }
}

fn endless_body(connection: &mut RawConnection, head: &str) -> io::Result<()> {
    connection.write(format!("HTTP/1.1 {head}\r\n\r\n"))?;
    endless(connection, "x".repeat(PIECE))
}

fn ok(connection: &mut RawConnection) -> io::Result<()> {
    endless_body(connection, "200 OK")
}

fn error(connection: &mut RawConnection) -> io::Result<()> {
    endless_body(connection, "400 Bad Request")
}

fn endless_headers(connection: &mut RawConnection) -> io::Result<()> {
    connection.write("HTTP/1.1 200 OK\r\n")?;
    endless(connection, format!("x-more: {}\r\n", "x".repeat(1_000)).repeat(64))
}

fn endless_short_headers(connection: &mut RawConnection) -> io::Result<()> {
    connection.write("HTTP/1.1 200 OK\r\n")?;
    endless(connection, "a:\r\n".repeat(10_000))
}

fn many_cookies(connection: &mut RawConnection, count: usize, length: usize) -> io::Result<()> {
    let mut head = "204 No Content\r\nx-mstr-authtoken: t".to_owned();
    for number in 0..count {
        head.push_str(&format!("\r\nset-cookie: c{number}={}", "x".repeat(length)));
    }
    connection.answer(&head, "")
}

/// One project with a name of megabytes.
fn huge_project(connection: &mut RawConnection) -> io::Result<()> {
    let first = format!(r#"[{{"id":"{:032X}","name":""#, 1);
    repeated(connection, &first, "x", r#""}]"#)
}

/// As many as have room.
fn many_projects(connection: &mut RawConnection) -> io::Result<()> {
    let project = format!(r#"{{"id":"{:032X}"}}"#, 1);
    repeated(connection, "[", &format!("{project},"), &format!("{project}]"))
}

/// As many entries that are none.
fn empty_projects(connection: &mut RawConnection) -> io::Result<()> {
    repeated(connection, "[", "{},", "{}]")
}

/// One entry that has a list of numbers under this key.
fn odd_project(connection: &mut RawConnection, key: &str) -> io::Result<()> {
    repeated(connection, &format!(r#"[{{"{key}":["#), "1,", "1]}]")
}

/// A body of 15 MiB, written as it is made: the server's memory is the process's too.
fn repeated(
    connection: &mut RawConnection,
    first: &str,
    piece: &str,
    last: &str,
) -> io::Result<()> {
    let pieces = 15 * MIB / piece.len() / 1024;
    let size = first.len() + pieces * 1024 * piece.len() + last.len();
    connection.write(format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n{first}"))?;
    let piece = piece.repeat(1024);
    for _ in 0..pieces {
        connection.write(&piece)?;
    }
    connection.write(last)
}

fn compressed(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// A thousand times as large as it looks: of members of a megabyte each.
fn bomb(connection: &mut RawConnection, head: &str) -> io::Result<()> {
    static MEMBER: LazyLock<Vec<u8>> = LazyLock::new(|| compressed(&vec![b' '; MIB]));
    connection.answer(&format!("{head}\r\ncontent-encoding: gzip"), MEMBER.repeat(128))
}
