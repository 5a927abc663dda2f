//! What is known of each request and of each session.

use std::time::Instant;

use http::Response;
use mstr_fake::ReplyBody;

use crate::laws::Law;
use crate::observer::Observer;
use crate::world::token;

/// One request, as it left.
#[derive(Clone, Debug)]
pub(crate) struct Sending {
    pub(crate) purpose: &'static str,
    /// When its time began: that of the first, if it is one that a kept connection lost.
    pub(crate) limited_from: Instant,
    /// How often the credentials had been reset.
    pub(crate) resets: u32,
    pub(crate) password: Option<String>,
    pub(crate) token: Option<String>,
    pub(crate) call: Option<u32>,
    /// The session that its answer opens or whose cookie it changes.
    pub(crate) opens: Option<String>,
    pub(crate) number: u64,
}

/// A session on the server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Its token has reached the client.
    pub(crate) delivered: bool,
    /// The client has sent something in it.
    pub(crate) used: bool,
    /// Its logout has been sent.
    pub(crate) logged_out: bool,
    /// How often the credentials had been reset.
    pub(crate) resets: u32,
    pub(crate) borrowed: bool,
    /// The request that opened it.
    pub(crate) number: u64,
    /// Another one has taken its place, or its user is another, while it was alive.
    pub(crate) superseded: bool,
    /// How many answers have come in it before the first refusal.
    pub(crate) answers: u32,
    pub(crate) refused: bool,
    /// Why it may stay open.
    pub(crate) excuse: Option<&'static str>,
}

impl Sending {
    /// For the story.
    pub(crate) fn submits(&self) -> String {
        self.password.as_ref().map(|password| format!(" with {password}")).unwrap_or_default()
    }

    /// The server has carried it out.
    pub(crate) fn acted(&mut self, response: &Response<ReplyBody>, observer: &mut Observer) {
        if matches!(self.purpose, "login" | "delegate")
            && let Some(opened) = token(response.headers())
        {
            let seen = Seen {
                resets: self.resets,
                borrowed: self.purpose == "delegate",
                number: self.number,
                ..Seen::default()
            };
            observer.sessions.insert(opened.clone(), seen);
            self.opens = Some(opened);
        }
        if !response.status().is_success() {
            return;
        }
        let Some((call, times)) = self.call.and_then(|id| observer.calls.get_mut(&id)) else {
            return;
        };
        *times += 1;
        if *times > 1 && !call.may_be_repeated() {
            let said = format!("call {} ({}) was carried out {times} times", call.id, call.method);
            observer.broken(Law::ActedOnce, said);
        }
    }
}
