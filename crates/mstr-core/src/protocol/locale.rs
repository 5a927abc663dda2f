//! The languages and the time zone of a session.

/// The languages and the time zone of a session. A setting that is `None` is the server's default.
///
/// ```
/// # use mstr_core as mstr;
/// use mstr::{Connection, Locale};
///
/// // German names and messages, but numbers as programs read them.
/// let locale = Locale::all("de_de").number("en_us").time_zone("Europe/Berlin");
/// let builder = Connection::builder("https://env.example.com/MicroStrategyLibrary")
///     .locale(locale);
/// # drop(builder);
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Locale {
    /// Language of object names and descriptions, for example `"en_us"`.
    pub metadata: Option<String>,
    /// Language of the data in reports.
    pub warehouse_data: Option<String>,
    /// Language of dates and other displayed values.
    pub display: Option<String>,
    /// Language of messages, error messages included.
    pub messages: Option<String>,
    /// Language whose number format is used.
    pub number: Option<String>,
    /// Time zone, for example `"Europe/Berlin"` or `"UTC"`.
    pub time_zone: Option<String>,
}

impl Locale {
    pub(crate) const NONE: Self = Self {
        metadata: None,
        warehouse_data: None,
        display: None,
        messages: None,
        number: None,
        time_zone: None,
    };

    /// The server's defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same language, for example `"en_us"`, for everything. The time zone is the server's.
    #[must_use]
    pub fn all(language: impl Into<String>) -> Self {
        let language = Some(language.into());
        Self {
            metadata: language.clone(),
            warehouse_data: language.clone(),
            display: language.clone(),
            messages: language.clone(),
            number: language,
            time_zone: None,
        }
    }

    /// Sets the language of object names and descriptions.
    #[must_use]
    pub fn metadata(mut self, language: impl Into<String>) -> Self {
        self.metadata = Some(language.into());
        self
    }

    /// Sets the language of the data in reports.
    #[must_use]
    pub fn warehouse_data(mut self, language: impl Into<String>) -> Self {
        self.warehouse_data = Some(language.into());
        self
    }

    /// Sets the language of displayed values.
    #[must_use]
    pub fn display(mut self, language: impl Into<String>) -> Self {
        self.display = Some(language.into());
        self
    }

    /// Sets the language of messages.
    #[must_use]
    pub fn messages(mut self, language: impl Into<String>) -> Self {
        self.messages = Some(language.into());
        self
    }

    /// Sets the number format.
    #[must_use]
    pub fn number(mut self, language: impl Into<String>) -> Self {
        self.number = Some(language.into());
        self
    }

    /// Sets the time zone, for example `"Europe/Berlin"`.
    #[must_use]
    pub fn time_zone(mut self, zone: impl Into<String>) -> Self {
        self.time_zone = Some(zone.into());
        self
    }
}
