//! HAProxy.

use std::path::Path;

use super::setting::{PAGES, Places, Setting, Text, WALLED};
use crate::site::{FRONT, LIBRARY};

/// The arguments.
pub(super) fn words(folder: &Path) -> Vec<String> {
    ["-db".to_owned(), "-f".to_owned(), format!("{}/settings", folder.display())].into()
}

/// The arguments of a process that takes the place of another.
pub(super) fn words_of_successor(folder: &Path, before: u32) -> Vec<String> {
    let mut words = words(folder);
    // The sockets are handed over: no connection that waits to be accepted is lost.
    words.extend(["-x".to_owned(), format!("{}/socket", folder.display())]);
    words.extend(["-sf".to_owned(), before.to_string()]);
    words
}

pub(super) fn settings(setting: Setting, places: &Places<'_>) -> Text {
    let mut bind = String::new();
    let mut front = String::new();
    let mut back = String::new();
    let mut servers = format!("    server a {}\n", places.servers[0]);
    let mut idle = "5s";
    match setting {
        Setting::Plain => {}
        Setting::ShortKeepAlive => {
            idle = "1s";
            back += "    max-keep-alive-queue 1\n";
        }
        Setting::Http2 => {
            bind = format!(" ssl crt {} alpn h2,http/1.1", places.identity.display());
        }
        Setting::Sticky => {
            let [one, other] = places.servers else { return Err("it takes two servers".into()) };
            back += "    balance roundrobin\n    cookie ROUTE insert indirect nocache\n";
            let check = "check inter 200ms fall 1 rise 1";
            servers = format!(
                "    server a {one} cookie a {check}\n    server b {other} cookie b {check}\n"
            );
        }
        Setting::RateLimit => {
            back += "    stick-table type ip size 10 expire 5s store http_req_rate(500ms)\n    \
                     http-request track-sc0 src\n    \
                     http-request deny deny_status 429 if { sc_http_req_rate(0) gt 30 }\n";
        }
        Setting::WrongCookiePath => {
            back += &format!(
                "    http-response replace-header Set-Cookie (.*)Path={LIBRARY}(.*) \
                 \\1Path=/other\\2\n"
            );
        }
        Setting::Pages => {
            let path = |page: u16| format!("{{ path {LIBRARY}{PAGES}/{page} }}");
            front += &denied(401, &path(401));
            front += &denied(403, &path(403));
            let large = "{ req.hdr(content-length),sub(1024) -m int gt 0 }";
            front += &denied(413, &format!("{} {large}", path(413)));
            front += &denied(401, &format!("{{ path_beg {WALLED}/ }}"));
            let unused = places.unused;
            front += &format!("    use_backend unused if {{ path {LIBRARY}{PAGES}/502 }}\n");
            servers += &format!("backend unused\n    retries 0\n    server a 127.0.0.1:{unused}\n");
        }
        Setting::FewConnections => {
            // What waits beyond that has no connection before another one ends.
            front += "    maxconn 4\n";
            idle = "200ms";
        }
        Setting::ShortHttp2 | Setting::Password | Setting::NoTunnels => {
            return Err("HAProxy cannot be told that".into());
        }
    }
    let Places { folder, port, .. } = places;
    let folder = folder.display();
    Ok(format!(
        "global
    stats socket {folder}/socket mode 600 expose-fd listeners level admin
    maxconn 256
    nbthread 2
defaults
    mode http
    timeout connect 1s
    timeout client 10s
    timeout server 10s
    timeout queue 5s
    timeout http-request 5s
    timeout http-keep-alive {idle}
    option redispatch
    retries 2
frontend front
    bind 127.0.0.1:{port}{bind}
    http-request set-header {FRONT} HTTP/%[req.ver]
{front}    default_backend library
backend library
{back}{servers}"
    ))
}

fn denied(status: u16, condition: &str) -> String {
    format!("    http-request deny deny_status {status} if {condition}\n")
}
