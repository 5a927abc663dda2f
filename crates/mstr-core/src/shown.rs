//! Addresses and texts from outside, as they may be shown.

use std::borrow::Cow;
use std::fmt::{self, Write};

/// The longest text that an error keeps, in characters.
const TEXT_LIMIT: usize = 2_000;
/// The longest address that is shown, in characters.
const ADDRESS_LIMIT: usize = 300;

/// A text of which a part comes from outside. A character that would begin a new line, give a
/// terminal an order or turn the direction of reading is escaped.
pub(crate) struct Plain<'a>(pub(crate) &'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            match letter {
                letter if letter.is_control() || turns(letter) => {
                    write!(f, "{}", letter.escape_default())?;
                }
                letter => f.write_char(letter)?,
            }
        }
        Ok(())
    }
}

/// Whether a letter is a separator of lines or controls the direction of reading (Unicode, UAX 9).
const fn turns(letter: char) -> bool {
    matches!(letter,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// As much of a text as an error keeps.
pub(crate) fn bounded(text: Cow<'static, str>) -> Cow<'static, str> {
    match beginning(&text, TEXT_LIMIT) {
        Cow::Borrowed(_) => text,
        Cow::Owned(short) => Cow::Owned(short),
    }
}

/// The first characters of a text, and a sign if it is longer.
pub(crate) fn beginning(text: &str, characters: usize) -> Cow<'_, str> {
    if text.len() <= characters {
        return Cow::Borrowed(text);
    }
    match text.char_indices().nth(characters) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

/// An address or a path without what may be secret: user and password, the parameters of its
/// segments (`;jsessionid=…`), query and fragment. Of one in which a password may stand at an
/// unlikely place nothing is shown but the scheme.
pub(crate) fn without_secrets(address: &str) -> Cow<'_, str> {
    // Most are a path of plain letters, and the event of every request passes here.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte);
    if address.starts_with('/') && address.len() <= ADDRESS_LIMIT && address.bytes().all(plain) {
        return Cow::Borrowed(address);
    }
    let (scheme, rest) = match address.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => (format!("{scheme}://"), rest),
        _ => (String::new(), address),
    };
    let rooted = scheme.is_empty() && rest.starts_with('/');
    let end = if rooted { 0 } else { rest.find(['/', '?', '#']).unwrap_or(rest.len()) };
    let (authority, further) = rest.split_at(end);
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    if is_doubtful(user, host, further) {
        return Cow::Owned(format!("{scheme}***"));
    }
    let path = further.split(['?', '#']).next().unwrap_or_default();
    let mut shown = format!("{scheme}{}", without_parameters(host));
    for (number, segment) in path.split('/').enumerate() {
        if number > 0 {
            shown.push('/');
        }
        shown.push_str(without_parameters(segment));
    }
    Cow::Owned(Plain(&beginning(&shown, ADDRESS_LIMIT)).to_string())
}

/// Whether a password may stand where a host, a port, a path or a query is expected: it can hold
/// any letter, and is not always encoded.
fn is_doubtful(user: Option<&str>, host: &str, further: &str) -> bool {
    let named = |text: &str| text.contains('@') || text.contains("%40");
    let port = host.find(']').map_or(host, |end| &host[end..]).split_once(':');
    let no_port = port.is_some_and(|(_, port)| !port.bytes().all(|digit| digit.is_ascii_digit()));
    let before = further.rfind('@').or_else(|| further.rfind("%40")).map(|at| &further[..at]);
    no_port
        || named(host)
        || (user.is_some() && named(further))
        || before.is_some_and(|before| before.contains(':') || host.contains(':'))
}

/// A segment of a path without its parameters.
pub(crate) fn without_parameters(segment: &str) -> &str {
    let clear = segment.split(';').next().unwrap_or_default();
    let encoded = clear.find("%3b").into_iter().chain(clear.find("%3B")).min();
    &clear[..encoded.unwrap_or(clear.len())]
}

/// Whether this can stand before `://`.
pub(crate) fn is_scheme(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|letter| letter.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_others_write_no_lines_and_give_no_orders() {
        let text = "ok\nERROR \x1b[2J\u{202e}txt\u{2028}Größe \u{7f}";
        let shown = Plain(text).to_string();
        assert_eq!(shown, "ok\\nERROR \\u{1b}[2J\\u{202e}txt\\u{2028}Größe \\u{7f}");
    }

    #[test]
    fn addresses_are_shown_without_what_may_be_secret() {
        for (address, shown) in [
            ("/api/cubes", "/api/cubes"),
            ("api/cubes?token=hush", "api/cubes"),
            ("/api;jsessionid=hush/x;a=hush?b=hush#hush", "/api/x"),
            ("/api%3Bjsessionid=hush/x%3ba=hush;b=hush", "/api/x"),
            ("https://ann:hush@host:81/a/b?c#d", "https://host:81/a/b"),
            ("https://ann:hush@host", "https://host"),
            ("https://host;jsessionid=hush", "https://host"),
            ("https://[::1]:81/a", "https://[::1]:81/a"),
            ("/api/users/ann@example.com", "/api/users/ann@example.com"),
            ("/a\u{202e}b", "/a\\u{202e}b"),
            ("", ""),
        ] {
            assert_eq!(without_secrets(address), shown);
        }
        assert!(without_secrets(&"/x".repeat(30_000)).chars().count() < 400);
    }

    #[test]
    fn password_at_an_unlikely_place_of_an_address_is_not_shown() {
        for address in [
            "https:/ann:hush@host",
            "https:///ann:hush@host",
            "https//ann:hush@host",
            "//ann:hush@host",
            "/ann:hush@host",
            "ann:hush@host",
            "ann:hush",
            "https://ann:hush",
            "https://ann:hush%40host",
            "https://ann:12/hush@host",
            "https://ann:12?hush@host",
            "https://ann:12#hush@host",
            "https://ann:12/hush%40host",
            "https://ann:x@y/hush@host",
            "https://ann:x#hush@host/x",
            "https://ann:x@hush@host",
        ] {
            let shown = without_secrets(address);
            assert!(!shown.contains("hush"), "{address}: {shown}");
        }
    }
}
