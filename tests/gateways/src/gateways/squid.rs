//! Squid.

use std::path::Path;

use super::setting::{PROXY_USER, Places, Setting, Text};

/// The arguments.
pub(super) fn words(folder: &Path) -> Vec<String> {
    ["-N".to_owned(), "-f".to_owned(), format!("{}/settings", folder.display())].into()
}

pub(super) fn settings(setting: Setting, places: &Places<'_>) -> Text {
    let folder = places.folder.display();
    let access = match setting {
        Setting::Plain => "http_access allow all\n".to_owned(),
        Setting::NoTunnels => "http_access deny CONNECT\nhttp_access allow all\n".to_owned(),
        Setting::Password => format!(
            "auth_param basic program /bin/sh {folder}/{ASKED}
auth_param basic children 1
auth_param basic realm gateway
acl known proxy_auth REQUIRED
http_access allow known
http_access deny all
"
        ),
        _ => return Err("Squid cannot be told that".into()),
    };
    Ok(format!(
        "http_port 127.0.0.1:{}
{access}cache deny all
cache_mem 8 MB
memory_pools off
max_filedescriptors 1024
access_log none
cache_log {folder}/error.log
cache_store_log none
pid_filename none
netdb_filename none
pinger_enable off
coredump_dir {folder}
shutdown_lifetime 0 seconds
visible_hostname gateway.example
",
        places.port
    ))
}

/// The file with [`asked`].
pub(super) const ASKED: &str = "asked.sh";

/// A program that is asked whether a user and a password are right.
pub(super) fn asked() -> String {
    let (user, password) = PROXY_USER;
    format!(
        "while read -r user password; do
    if [ \"$user $password\" = \"{user} {password}\" ]; then echo OK; else echo ERR; fi
done
"
    )
}
