//! Query parameters, as `key=value`.

use serde::Serialize;
use serde_json::Value;

use crate::error::{Error, ErrorKind};

/// Writes `parameters`: a struct, a map or a list of pairs. A list value repeats its key; what is
/// `None` or null is left out.
///
/// # Errors
///
/// `Usage` for a value that is neither text, number, truth value nor a list of those. It names the
/// key.
pub(super) fn write<T: Serialize + ?Sized>(parameters: &T) -> Result<String, Error> {
    match serde_html_form::to_string(parameters) {
        Ok(query) => Ok(query),
        // It knows no null, and does not tell the key.
        Err(error) => {
            let pairs = serde_json::to_value(parameters).ok().and_then(pairs);
            let whole = || usage("the query parameters cannot be written as key=value");
            one_by_one(pairs.ok_or_else(|| whole().with_source(error))?)
        }
    }
}

fn pairs(value: Value) -> Option<Vec<(String, Value)>> {
    match value {
        Value::Object(map) => Some(map.into_iter().collect()),
        Value::Array(list) => list
            .into_iter()
            .map(|pair| match pair {
                Value::Array(pair) => match <[Value; 2]>::try_from(pair) {
                    Ok([Value::String(key), value]) => Some((key, value)),
                    _ => None,
                },
                _ => None,
            })
            .collect(),
        _ => None,
    }
}

fn one_by_one(pairs: Vec<(String, Value)>) -> Result<String, Error> {
    let mut query = String::new();
    for (key, value) in pairs {
        let values = match value {
            Value::Array(values) => values,
            value => vec![value],
        };
        for value in values.into_iter().filter(|value| !value.is_null()) {
            let written = serde_html_form::to_string([(&key, value)]).map_err(|error| {
                let message = format!("the query parameter {key:?} cannot be written as key=value");
                usage(message).with_source(error)
            })?;
            if !query.is_empty() {
                query.push('&');
            }
            query.push_str(&written);
        }
    }
    Ok(query)
}

fn usage(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Usage, message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn null_is_left_out_and_lists_repeat_their_key() {
        #[derive(Serialize)]
        struct Page {
            limit: u32,
            name: Option<&'static str>,
            tags: [&'static str; 2],
        }
        let page = Page { limit: 3, name: None, tags: ["a b", "c"] };
        assert_eq!(write(&page).ok().as_deref(), Some("limit=3&tags=a+b&tags=c"));
        let map = json!({ "a": null, "b": [1, null, 2], "c": true });
        assert_eq!(write(&map).ok().as_deref(), Some("b=1&b=2&c=true"));
        assert_eq!(write(&json!([["z", 1], ["a", null]])).ok().as_deref(), Some("z=1"));
        assert_eq!(write(&json!({ "a": null })).ok().as_deref(), Some(""));
    }

    #[test]
    fn error_of_a_query_names_its_key_and_shows_no_value() {
        let error = write(&json!({ "fine": 1, "filter": { "x": "hush" } })).expect_err("nested");
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("\"filter\"") && !shown.contains("hush"), "{shown}");
        assert_eq!(write(&7).expect_err("no pairs").kind(), ErrorKind::Usage);
    }
}
