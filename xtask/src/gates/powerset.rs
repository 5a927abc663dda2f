//! Every combination of features of each published crate compiles without a warning.

use crate::command::{Outcome, cargo, run};
use crate::members::published;
use crate::tools::{HACK, openssl};

/// isahc refuses to build with two of them.
const ISAHC_TLS: [&str; 3] = ["native-tls", "native-tls-static", "rustls-tls"];
const FACADE_TLS: [&str; 3] = ["isahc", "isahc-native-tls-static", "isahc-rustls-tls"];

pub(crate) fn check(only: Option<&str>) -> Outcome {
    openssl()?;
    HACK.provide()?;
    let names: Vec<String> = published()?.iter().map(ToString::to_string).collect();
    let members: Vec<&String> =
        names.iter().filter(|name| only.is_none_or(|only| only == *name)).collect();
    if members.is_empty() {
        let only = only.unwrap_or_default();
        return Err(format!("\"{only}\" is none of the published crates: {}", names.join(", ")));
    }
    for member in members {
        let mut command = cargo("hack clippy --locked --lib --feature-powerset");
        command.args(["--package", member]);
        match member.as_str() {
            "mstr-isahc" => {
                command.args(["--mutually-exclusive-features", &ISAHC_TLS.join(",")]);
            }
            // Of its eleven features most go on to one crate, so that pairs show what there is.
            "mstr-sdk" => {
                command.args(["--mutually-exclusive-features", &FACADE_TLS.join(",")]);
                command.args(["--depth", "2"]);
            }
            _ => {}
        }
        run(command.args(["--", "-D", "warnings"]))?;
    }
    Ok(())
}
