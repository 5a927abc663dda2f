//! The laws: what the documentation promises of any life of a connection.

use std::fmt;

macro_rules! laws {
    ($($name:ident $text:literal,)+) => {
        #[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
        pub(crate) enum Law {
            $($name,)+
        }

        impl Law {
            /// All of them, with what they say.
            pub(crate) const ALL: &'static [(Self, &'static str)] = &[$((Self::$name, $text),)+];
        }
    };
}

laws! {
    ActedOnce "A request that is not idempotent is carried out once at most.",
    OwnAnswer "Each caller gets the answer to its own request.",
    InTime "Each operation ends within its time, and closing does not wait for a credential provider.",
    Refused "A password that the server has refused is not submitted again before a reset.",
    Submissions "Without the server's answer a password is submitted twice, then not for 30 seconds, doubling to 15 minutes.",
    OneLogin "No login or renewal of a connection is sent while another is awaited.",
    Economy "A session that lives and is known is not replaced by another login, and one that was opened is used.",
    Needed "A session is renewed where it was silent for long, or as a caller asked.",
    Silence "After `close()` has returned nothing is sent but logouts in the background.",
    Closed "After `close()` has returned, calls fail with `Closed`.",
    NothingLeft "No session stays open but those whose login or logout was lost on the way.",
    NoSecret "No password, token or cookie is shown, or sent where it does not belong.",
    OwnOrigin "Nothing of the session is sent to another origin.",
    OwnCookies "Token and cookies that are sent belong to one session.",
    RightUser "`fetch_user` tells the user of the credentials in use.",
    RightProject "A call is about the project of its handle.",
    RightStatus "`fetch_status` does not say that a living session has ended.",
    Rooted "Each entry of the timeline has a cause that leads to a root.",
    Heals "When the faults are over, calls succeed, and callers share one login.",
    WrongCredentials "Only a refusal by the server is told as wrong credentials.",
    RetryAfter "A login or a call is not sent again before the server's Retry-After is over, and callers without that time are told at once.",
    Repeated "A logout that something in front of the server refused is sent again.",
    Finished "A login under way is not given up before its time, whoever has stopped waiting for it.",
    Undisturbed "Where nothing happens that a call has to fail for, none fails; and none is told of a panic.",
    Fronted "Headers for a gateway are on every request to the server, the session's own included.",
    Executed "An error that says that the call was not executed is right.",
    Kept "A connection that borrows a session leaves it to its owner.",
    Outcomes "`close()` says of the session what has become of it.",
    Opened "`open()` and `renew()` succeed in a session that the server has opened or extended.",
    Asked "A bare 401 is delivered after the server has been asked whether the session lives.",
    NoPanic "Nothing panics, and nothing waits for ever.",
    Same "Both drivers and the bare machines do the same.",
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A law that was broken.
#[derive(Clone, Debug)]
pub(crate) struct Broken {
    pub(crate) law: Law,
    pub(crate) said: String,
}
