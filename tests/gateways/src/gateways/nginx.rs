//! nginx.

use std::path::Path;

use super::setting::{PAGES, Places, Setting, Text, WALLED};
use crate::site::{FRONT, LIBRARY};

/// The arguments.
pub(super) fn words(folder: &Path) -> Vec<String> {
    let folder = folder.display();
    let words = [("-p", ""), ("-e", "/error.log"), ("-c", "/settings")];
    words.iter().flat_map(|(word, file)| [(*word).to_owned(), format!("{folder}{file}")]).collect()
}

pub(super) fn settings(setting: Setting, places: &Places<'_>) -> Text {
    let http2 = matches!(setting, Setting::Http2 | Setting::ShortHttp2);
    let listen = match (http2, has_directive_http2(places.version)) {
        (false, _) => "",
        (true, false) => " ssl http2",
        (true, true) => " ssl; http2 on",
    };
    let mut general = String::new();
    let mut server = String::new();
    let mut location = String::new();
    let mut locations = String::new();
    let mut library = format!("server {};", places.servers[0]);
    let mut upstream = "library";
    if http2 {
        let pem = places.identity.display();
        server += &format!("ssl_certificate {pem};\nssl_certificate_key {pem};\n");
    }
    match setting {
        Setting::ShortKeepAlive | Setting::ShortHttp2 => {
            server += "keepalive_requests 20;\nkeepalive_timeout 1s;\n";
        }
        Setting::Sticky => {
            let [one, other] = places.servers else { return Err("it takes two servers".into()) };
            general += &sticky(&one.to_string(), &other.to_string());
            location += "add_header Set-Cookie \"ROUTE=$route; Path=/\" always;\n";
            library = format!("server {one};\nserver {other};");
            upstream = "$to";
        }
        Setting::RateLimit => {
            general += "limit_req_zone $binary_remote_addr zone=all:1m rate=100r/s;\n";
            location += "limit_req zone=all burst=4 nodelay;\n";
        }
        Setting::WrongCookiePath => location += &format!("proxy_cookie_path {LIBRARY} /other;\n"),
        Setting::Pages => locations += &pages(places.unused),
        Setting::Plain | Setting::Http2 => {}
        Setting::FewConnections | Setting::Password | Setting::NoTunnels => {
            return Err("nginx cannot be told that".into());
        }
    }
    let user = if places.root { "user root;\n" } else { "" };
    let Places { folder, port, .. } = places;
    let folder = folder.display();
    Ok(format!(
        "daemon off;
{user}worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream library {{ {library} keepalive 16; }}
    {general}
    server {{
        listen 127.0.0.1:{port}{listen};
        {server}
        location / {{
            proxy_pass http://{upstream};
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_set_header Host $http_host;
            proxy_set_header {FRONT} $server_protocol;
            {location}
        }}
        {locations}
    }}
}}
"
    ))
}

/// A server, with the other one for when it is away, chosen by a cookie.
fn sticky(one: &str, other: &str) -> String {
    let upstream = |name: &str, first: &str, second: &str| {
        format!("upstream {name} {{ server {first}; server {second} backup; keepalive 16; }}\n")
    };
    format!(
        "{}{}map $cookie_ROUTE $to {{ default library; a one; b other; }}
    map $upstream_addr $route {{ default a; \"~{}$\" b; }}\n",
        upstream("one", one, other),
        upstream("other", other, one),
        other.replace('.', "\\."),
    )
}

fn pages(unused: u16) -> String {
    let page =
        |name: &str, what: &str| format!("location = {LIBRARY}{PAGES}/{name} {{ {what} }}\n");
    let wall = format!("location {WALLED}/ {{ return 401; }}\n");
    [
        page("401", "return 401;"),
        page("403", "return 403;"),
        page("413", "client_max_body_size 1k; proxy_pass http://library;"),
        page("502", &format!("proxy_pass http://127.0.0.1:{unused};")),
        wall,
    ]
    .concat()
}

/// From 1.25.1 on HTTP/2 is switched on by a word of its own.
fn has_directive_http2(version: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    (next(), next(), next()) >= (1, 25, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http2_is_switched_on_as_the_version_wants_it() {
        assert!(has_directive_http2("1.25.1") && has_directive_http2("1.29"));
        assert!(!has_directive_http2("1.22.1") && !has_directive_http2(""));
    }
}
