//! The texts of the call's page, and the attributes that matter to each input.

use super::driver::{Driver, MAX_ATTEMPTS, NOT_ASKED_FOR};
use super::inputs::{Input, Reply};
use super::situation::{
    ABOUT, BALANCED, CLOSED, EXCHANGED, Given, NEAR, NEVER, NO_TURN, NONE, PASSED, STAY, Situation,
    WAITED,
};
use crate::conditions::Attributes;
use crate::document::Page;
use crate::graph::Done;

impl Page for Driver {
    const INTRODUCTION: &'static str = "\
# The call machine, state by state

A test gives calls every input in every situation, until it finds no further situation. The tables
below are generated from the results, and a test fails where they differ. An arrow shows that an input
*can* change the state; the tables show when. The calls are a GET, a POST, a POST whose body can be sent
once, a GET about the session in use, and GETs without the session; with and without a limit of calls in
flight, a shared store and front headers; with a deadline and without. Each call uses a real session, in
which other calls are answered meanwhile. Inputs that a call did not ask for are tried in every state,
before the call is sent again.

In the tables, the column `if` holds the condition, and is empty where the row always applies. The head
of an error is given twice: first without the beginning of its body, then with it. *No wait* means that
the request is sent again at once; *a moment's wait* is for a cookie that may be on its way; *a wait*
grows with each failure. A session is *given up* in the same step: the next access opens another one.
The caller gets the response (*delivered*) or a *failure*.
";
    const SENT: &'static str = "asks for";
    const WHICH: &'static [&'static str] = &[];
    const TELLING: &'static [&'static str] = &[
        "mistake",
        "none open",
        "late",
        "turn",
        "why",
        "about",
        "login",
        "put_back",
        "attempt",
        "time",
        "repeatable",
        "safe",
        "redirect",
        "spent",
        "wants",
        "auth",
        "home",
        "consulted",
    ];
    const UNEXPECTED: Option<&'static str> = Some(
        "every input that is in no row of a state's table: *over*, failure: usage. The call did not \
         ask for it.",
    );

    fn attributes(input: Input, situation: &Situation) -> Attributes {
        let matter: &[&str] = match input {
            Input::Proceed => &["mistake", "wants", "auth", "consulted", "home", "late"],
            Input::Access => &["wants", "late"],
            Input::FrontHeaders { given: true } => &["late"],
            Input::Head(reply) if reply.is_redirect() => &["redirect", "spent"],
            Input::Told(reply) if reply.is_gone() => &["about", "login", "repeatable"],
            Input::Told(reply) if reply.is_suspect() => &["about", "repeatable", "spent"],
            Input::Verdict(_) => &["login", "repeatable", "spent"],
            Input::Failure(failure) if failure.is_unprocessed() => {
                &["attempt", "repeatable", "spent", "put_back"]
            }
            Input::Told(_) | Input::Failure(_) => &["attempt", "repeatable", "safe", "spent"],
            _ => &[],
        };
        let own = situation.attributes.iter().filter(|found| matter.contains(&found.name));
        let mut attributes: Attributes =
            own.map(|attribute| (attribute.name, attribute.value.clone())).collect();
        let mut add = |name, yes: bool, then: &str, otherwise: &str| {
            attributes.insert(name, if yes { then } else { otherwise }.to_owned());
        };
        let is = |name, value| situation.is(name, value);
        let near = is("deadline", NEAR) || is("deadline", PASSED);
        match input {
            Input::Access => {
                let none = is("about", ABOUT) && is("session", CLOSED);
                let about = "it is about the session in use, and none is open";
                add("none open", none, about, "a session is open or may be opened");
                let needed = is("turns", EXCHANGED) && is("turn", NO_TURN);
                add("turn", needed, "a turn is needed", "no turn is needed, or it has one");
            }
            Input::Told(reply) if reply.is_gone() => {
                attributes.insert("why", why(situation, near).to_owned());
            }
            Input::Told(reply) if reply.is_suspect() => {
                let current =
                    situation.given == Given::Current || situation.is("balanced", BALANCED);
                let why = match situation.given {
                    _ if current => "the session's cookie is up to date",
                    Given::Nothing => "it is sent without the session",
                    _ if situation.is("outdated", NEVER) => {
                        "the session or its cookie has been replaced for the 65th time"
                    }
                    _ => "the session or its cookie has been replaced",
                };
                attributes.insert("why", why.to_owned());
            }
            Input::Told(_) | Input::Failure(_) => {
                let far = is("deadline", NONE);
                let time = if input == Input::Told(Reply::ComeBackLater) { far } else { !near };
                add("time", time, "there is time", "the wait would end after the deadline");
            }
            _ => {}
        }
        attributes
    }

    fn summary(_: &str, done: &Done) -> Done {
        done.clone()
    }

    fn is_unexpected(done: &Done) -> bool {
        done.failure.as_deref() == Some(NOT_ASKED_FOR)
    }

    fn ending() -> String {
        format!("with {MAX_ATTEMPTS} attempts for each call")
    }
}

/// What may explain that the session seems to be gone.
fn why(situation: &Situation, near: bool) -> &'static str {
    let waited = situation.is("uncertain", WAITED);
    match situation.given {
        Given::Nothing => "it is sent without the session",
        Given::Outdated | Given::Replaced if situation.is("outdated", NEVER) => {
            "its grant is out of date for the 65th time"
        }
        Given::Outdated | Given::Replaced => "its grant is out of date",
        Given::Current if situation.is("turns", STAY) => "its grant is up to date, cookies stay",
        Given::Current if !situation.is("turn", NO_TURN) => {
            "its grant is up to date, it has a turn"
        }
        Given::Current if near || waited => {
            "cookies are replaced, and it has waited three times or cannot wait"
        }
        Given::Current => "cookies are replaced, and one may be on its way",
    }
}
