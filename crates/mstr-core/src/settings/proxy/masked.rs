//! The part of a proxy's address that an error may show.

/// An address without what is a password in it, or may be meant as one.
pub(super) fn masked(url: &str) -> String {
    let is_scheme = |text: &str| text.chars().all(|letter| letter.is_ascii_alphanumeric());
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme.trim()) => (format!("{scheme}://"), rest),
        _ => (String::new(), url),
    };
    if let Some((_, place)) = rest.rsplit_once('@') {
        return format!("{scheme}***@{place}");
    }
    // Without a host, or with a `%40` before it, a password stands where a port would.
    let host = rest.find(']').unwrap_or(0);
    match rest[host..].find(':').map(|colon| rest.split_at(host + colon + 1)) {
        Some((host, port)) if !port.chars().all(|letter| letter.is_ascii_digit()) => {
            format!("{scheme}{host}***")
        }
        _ => format!("{scheme}{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use crate::settings::ProxyConfig;

    #[test]
    fn a_password_at_an_unlikely_place_is_not_printed_either() {
        for url in
            ["ann:hush://x@host:1", "http://ann:hush", "http://ann:hush%40host:3128", "ann:hush:80"]
        {
            let config = ProxyConfig::new().all(url);
            let error = config.resolve().expect_err(url);
            let shown = format!("{error} {error:?} {config:?}");
            assert!(!shown.contains("hush"), "{shown}");
        }
    }
}
