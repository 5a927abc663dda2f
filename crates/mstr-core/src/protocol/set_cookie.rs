//! `Set-Cookie` lines (RFC 6265), read without a copy. Bytes stay as they came: a value need
//! not be ASCII.

use std::time::Duration;

use http::header::{DATE, HeaderMap, SET_COOKIE};

use super::BaseUrl;

/// The first second of the year 2000. An expiry before it means "delete", whatever the clocks say.
const FIRST_SECOND_OF_A_LIVE_COOKIE: i64 = 946_684_800;
/// So many lines of an answer are read without an allocation.
const AT_HAND: usize = 8;

/// One line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SetCookie<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) value: &'a [u8],
    /// `None` if the line names none, or one that does not begin with a slash.
    pub(crate) path: Option<&'a [u8]>,
    /// Without a leading dot.
    pub(crate) domain: Option<&'a [u8]>,
    pub(crate) fate: Fate,
}

/// How long a cookie lives.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fate {
    Deleted,
    For(Duration),
    WithTheSession,
}

/// The cookies that one answer sets.
pub(crate) struct SetCookies<'a> {
    /// `None` if there are none: there is room in it that would have to be cleared.
    at_hand: Option<[Option<SetCookie<'a>>; AT_HAND]>,
    more: Vec<SetCookie<'a>>,
}

/// Where a request went: what a cookie is for that names no path or no domain of its own.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    base: &'a BaseUrl,
    path: &'a str,
}

impl<'a> SetCookies<'a> {
    #[inline]
    pub(crate) fn read(headers: &'a HeaderMap) -> Self {
        // Most answers set none, and what holds some is large to move.
        if headers.contains_key(SET_COOKIE) {
            return Self::some(headers);
        }
        Self { at_hand: None, more: Vec::new() }
    }

    fn some(headers: &'a HeaderMap) -> Self {
        let (mut at_hand, mut more) = ([None; AT_HAND], Vec::new());
        let mut date = None;
        let mut now = || *date.get_or_insert_with(|| parse_date(headers.get(DATE)?.as_bytes()));
        let lines = headers.get_all(SET_COOKIE).iter();
        let cookies = lines.filter_map(|line| SetCookie::parse(line.as_bytes(), &mut now));
        for (index, cookie) in cookies.enumerate() {
            match at_hand.get_mut(index) {
                Some(place) => *place = Some(cookie),
                None => more.push(cookie),
            }
        }
        Self { at_hand: Some(at_hand), more }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &SetCookie<'a>> {
        self.at_hand.iter().flatten().flatten().chain(&self.more)
    }
}

impl<'a> Place<'a> {
    /// Of a request to `path`, which is below the base URL, or a complete address.
    pub(crate) const fn new(base: &'a BaseUrl, path: &'a str) -> Self {
        Self { base, path }
    }

    /// The folders of the base URL and of the path below it. They are looked for when a cookie is
    /// there: most answers set none.
    fn folders(&self) -> (&'a str, &'a str) {
        let path = self.path.split(['?', '#']).next().unwrap_or_default();
        let (folder, path) = match path.split_once("://") {
            Some((_, rest)) => ("", rest.find('/').map_or("", |slash| &rest[slash..])),
            None => (self.base.folder(), path),
        };
        (folder, path.rfind('/').map_or("", |slash| &path[..slash]))
    }

    /// Whether this is the path of the base URL.
    pub(crate) fn is_base(&self, path: &[u8]) -> bool {
        let folder = self.base.folder().as_bytes();
        path == folder || path.strip_suffix(b"/") == Some(folder)
    }

    /// Whether this is the default path of the request.
    pub(crate) fn is(&self, path: &[u8]) -> bool {
        match self.folders() {
            ("", "") => path == b"/",
            (folder, below) => {
                path.strip_prefix(folder.as_bytes()).is_some_and(|rest| rest == below.as_bytes())
            }
        }
    }

    /// The default path of the request.
    pub(crate) fn path(&self) -> Vec<u8> {
        match self.folders() {
            ("", "") => b"/".to_vec(),
            (folder, below) => [folder, below].concat().into_bytes(),
        }
    }

    /// The domain that a cookie names, unless it is the host itself.
    pub(crate) fn domain<'d>(&self, cookie: &SetCookie<'d>) -> Option<&'d [u8]> {
        cookie.domain.filter(|domain| !domain.eq_ignore_ascii_case(self.base.host().as_bytes()))
    }
}

impl<'a> SetCookie<'a> {
    /// `now` is when the answer was given, by its own clock.
    fn parse(line: &'a [u8], now: &mut impl FnMut() -> Option<i64>) -> Option<Self> {
        let mut parts = line.split(|byte| *byte == b';');
        let (name, value) = pair(parts.next()?)?;
        if name.is_empty() {
            return None;
        }
        let (mut path, mut domain, mut max_age, mut expires) = (None, None, None, None);
        for part in parts {
            let (attribute, value) = pair(part).unwrap_or_else(|| (part.trim_ascii(), &[]));
            // The last one of a name counts.
            if attribute.eq_ignore_ascii_case(b"path") {
                path = Some(value).filter(|path| path.first() == Some(&b'/'));
            } else if attribute.eq_ignore_ascii_case(b"domain") {
                let bare = value.strip_prefix(b".").unwrap_or(value);
                domain = Some(bare).filter(|domain| !domain.is_empty());
            } else if attribute.eq_ignore_ascii_case(b"max-age") {
                max_age = parse_max_age(value).or(max_age);
            } else if attribute.eq_ignore_ascii_case(b"expires") {
                expires = parse_date(value).or(expires);
            }
        }
        let fate = match (max_age, expires) {
            (Some(fate), _) => fate,
            (None, None) => Fate::WithTheSession,
            (None, Some(at)) if at < FIRST_SECOND_OF_A_LIVE_COOKIE => Fate::Deleted,
            (None, Some(at)) => match now() {
                None => Fate::WithTheSession,
                Some(now) => match u64::try_from(at - now) {
                    Ok(left @ 1..) => Fate::For(Duration::from_secs(left)),
                    _ => Fate::Deleted,
                },
            },
        };
        Some(Self { name, value, path, domain, fate })
    }
}

