//! All of them.

use http::Method;
use mstr::ErrorKind;

use super::situation::Situation;
use super::{few, http2, keepalive, limits, pages, paths, proxies, reloads, sticky};
use crate::gateways::Kind::{self, Apache, Haproxy, Nginx, Squid, Tinyproxy};
use crate::tally::Failure;
use crate::way::Way;

const REVERSE: &[Kind] = &[Nginx, Haproxy, Apache];
const FORWARD: &[Kind] = &[Squid, Tinyproxy];

const RELOADED: &str = "every GET succeeds; each reload may cut off two POSTs over hyper, eight over \
                        isahc";

const PROXIED: &str = "every GET succeeds; POSTs may meet the closing of a connection that the proxy \
                       seems to keep: four over hyper, any over isahc";

/// In the order of the table.
pub(crate) const SITUATIONS: &[Situation] = &[
    Situation {
        name: "short keep-alive",
        expected: "every GET succeeds; a POST may meet the closing of its connection, four at most",
        on: REVERSE,
        ways: Way::ALL,
        may_fail: is_interrupted_post,
        at_most: |_| 4,
        play: keepalive::play,
    },
    Situation {
        name: "five reloads",
        expected: RELOADED,
        on: REVERSE,
        ways: Way::ALL,
        may_fail: is_cut_off_post,
        at_most: cut_off_by_reloads,
        play: reloads::play,
    },
    Situation {
        name: "HTTP/2",
        expected: "everything succeeds, in HTTP/2",
        on: REVERSE,
        ways: Way::TASKS,
        may_fail: is_none,
        at_most: |_| 0,
        play: http2::play,
    },
    Situation {
        name: "HTTP/2, 20 requests a connection",
        expected: "everything succeeds, in HTTP/2; over isahc, each of 24 connections may end with \
                   four POSTs cut off",
        on: &[Nginx],
        ways: Way::TASKS,
        may_fail: is_interrupted_post,
        at_most: |way| if way.is_isahc() { 96 } else { 0 },
        play: http2::play_short,
    },
    Situation {
        name: "HTTP/2, five reloads",
        expected: "every GET succeeds; each reload may cut off the POSTs of eight workers",
        on: REVERSE,
        ways: Way::TASKS,
        may_fail: is_cut_off_post,
        at_most: |_| 5 * 8,
        play: reloads::play_http2,
    },
    Situation {
        name: "sticky cookie, one of two servers dies",
        expected: "sessions move to the other server; only POSTs that were under way may fail, one \
                   for each of eight workers",
        on: REVERSE,
        ways: Way::TASKS,
        may_fail: is_cut_off_post,
        at_most: |_| 8,
        play: sticky::play,
    },
    Situation {
        name: "rate limit",
        expected: "calls fail with the gateway's 429 or 503 and nothing else",
        on: &[Nginx, Haproxy],
        ways: Way::TASKS,
        may_fail: is_limited,
        at_most: |_| usize::MAX,
        play: limits::play,
    },
    Situation {
        name: "wrong cookie path",
        expected: "everything succeeds",
        on: REVERSE,
        ways: Way::TASKS,
        may_fail: is_none,
        at_most: |_| 0,
        play: paths::play,
    },
    Situation {
        name: "pages of the gateway",
        expected: "401 and 403 are Gateway, 413 is Request, 502 (or 503) is Server; the session \
                   outlives them; a login behind a wall is Gateway",
        on: REVERSE,
        ways: Way::TASKS,
        may_fail: is_none,
        at_most: |_| 0,
        play: pages::play,
    },
    Situation {
        name: "four connections for sixteen calls",
        expected: "everything succeeds; over isahc eight POSTs may meet the closing of their \
                   connections",
        on: &[Haproxy],
        ways: Way::TASKS,
        may_fail: is_interrupted_post,
        at_most: |way| if way.is_isahc() { 8 } else { 0 },
        play: few::play,
    },
    Situation {
        name: "proxy to http",
        expected: PROXIED,
        on: FORWARD,
        ways: Way::ALL,
        may_fail: is_interrupted_post,
        at_most: closed_after_each,
        play: proxies::play_http,
    },
    Situation {
        name: "proxy to https",
        expected: "everything succeeds",
        on: FORWARD,
        ways: Way::TASKS,
        may_fail: is_none,
        at_most: |_| 0,
        play: proxies::play_https,
    },
    Situation {
        name: "proxy with a password",
        expected: "the same with the password, to http and to https; without it and with a wrong \
                   one the login is Config, where the transport can tell, and nothing reaches the \
                   server",
        on: FORWARD,
        ways: Way::TASKS,
        may_fail: is_interrupted_post,
        at_most: closed_after_each,
        play: proxies::play_password,
    },
    Situation {
        name: "proxy that opens no tunnel",
        expected: "the login is Config, or Connect over isahc, which libcurl does not tell apart; \
                   nothing reaches the server",
        on: FORWARD,
        ways: Way::TASKS,
        may_fail: is_none,
        at_most: |_| 0,
        play: proxies::play_no_tunnels,
    },
];

fn cut_off_by_reloads(way: Way) -> usize {
    5 * if way.is_isahc() { 8 } else { 2 }
}

/// tinyproxy closes each connection after one answer and does not say so before: libcurl may have
/// taken it for one that is kept.
fn closed_after_each(way: Way) -> usize {
    if way.is_isahc() { usize::MAX } else { 4 }
}

fn is_none(_: &Failure) -> bool {
    false
}

/// Its connection ended before the answer, so that it is unknown whether it was carried out.
fn is_interrupted_post(failure: &Failure) -> bool {
    failure.method == Method::POST && failure.kind == ErrorKind::Interrupted
}

/// The same, or the gateway says so of its own connection.
fn is_cut_off_post(failure: &Failure) -> bool {
    let status = failure.status.map(|status| status.as_u16());
    let said = matches!(status, Some(502..=504)) && failure.method == Method::POST;
    said || is_interrupted_post(failure)
}

fn is_limited(failure: &Failure) -> bool {
    matches!(failure.status.map(|status| status.as_u16()), Some(429 | 503))
}
