//! The changelog: unreleased and released entries.

use semver::Version;

use crate::command::Outcome;

pub(crate) const PATH: &str = "CHANGELOG.md";
const UNRELEASED: &str = "## Unreleased";

/// Moves what is unreleased into a section of its own.
pub(super) fn release(text: &str, version: &Version, date: &str) -> Outcome<String> {
    check_date(date)?;
    if section(text, version).is_some() {
        return Err(format!("{PATH} has a section about {version} already"));
    }
    let (before, rest) = text
        .split_once(UNRELEASED)
        .ok_or_else(|| format!("{PATH} has no line \"{UNRELEASED}\""))?;
    let body = rest.split("\n## ").next().unwrap_or_default();
    if !body.lines().any(|line| line.starts_with("- ")) {
        return Err(format!(
            "{PATH} has no entry under \"{UNRELEASED}\": a release without an entry \
             is either not needed or not described"
        ));
    }
    Ok(format!("{before}{UNRELEASED}\n\n## {version} ({date}){rest}"))
}

/// The changelog's section about a version, without the heading.
pub(super) fn section<'t>(text: &'t str, version: &Version) -> Option<&'t str> {
    let rest = text.split_once(&format!("\n## {version} ("))?.1;
    let body = rest.split_once('\n').map_or("", |(_, body)| body);
    Some(body.split("\n## ").next().unwrap_or_default().trim())
}

/// A date as it is written in the changelog.
fn check_date(date: &str) -> Outcome {
    let parts: Vec<&str> = date.split('-').collect();
    let is_number = |part: &&str| part.bytes().all(|byte| byte.is_ascii_digit());
    let widths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    if let [_, month, day] = parts[..]
        && widths == [4, 2, 2]
        && parts.iter().all(is_number)
        && ("01"..="12").contains(&month)
        && ("01"..="31").contains(&day)
    {
        return Ok(());
    }
    Err(format!("\"{date}\" is not a date like 2026-11-24"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# Changelog

## Unreleased

### Fixes

- It works.

## 0.1.0 (2026-01-02)

- First.
";

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_unreleased_becomes_a_section_with_a_date() {
        let text = release(TEXT, &version("0.1.1"), "2026-11-24").unwrap();
        let expected = "\
# Changelog

## Unreleased

## 0.1.1 (2026-11-24)

### Fixes

- It works.

## 0.1.0 (2026-01-02)

- First.
";
        assert_eq!(text, expected);
        assert_eq!(section(&text, &version("0.1.1")), Some("### Fixes\n\n- It works."));
        assert_eq!(section(&text, &version("0.1.0")), Some("- First."));
        assert_eq!(section(&text, &version("0.1.2")), None);
    }

    #[test]
    fn nothing_to_say_is_no_release() {
        let text = release(TEXT, &version("0.1.1"), "2026-11-24").unwrap();
        let error = release(&text, &version("0.1.2"), "2026-11-25").unwrap_err();
        assert!(error.contains("no entry under"), "{error}");
        assert!(release("# Changelog\n", &version("0.1.1"), "2026-11-24").is_err());
        let error = release(TEXT, &version("0.1.0"), "2026-11-24").unwrap_err();
        assert!(error.contains("about 0.1.0 already"), "{error}");
    }

    #[test]
    fn only_dates_are_dates() {
        check_date("2026-11-24").unwrap();
        check_date("2026-12-31").unwrap();
        for date in
            ["", "today", "24.11.2026", "2026-1-2", "2026-13-01", "2026-00-10", "+026-11-24"]
        {
            assert!(check_date(date).is_err(), "{date}");
        }
    }
}
