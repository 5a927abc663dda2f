//! The segments of paths.

use percent_encoding::{AsciiSet, CONTROLS};

use crate::shown::without_parameters;

/// What may not stand in a request target as it is. `%` stays: the caller may have encoded.
pub(super) const NOT_IN_A_TARGET: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Whether a path is sent as it is: it begins with one slash, and has no letter that would be encoded,
/// that could end the path, or with which a segment `.` or `..` could be written. Most are so, and
/// every request passes here.
pub(super) fn is_plain(path: &str) -> bool {
    let plain = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'?' | b'=' | b'&')
    };
    path.starts_with('/') && !path.starts_with("//") && path.bytes().all(plain)
}

/// Whether a path goes up or stays: in clear, encoded, encoded twice, with parameters.
pub(super) fn has_dot_segment(path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    // Most paths have neither, and every request passes here.
    if !path.contains(['.', '%']) {
        return false;
    }
    decoded(path).split(['/', '\\']).any(|segment| {
        let segment = without_parameters(segment);
        segment == "." || segment == ".."
    })
}

/// The segments of a Library's own path, cut where its API or its web application begins.
pub(super) fn library_path(path: &str) -> Vec<&str> {
    // The names of the product in installations that follow its documentation.
    const USUAL: [&str; 2] = ["MicroStrategyLibrary", "StrategyLibrary"];
    let among = |names: &[&str], name: &str| names.iter().any(|one| name.eq_ignore_ascii_case(one));
    let segments = path.split('/').map(without_parameters);
    let mut segments: Vec<&str> = segments.filter(|segment| !segment.is_empty()).collect();
    // A gateway may itself live under `/api/…`, so the product's usual name comes first.
    let known = segments.iter().rposition(|name| among(&USUAL, name));
    let start = known.map_or(0, |position| position + 1);
    let begins = |at: usize| {
        let next = segments.get(at + 1).copied().unwrap_or_default();
        match segments[at] {
            page if among(&["api", "api-docs", "app"], page) => true,
            page if among(&["auth"], page) => among(&["ui"], next),
            page => at == start && known.is_some() && among(&["static"], page),
        }
    };
    if let Some(end) = (start..segments.len()).find(|at| begins(*at)) {
        segments.truncate(end);
    }
    segments
}

/// A path in which everything is in clear that makes a segment go up, as servers and gateways
/// decode it one after another.
fn decoded(path: &str) -> String {
    let mut clear = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        clear.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        // The sign itself, encoded.
        let digits = rest.trim_start_matches("25");
        let letter = match digits.get(..2).map(str::to_ascii_lowercase).as_deref() {
            Some("2e") => '.',
            Some("2f") => '/',
            Some("3b") => ';',
            Some("5c") => '\\',
            _ => {
                clear.push('%');
                continue;
            }
        };
        clear.push(letter);
        rest = &digits[2..];
    }
    clear.push_str(rest);
    clear
}

/// A path, with its query, without the segments `.` and `..` in clear (RFC 3986, 5.2.4).
pub(super) fn resolved(path_and_query: &str) -> String {
    let end = path_and_query.find('?').unwrap_or(path_and_query.len());
    let (path, query) = path_and_query.split_at(end);
    let mut kept: Vec<&str> = Vec::new();
    let mut folder = false;
    for segment in path.split('/').skip(1) {
        folder = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    if folder {
        kept.push("");
    }
    let path: String = kept.iter().flat_map(|segment| ["/", segment]).collect();
    format!("{path}{query}")
}

#[cfg(test)]
mod tests {
    use percent_encoding::utf8_percent_encode;

    use super::*;

    #[test]
    fn path_that_is_sent_as_it_is_has_nothing_to_encode_to_cut_or_to_resolve() {
        let table = (0..=char::from(u8::MAX).into()).filter_map(char::from_u32);
        let mut plain = 0;
        for path in table.map(|letter| format!("/a{letter}b/{letter}{letter}/")) {
            if is_plain(&path) {
                plain += 1;
                assert_eq!(utf8_percent_encode(&path, NOT_IN_A_TARGET).to_string(), path);
                assert!(!path.contains(['.', '%', '#']) && !has_dot_segment(&path), "{path}");
            }
        }
        assert!(plain > 60, "most are");
        for other in ["", "a", "//a", "/a/../b", "/%2e%2e/", "https://host/"] {
            assert!(!is_plain(other), "{other}");
        }
    }

    #[test]
    fn segments_that_go_up_are_known_in_every_spelling() {
        for path in ["/a/..", "%2e", "/.%2E;x", "a%5C%252e.%25252fb", "..%3bx"] {
            assert!(has_dot_segment(path), "{path}");
        }
        for path in ["/a/...", "/a/.b", "/v2.0/a%2Fb", "/a?b=../c", "/100%", "/%25", "/%", "/%ä."]
        {
            assert!(!has_dot_segment(path), "{path}");
        }
    }

    #[test]
    fn segments_are_resolved_as_the_standard_says() {
        for (path, expected) in [
            ("/a/b/c/./../../g", "/a/g"),
            ("/..", "/"),
            ("/a/b/.", "/a/b/"),
            ("/a//b", "/a//b"),
            ("/a/../b?c=/../d", "/b?c=/../d"),
            ("", ""),
            ("?a", "?a"),
        ] {
            assert_eq!(resolved(path), expected, "{path}");
        }
    }
}
