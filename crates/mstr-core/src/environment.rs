//! Variables of the environment, read where a caller asks for it and nowhere else.

use std::env::VarError;

use crate::error::{Error, ErrorKind};

/// The variable with this name. `None` if it is not set.
pub(crate) fn variable(name: &str) -> Result<Option<String>, Error> {
    #[expect(clippy::disallowed_methods, reason = "this is the one place, on request")]
    match std::env::var(name) {
        Ok(value) => Ok(Some(value)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => {
            Err(config(format!("the environment variable {name} is not valid UTF-8")))
        }
    }
}

/// The same for one that says something if it is set: most often an empty one is a setting that was
/// not filled in.
pub(crate) fn filled(
    name: &str,
    read: impl Fn(&str) -> Result<Option<String>, Error>,
) -> Result<Option<String>, Error> {
    match read(name)? {
        Some(value) if value.trim().is_empty() => {
            Err(config(format!("the environment variable {name} is set but empty")))
        }
        value => Ok(value.map(without_line_break)),
    }
}

/// A value without the line break that it has from the file that it was copied from.
pub(crate) fn without_line_break(mut value: String) -> String {
    value.truncate(value.trim_end_matches(['\r', '\n']).len());
    value
}

pub(crate) fn config(message: String) -> Error {
    Error::new(ErrorKind::Config, message)
}
