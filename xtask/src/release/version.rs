//! Which version comes next, and what it may break.

use clap::ValueEnum;
use semver::Version;

use crate::command::Outcome;

/// The number of the version that goes up; those to its right begin anew.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Bump {
    Major,
    Minor,
    Patch,
}

/// How the next version is asked for.
#[derive(Debug)]
pub(crate) enum Next {
    Bump(Bump),
    Version(Version),
}

impl Next {
    /// The next version after the last one that was released.
    pub(crate) fn after(self, last: Option<&Version>) -> Outcome<Version> {
        let next = match (self, last) {
            (Self::Bump(_), None) => {
                return Err(
                    "nothing has been released yet, so there is nothing to bump: name the \
                            first version, as in --version 0.1.0"
                        .into(),
                );
            }
            (Self::Bump(bump), Some(last)) => bump.apply(last),
            (Self::Version(version), _) => version,
        };
        if !next.pre.is_empty() || !next.build.is_empty() {
            return Err(format!("{next}: only versions of three numbers are released"));
        }
        match last {
            Some(last) if next <= *last => {
                Err(format!("{next} does not come after {last}, which has been released"))
            }
            _ => Ok(next),
        }
    }
}

impl Bump {
    fn apply(self, last: &Version) -> Version {
        match self {
            Self::Major => Version::new(last.major + 1, 0, 0),
            Self::Minor => Version::new(last.major, last.minor + 1, 0),
            Self::Patch => Version::new(last.major, last.minor, last.patch + 1),
        }
    }
}

/// What users of `last` may be confronted with when cargo gives them `next`, in the words of
/// cargo-semver-checks.
///
/// Before 1.0 the first number that is not zero is the one that stands for breaking changes.
pub(crate) fn allows(last: &Version, next: &Version) -> &'static str {
    let breaking = |version: &Version| match (version.major, version.minor) {
        (0, 0) => [0, 0, version.patch],
        (0, minor) => [0, minor, 0],
        (major, _) => [major, 0, 0],
    };
    if breaking(last) != breaking(next) {
        "major"
    } else if last.major == 0 || last.minor != next.minor {
        "minor"
    } else {
        "patch"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    fn bumped(bump: Bump, last: &str) -> String {
        Next::Bump(bump).after(Some(&version(last))).unwrap().to_string()
    }

    #[test]
    fn a_bump_raises_one_number_and_the_others_begin_anew() {
        assert_eq!(bumped(Bump::Patch, "0.1.9"), "0.1.10");
        assert_eq!(bumped(Bump::Minor, "0.1.9"), "0.2.0");
        assert_eq!(bumped(Bump::Major, "0.1.9"), "1.0.0");
        assert_eq!(bumped(Bump::Minor, "1.2.3"), "1.3.0");
    }

    #[test]
    fn the_first_release_has_to_be_named() {
        assert!(Next::Bump(Bump::Patch).after(None).unwrap_err().contains("--version 0.1.0"));
        let first = Next::Version(version("0.1.0")).after(None).unwrap();
        assert_eq!(first, version("0.1.0"));
    }

    #[test]
    fn a_version_that_does_not_come_next_is_refused() {
        let after = |text: &str| Next::Version(version(text)).after(Some(&version("0.2.0")));
        assert!(after("0.2.0").unwrap_err().contains("0.2.0 does not come after 0.2.0"));
        assert!(after("0.1.9").is_err());
        assert!(after("0.3.0-rc.1").unwrap_err().contains("three numbers"));
        assert!(after("0.3.0+local").is_err());
        assert_eq!(after("0.4.2").unwrap(), version("0.4.2"));
    }

    #[test]
    fn what_a_version_allows_is_what_cargo_takes_it_for() {
        let allowed = |last: &str, next: &str| allows(&version(last), &version(next));
        assert_eq!(allowed("0.1.0", "0.1.1"), "minor");
        assert_eq!(allowed("0.1.0", "0.2.0"), "major");
        assert_eq!(allowed("0.0.1", "0.0.2"), "major");
        assert_eq!(allowed("0.9.0", "1.0.0"), "major");
        assert_eq!(allowed("1.0.0", "1.0.1"), "patch");
        assert_eq!(allowed("1.0.0", "1.1.0"), "minor");
        assert_eq!(allowed("1.9.0", "2.0.0"), "major");
    }
}