fn pair(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = text.iter().position(|byte| *byte == b'=')?;
    Some((text[..equals].trim_ascii(), text[equals + 1..].trim_ascii()))
}

fn parse_max_age(text: &[u8]) -> Option<Fate> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let seconds = digits
        .iter()
        .fold(0_u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
    let deleted = seconds == 0 || digits.len() < text.len();
    Some(if deleted { Fate::Deleted } else { Fate::For(Duration::from_secs(seconds)) })
}

/// The seconds since 1970 of a date as cookies have it (RFC 6265, 5.1.1): servers write it in many
/// ways, with hyphens and with years of two digits.
fn parse_date(text: &[u8]) -> Option<i64> {
    const MONTHS: [&[u8; 3]; 12] = [
        b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov",
        b"dec",
    ];
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b':';
    for part in text.split(|byte| !is_part(*byte)).filter(|part| !part.is_empty()) {
        let number = leading_number(part);
        if part.contains(&b':') {
            if time.is_none() {
                time = parse_time(part);
            }
        } else if let (None, Some(number), 1..=2) = (day, number, part.len()) {
            day = Some(number);
        } else if let (None, Some(number), 2..) = (year, number, part.len()) {
            year = Some(number);
        } else if month.is_none() {
            let known = |name: &&[u8; 3]| {
                part.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(&name[..]))
            };
            month = MONTHS.iter().position(known);
        }
    }
    let year = match year? {
        short @ 0..=69 => short + 2000,
        short @ 70..=99 => short + 1900,
        year => year,
    };
    let (day, month) = (day?, i64::try_from(month?).ok()? + 1);
    if !(1..=31).contains(&day) || !(1601..=9999).contains(&year) {
        return None;
    }
    // The days of a year that begins in March, when the odd day is its last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    Some((days - 719_468) * 86_400 + time?)
}

fn parse_time(text: &[u8]) -> Option<i64> {
    let mut parts = text.split(|byte| *byte == b':').map(leading_number);
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    (hour < 24 && minute < 60 && second < 60).then_some(hour * 3_600 + minute * 60 + second)
}

/// A number of one to four digits.
fn leading_number(text: &[u8]) -> Option<i64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = text[..digits].iter().take(5);
    let number = number.fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    (1..=4).contains(&digits).then_some(number)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn dates_of_cookies_are_read_however_they_are_written() {
        for (text, seconds) in [
            ("Thu, 01 Jan 1970 00:00:10 GMT", Some(10)),
            ("Thu, 01-Jan-1970 00:00:10 GMT", Some(10)),
            ("Thu, 01-Jan-70 00:00:10 GMT", Some(10)),
            ("Thursday, 01-Jan-70 00:00:10 GMT", Some(10)),
            ("Thu Jan  1 00:00:10 1970", Some(10)),
            ("Fri, 27 Nov 2026 04:00:00 GMT", Some(1_795_752_000)),
            ("Tue, 29 Feb 2028 00:00:00 GMT", Some(1_835_395_200)),
            ("Sat, 01 Jan 2000 00:00:00 GMT", Some(FIRST_SECOND_OF_A_LIVE_COOKIE)),
            ("Fri, 27 Nov 99999 04:00:00 GMT", None),
            ("Fri, 27 Nov 2026 24:00:00 GMT", None),
            ("0", None),
            ("never", None),
            ("", None),
        ] {
            assert_eq!(parse_date(text.as_bytes()), seconds, "{text}");
        }
    }

    fn fate(attributes: &str, date: Option<&'static str>) -> Fate {
        let mut headers = HeaderMap::new();
        let line = format!("a=b; {attributes}");
        headers.insert(SET_COOKIE, line.parse().expect("a value"));
        if let Some(date) = date {
            headers.insert(DATE, HeaderValue::from_static(date));
        }
        SetCookies::read(&headers).iter().next().expect("a cookie").fate
    }

    #[test]
    fn deletion_is_told_by_the_answers_own_date_and_without_one_by_the_year() {
        let today = Some("Fri, 27 Nov 2026 04:00:00 GMT");
        let yesterday = "Expires=Thu, 26 Nov 2026 04:00:00 GMT";
        assert_eq!(fate(yesterday, today), Fate::Deleted);
        assert_eq!(fate(yesterday, None), Fate::WithTheSession);
        assert_eq!(fate("Expires=Thu, 01-Jan-1970 00:00:10 GMT", None), Fate::Deleted);
        let minute = Fate::For(Duration::from_secs(60));
        assert_eq!(fate("expires=Fri, 27 Nov 2026 04:01:00 GMT", today), minute);
        assert_eq!(fate("Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", today), minute);
        assert_eq!(fate("Max-Age=x; Max-Age = 60", None), minute);
        for deleted in ["Max-Age=0", "max-age=-1", "Max-Age=-99999999999999999999"] {
            assert_eq!(fate(deleted, None), Fate::Deleted, "{deleted}");
        }
        let for_ever = Fate::For(Duration::from_secs(u64::MAX));
        assert_eq!(fate("Max-Age=99999999999999999999", None), for_ever);
    }
}
