//! Reading the body of an answer that is an error: once, straight into what is kept of it.
//!
//! When a session ends, each of the calls that are under way reads such a body, so it takes no
//! detour by a tree of values.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

use super::server::{ServerCode, ServerError, TicketId};

/// The longest message kept from an error body, in bytes: enough to understand it, not enough
/// for a page of HTML.
pub(super) const MESSAGE_LIMIT: usize = 2_000;

/// How many further errors of one answer are kept.
const FURTHER_LIMIT: usize = 20;

/// The longest code or ticket that is kept, in bytes. The server's have 32 at most.
const NAME_LIMIT: usize = 100;

/// The longest text of a number.
const NUMBER_LIMIT: usize = 40;

/// The beginning of an error's body, and what the server says in it, if it is in its format.
#[derive(Debug)]
pub(crate) struct Refused<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) server: Option<ServerError>,
}

impl<'a> Refused<'a> {
    pub(crate) fn read(bytes: &'a [u8]) -> Self {
        Self { bytes, server: parse_error_body(bytes) }
    }
}

/// Reads an error body: `None` if it is not in the server's format.
///
/// The content type is not asked: error bodies carry a charset where successful ones do not, and
/// gateways label HTML as JSON and the reverse.
pub(crate) fn parse_error_body(body: &[u8]) -> Option<ServerError> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let read = reader.deserialize_any(Object { outer: true }).ok()?;
    reader.end().ok()?;
    let One { error, has_code, errors } = read;
    match errors.map(Vec::into_iter) {
        Some(mut all) => match all.next() {
            Some(mut first) => {
                first.further = all.collect();
                Some(first)
            }
            None => has_code.then_some(error),
        },
        None => Some(error),
    }
}

/// What an object of the format says.
struct One {
    error: ServerError,
    has_code: bool,
    /// Those of the list in it, if there is one.
    errors: Option<Vec<ServerError>>,
}

/// The names in the format.
enum Name {
    Code,
    Errors,
    Message,
    Number { usual: bool },
    Other,
    Ticket,
}

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Self;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self, E> {
        Ok(match name {
            "code" => Self::Code,
            "errors" => Self::Errors,
            "message" => Self::Message,
            "iServerCode" => Self::Number { usual: true },
            "IserverCode" => Self::Number { usual: false },
            "ticketId" => Self::Ticket,
            _ => Self::Other,
        })
    }
}

/// Reads an object; `None` in place of anything else, unless it is the outer one.
struct Object {
    outer: bool,
}

