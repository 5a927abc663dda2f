//! What sessions are opened with and adopted from, made up for the exploration.

use http::HeaderMap;
use mstr_core::session::SessionRecord;
use mstr_core::{Credentials, Grant};

use super::inputs::Given;

/// Where the server is.
pub(crate) const BASE: &str = "https://env.example.com/MicroStrategyLibrary";

/// Each with a secret of its own.
pub(crate) fn credentials(given: Given, number: u32) -> Option<Credentials> {
    match given {
        Given::Password => Some(Credentials::standard("alice", format!("secret{number}"))),
        Given::IdentityToken => Some(Credentials::identity_token(format!("identity{number}"))),
        Given::Unusable => Some(Credentials::ldap("alice", "")),
        Given::Nothing => None,
    }
}

/// A session that was opened elsewhere.
pub(crate) fn record(base: &str, token: &str, generation: u64, borrowed: bool) -> SessionRecord {
    let text = format!(
        r#"{{"version":1,"base":"{base}","generation":{generation},"token":"{token}",
        "cookies":[["JSESSIONID","j-{token}"]],"idle_seconds":600,"borrowed":{borrowed},
        "exchanges":false,
        "project":{{"id":"B19DEDCC11D4E0EFC000EB9495D0F44F","name":"Sales","status":0}}}}"#
    );
    SessionRecord::from_bytes(text.as_bytes()).unwrap()
}

pub(crate) fn token(grant: &Grant) -> String {
    let mut headers = HeaderMap::new();
    grant.apply(&mut headers, None);
    headers.get("x-mstr-authtoken").unwrap().to_str().unwrap().to_owned()
}
