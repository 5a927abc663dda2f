//! Addresses and the words of others, as they may be shown.

use std::fmt::{self, Write};

/// A text of which others have written a part. What would begin a new line, give a terminal an order
/// or turn the direction of reading is escaped.
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

/// An address or a path without what may be secret: user and password, the parameters of its
/// segments (`;jsessionid=…`), query and fragment.
pub(crate) fn without_secrets(address: &str) -> String {
    let bare = address.split(['?', '#']).next().unwrap_or_default();
    let (start, path) = match bare.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            (format!("{scheme}://{host}"), path)
        }
        None => (String::new(), bare),
    };
    let mut shown = start;
    for (number, segment) in path.split('/').enumerate() {
        if number > 0 {
            shown.push('/');
        }
        shown.push_str(segment.split(';').next().unwrap_or_default());
    }
    shown
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
            ("https://ann:hush@host:81/a/b?c#d", "https://host:81/a/b"),
            ("https://ann:hush@host", "https://host"),
            ("", ""),
        ] {
            assert_eq!(without_secrets(address), shown);
        }
    }
}