impl<'de> Visitor<'de> for Object {
    type Value = One;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<One, A::Error> {
        let (mut code, mut message, mut ticket) = (String::new(), String::new(), String::new());
        let (mut number, mut other_number) = (None, None);
        let (mut has_code, mut errors) = (false, None);
        while let Some(name) = map.next_key_seed(Name::Other)? {
            match name {
                Name::Code => {
                    code = map.next_value_seed(Value(Text(NAME_LIMIT)))?.unwrap_or_default();
                    has_code = true;
                }
                Name::Message => {
                    message = map.next_value_seed(Value(Text(MESSAGE_LIMIT)))?.unwrap_or_default();
                }
                Name::Ticket => {
                    ticket = map.next_value_seed(Value(Text(NAME_LIMIT)))?.unwrap_or_default();
                }
                Name::Number { usual: true } => number = map.next_value_seed(Value(Whole))?,
                Name::Number { usual: false } => {
                    other_number = map.next_value_seed(Value(Whole))?;
                }
                Name::Errors if self.outer => errors = map.next_value_seed(Value(List))?,
                Name::Errors | Name::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let error = ServerError {
            code: ServerCode(code),
            iserver_code: number.or(other_number),
            message,
            ticket: (!ticket.is_empty()).then_some(TicketId(ticket)),
            further: Vec::new(),
        };
        Ok(One { error, has_code, errors })
    }
}

/// What is made of a value of one of the types that are expected at a place.
trait Wanted: Sized {
    type Made;

    fn text(self, _text: &str) -> Option<Self::Made> {
        None
    }

    fn number(self, _number: &Number) -> Option<Self::Made> {
        None
    }

    fn list<'de, A: SeqAccess<'de>>(self, list: A) -> Result<Option<Self::Made>, A::Error> {
        skip(list).map(|()| None)
    }

    fn object<'de, A: MapAccess<'de>>(self, mut map: A) -> Result<Option<Self::Made>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

fn skip<'de, A: SeqAccess<'de>>(mut list: A) -> Result<(), A::Error> {
    while list.next_element::<IgnoredAny>()?.is_some() {}
    Ok(())
}

/// A text of so many bytes at most. A number is taken as one.
struct Text(usize);

impl Wanted for Text {
    type Made = String;

    fn text(self, text: &str) -> Option<String> {
        Some(beginning(text, self.0).to_owned())
    }

    fn number(self, number: &Number) -> Option<String> {
        Some(number.to_string())
    }
}

/// A whole number. A text of one is taken, too.
struct Whole;

impl Wanted for Whole {
    type Made = i64;

    fn text(self, text: &str) -> Option<i64> {
        text.get(..text.len().min(NUMBER_LIMIT))?.parse().ok()
    }

    fn number(self, number: &Number) -> Option<i64> {
        number.as_i64()
    }
}

/// The errors of a list.
struct List;

impl Wanted for List {
    type Made = Vec<ServerError>;

    fn list<'de, A: SeqAccess<'de>>(self, mut list: A) -> Result<Option<Self::Made>, A::Error> {
        let mut all = Vec::new();
        while let Some(element) = list.next_element_seed(Value(Element))? {
            all.extend(element);
            if all.len() > FURTHER_LIMIT {
                skip(list)?;
                break;
            }
        }
        Ok(Some(all))
    }
}

/// One of them.
struct Element;

impl Wanted for Element {
    type Made = ServerError;

    fn object<'de, A: MapAccess<'de>>(self, map: A) -> Result<Option<ServerError>, A::Error> {
        Object { outer: false }.visit_map(map).map(|one| Some(one.error))
    }
}

/// Reads a value of any type; `None` for one that is not wanted.
struct Value<W>(W);

impl<'de, W: Wanted> DeserializeSeed<'de> for Value<W> {
    type Value = Option<W::Made>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de, W: Wanted> Visitor<'de> for Value<W> {
    type Value = Option<W::Made>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(self.0.number(&number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(self.0.number(&number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Number::from_f64(number).and_then(|number| self.0.number(&number)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(self.0.text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        self.0.list(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        self.0.object(map)
    }
}

/// As much of a text as fits into so many bytes.
fn beginning(text: &str, limit: usize) -> &str {
    let end = (0..=limit.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Option<ServerError> {
        parse_error_body(body.as_bytes())
    }

    #[test]
    fn body_is_read_whatever_else_stands_in_it() {
        let error = read(
            r#" {"a":[1,{"code":"ERR001"}],"code":"ERR001","b":{"errors":[]},"code":"ERR009",
                 "message":null,"iServerCode":[1],"IserverCode":"-12","errors":{"x":[true]},
                 "ticketId":7,"c":1.5,"d":"\u00e4"} "#,
        );
        let error = error.expect("an error body");
        assert_eq!(error.code, "ERR009", "the last one counts");
        assert_eq!((error.iserver_code, &*error.message), (Some(-12), ""));
        assert_eq!(error.ticket.expect("a ticket").as_str(), "7");
        let error = read(r#"{"code":1.5,"iServerCode":3,"IserverCode":4,"message":["no"]}"#);
        let error = error.expect("an error body");
        assert_eq!((error.code.as_str(), error.iserver_code), ("1.5", Some(3)));
        let error = read(r#"{"iServerCode":18446744073709551615,"message":-1}"#).expect("one");
        assert_eq!((error.iserver_code, &*error.message), (None, "-1"));
    }

    #[test]
    fn list_of_errors_is_read_up_to_a_limit() {
        let error = read(r#"{"errors":[1,"no",{"code":"ERR001","errors":[{}]},null,{}]}"#);
        let error = error.expect("an error body");
        assert_eq!((error.code.as_str(), error.further.len()), ("ERR001", 1));
        assert!(error.further.iter().all(|further| further.further.is_empty()));
        let many = format!(r#"{{"errors":[{}{{}}],"code":"ERR001"}}"#, "{},".repeat(100));
        assert_eq!(read(&many).expect("an error body").further.len(), FURTHER_LIMIT);
        for none in [r#"{"errors":[]}"#, r#"{"errors":[1]}"#] {
            assert_eq!(read(none), None);
        }
        let own = read(r#"{"errors":[],"code":"ERR009"}"#).expect("an error body");
        assert_eq!(own.code, "ERR009");
    }

    #[test]
    fn what_is_not_an_object_or_not_json_is_not_an_error_body() {
        for body in ["", "null", "[]", "7", "\"{}\"", "{", "{}}", "{} x", "<html>", "{\"code\":}"] {
            assert_eq!(read(body), None, "{body}");
        }
        assert!(read("{}").is_some());
    }
}
