//! tinyproxy.

use std::path::Path;

use super::setting::{PROXY_USER, Places, Setting, Text};

/// The arguments.
pub(super) fn words(folder: &Path) -> Vec<String> {
    ["-d".to_owned(), "-c".to_owned(), format!("{}/settings", folder.display())].into()
}

pub(super) fn settings(setting: Setting, places: &Places<'_>) -> Text {
    let special = match setting {
        Setting::Plain => String::new(),
        Setting::NoTunnels => "ConnectPort 1\n".to_owned(),
        Setting::Password => format!("BasicAuth {} {}\n", PROXY_USER.0, PROXY_USER.1),
        _ => return Err("tinyproxy cannot be told that".into()),
    };
    Ok(format!(
        "Port {}
Listen 127.0.0.1
Timeout 10
MaxClients 64
Allow 127.0.0.1
LogLevel Warning
{special}",
        places.port
    ))
}
