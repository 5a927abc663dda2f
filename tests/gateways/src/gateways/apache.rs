//! Apache httpd.

use std::path::Path;

use super::setting::{PAGES, Places, Setting, Text, WALLED};
use crate::site::{FRONT, LIBRARY};

/// The arguments.
pub(super) fn words(folder: &Path) -> Vec<String> {
    let settings = format!("{}/settings", folder.display());
    ["-D".to_owned(), "FOREGROUND".to_owned(), "-f".to_owned(), settings].into()
}

pub(super) fn settings(setting: Setting, places: &Places<'_>) -> Text {
    let Places { folder, port, servers, unused, .. } = places;
    let (folder, first) = (folder.display(), servers[0]);
    let mut text = modules(places);
    // An unprivileged user, where one is required.
    if places.root {
        text += "User #65534\nGroup #65534\n";
    }
    text += &format!(
        "ServerRoot {folder}
DefaultRuntimeDir {folder}
PidFile {folder}/apache.pid
ErrorLog {folder}/error.log
LogLevel warn
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
StartServers 2
ServerLimit 16
ThreadsPerChild 16
MinSpareThreads 16
MaxSpareThreads 64
MaxRequestWorkers 96
Timeout 10
ProxyPreserveHost On
RequestHeader set {FRONT} expr=%{{SERVER_PROTOCOL}}
"
    );
    let pass = format!("ProxyPass / http://{first}/\n");
    match setting {
        Setting::Plain => text += &pass,
        Setting::ShortKeepAlive => {
            text += "MaxKeepAliveRequests 20\nKeepAliveTimeout 1\n";
            text += &pass;
        }
        Setting::Http2 => {
            let pem = places.identity.display();
            text += "SSLEngine on\nProtocols h2 http/1.1\n";
            text += &format!("SSLCertificateFile {pem}\nSSLCertificateKeyFile {pem}\n");
            text += &pass;
        }
        Setting::Sticky => {
            let [one, other] = places.servers else { return Err("it takes two servers".into()) };
            text += &format!(
                "<Proxy balancer://library>
    BalancerMember http://{one} route=a retry=60
    BalancerMember http://{other} route=b retry=60
    ProxySet stickysession=ROUTE
</Proxy>
Header always add Set-Cookie \"ROUTE=.%{{BALANCER_WORKER_ROUTE}}e; Path=/\" \
                 env=BALANCER_ROUTE_CHANGED
ProxyPass / balancer://library/
"
            );
        }
        Setting::WrongCookiePath => {
            text += &pass;
            text += &format!("ProxyPassReverseCookiePath {LIBRARY} /other\n");
        }
        Setting::Pages => {
            text += "RewriteEngine On\n";
            for page in [401, 403] {
                text += &format!("RewriteRule ^{LIBRARY}{PAGES}/{page}$ - [R={page},L]\n");
            }
            text += &format!("RewriteRule ^{WALLED}/ - [R=401,L]\n");
            // LimitRequestBody is not for what is passed on.
            text += "RewriteCond expr \"%{HTTP:Content-Length} -gt 1024\"\n";
            text += &format!("RewriteRule ^{LIBRARY}{PAGES}/413$ - [R=413,L]\n");
            text += &format!("ProxyPass {LIBRARY}{PAGES}/502 http://127.0.0.1:{unused}/ retry=0\n");
            text += &pass;
        }
        _ => return Err("Apache httpd cannot be told that".into()),
    }
    Ok(text)
}

/// Modules that are compiled in on some systems and loaded on others.
const NEEDED: [(&str, &str); 13] = [
    ("mpm_event_module", "mpm_event"),
    ("unixd_module", "unixd"),
    ("authz_core_module", "authz_core"),
    ("headers_module", "headers"),
    ("http2_module", "http2"),
    ("proxy_module", "proxy"),
    ("proxy_http_module", "proxy_http"),
    ("slotmem_shm_module", "slotmem_shm"),
    ("proxy_balancer_module", "proxy_balancer"),
    ("lbmethod_byrequests_module", "lbmethod_byrequests"),
    ("rewrite_module", "rewrite"),
    ("socache_shmcb_module", "socache_shmcb"),
    ("ssl_module", "ssl"),
];

fn modules(places: &Places<'_>) -> String {
    let folder = places.modules.display();
    let load = |(name, file): &(&str, &str)| {
        format!("<IfModule !{name}>\nLoadModule {name} {folder}/mod_{file}.so\n</IfModule>\n")
    };
    NEEDED.iter().map(load).collect()
}
