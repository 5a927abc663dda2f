//! Why JSON cannot be read: the place and the problem, never a value of it.

use serde::de::DeserializeOwned;
use serde_json::error::Category;
use serde_path_to_error::Segment;

/// The names that `serde` has for values of the wrong type.
const FOUND: [&str; 12] = [
    "boolean",
    "byte array",
    "character",
    "enum",
    "floating point",
    "integer",
    "map",
    "newtype struct",
    "null",
    "sequence",
    "string",
    "unit value",
];

/// Reads JSON.
///
/// # Errors
///
/// Where and why it cannot be read, for the end of a sentence.
pub(crate) fn read_json<T: DeserializeOwned>(json: &[u8]) -> Result<T, String> {
    serde_json::from_slice(json).map_err(|error| {
        // Once more, which costs something only where it fails: now each step is noted.
        let mut reader = serde_json::Deserializer::from_slice(json);
        let noted = serde_path_to_error::deserialize::<_, T>(&mut reader);
        let path = noted.err().map(|error| shown(error.path())).unwrap_or_default();
        let place = if path.is_empty() || path == "." { String::new() } else { path + ", " };
        format!("at {place}line {}, column {}: {}", error.line(), error.column(), problem(&error))
    })
}

/// The way to the place. The keys of a map are data, unless they look like the names of fields.
fn shown(path: &serde_path_to_error::Path) -> String {
    const LONGEST_NAME: usize = 40;
    let named = |key: &str| {
        key.len() <= LONGEST_NAME
            && key.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_')
    };
    let mut shown = String::new();
    for segment in path {
        match segment {
            Segment::Map { key } if !named(key) => shown.push_str(".*"),
            Segment::Seq { index } => shown.push_str(&format!("[{index}]")),
            Segment::Map { key: name } | Segment::Enum { variant: name } => {
                shown.push_str(&format!(".{name}"));
            }
            Segment::Unknown => shown.push_str(".?"),
        }
    }
    shown.trim_start_matches('.').to_owned()
}

fn problem(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(&*text, |(text, _)| text);
    match error.classify() {
        // Words of the parser's own.
        Category::Eof | Category::Io | Category::Syntax => text.to_owned(),
        Category::Data => data_problem(text),
    }
}

/// The problem without what was found, which stands in the text between fixed words.
fn data_problem(text: &str) -> String {
    let expected = text.rsplit_once(", expected ").map(|(_, expected)| expected);
    let expected = || expected.map_or_else(String::new, |what| format!(", expected {what}"));
    for (prefix, problem) in [("invalid type: ", "found"), ("invalid value: ", "found an unfit")] {
        if let Some(found) = text.strip_prefix(prefix) {
            let found = found.split([',', '`', '"']).next().unwrap_or_default().trim();
            let found = FOUND.iter().find(|known| **known == found).unwrap_or(&"value");
            return format!("{problem} {found}{}", expected());
        }
    }
    for (prefix, problem) in [
        ("unknown variant ", "found an unknown variant"),
        ("unknown field ", "found an unknown field"),
        ("invalid length ", "found another length"),
    ] {
        if text.starts_with(prefix) {
            return format!("{problem}{}", expected());
        }
    }
    // The names of fields are those of the type.
    if text.starts_with("missing field `") || text.starts_with("duplicate field `") {
        return text.to_owned();
    }
    "found a value that does not fit".to_owned()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "it is only read")]
    struct Cube {
        id: u8,
        rows: Vec<Row>,
        kind: Option<Kind>,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "it is only read")]
    struct Row {
        name: String,
    }

    #[derive(Debug, Deserialize)]
    enum Kind {
        Small,
        Big,
    }

    #[test]
    fn json_that_cannot_be_read_is_described_by_place_and_problem_and_never_by_its_values() {
        for (json, expected) in [
            (
                r#"{"id":"hush, expected hush","rows":[]}"#,
                "at id, line 1, column 27: found string, expected u8",
            ),
            (
                r#"{"id":4711,"rows":[]}"#,
                "at id, line 1, column 10: found an unfit integer, expected u8",
            ),
            (
                "{\"id\":1,\n\"rows\":[{\"name\":\"hush\"},{\"name\":null}]}",
                "at rows[1].name, line 2, column 36: found null, expected a string",
            ),
            (r#"{"id":1}"#, "at line 1, column 8: missing field `rows`"),
            (
                r#"{"id":1,"rows":[],"kind":"hush"}"#,
                "at kind, line 1, column 31: found an unknown variant, expected `Small` or `Big`",
            ),
            (
                r#"{"id":1,"rows":[{"name":"hush"#,
                "at rows[0].name, line 1, column 29: EOF while parsing a string",
            ),
            ("[hush", "at [0], line 1, column 2: expected value"),
            ("hush", "at line 1, column 1: expected value"),
        ] {
            let error = read_json::<Cube>(json.as_bytes()).expect_err(json);
            assert!(!error.contains("hush") && !error.contains("4711"), "{error}");
            assert_eq!(error, expected, "{json}");
        }
        let _ = (Kind::Small, Kind::Big);
        let custom = serde::de::Error::custom("hush");
        let error: serde_json::Error = custom;
        assert_eq!(problem(&error), "found a value that does not fit");
    }

    #[test]
    fn keys_of_a_map_are_not_shown_unless_they_look_like_names() {
        type Rows = std::collections::HashMap<String, u8>;
        let problem = read_json::<Rows>(br#"{"hush-4711@x":null}"#).expect_err("no number");
        assert_eq!(problem, "at *, line 1, column 19: found null, expected u8");
        let problem = read_json::<Rows>(br#"{"count":null}"#).expect_err("no number");
        assert!(problem.starts_with("at count, line 1"), "{problem}");
    }
}
