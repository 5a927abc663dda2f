//! Addresses as they may be shown.

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
