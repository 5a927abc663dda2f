//! Errors of the tool itself.

/// Why something could not be done, for a person to read.
pub(crate) type Outcome<T = ()> = Result<T, String>;

/// Says what failed.
pub(crate) trait Told<T> {
    fn told(self, what: &str) -> Outcome<T>;
}

impl<T, E: std::error::Error> Told<T> for Result<T, E> {
    fn told(self, what: &str) -> Outcome<T> {
        self.map_err(|error| format!("{what}: {}", chain(&error)))
    }
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
