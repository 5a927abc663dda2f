//! Which page of a list is asked for next: what both drivers' pagers do.

use std::fmt;
use std::hash::Hasher as _;

use bytes::Bytes;
use http::HeaderMap;
use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use siphasher::sip::SipHasher13;

use super::builder::Described;
use super::received::Received;
use crate::call::Spec;
use crate::error::{Error, ErrorKind};
use crate::protocol::ProjectRef;

/// How long a list is, on servers that say so outside of it.
const TOTAL: &str = "x-mstr-total-count";
/// "The request has taken too long": what the Intelligence Server says of a page that is too large.
const TOO_LARGE: i64 = -2_147_206_497;
/// The smallest page that is asked for because of that.
const SMALLEST: u64 = 50;

/// One page of a list, from [`Pages`](crate::Pages).
///
/// ```
/// # use mstr_core as mstr;
/// # fn names(page: &mstr::Page) -> Result<(), mstr::Error> {
/// #[derive(serde::Deserialize)]
/// struct Found {
///     result: Vec<Object>,
/// }
///
/// #[derive(serde::Deserialize)]
/// struct Object {
///     name: String,
/// }
///
/// for object in page.json::<Found>()?.result {
///     println!("{}", object.name);
/// }
/// # Ok(())
/// # }
/// ```
pub struct Page {
    received: Received,
    body: Bytes,
    place: Place,
}

impl Page {
    pub(crate) const fn new(received: Received, body: Bytes, place: Place) -> Self {
        Self { received, body, place }
    }

    /// Reads the page as JSON.
    ///
    /// # Errors
    ///
    /// [`Decode`](ErrorKind::Decode) if it is not JSON of this shape.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        self.received.json(&self.body)
    }

    /// The page as the server sent it.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.body
    }

    /// The headers of the response.
    #[must_use]
    pub const fn headers(&self) -> &HeaderMap {
        &self.received.parts.headers
    }

    /// The number of the first entry in the list, from 0.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.place.offset
    }

    /// The number of entries on this page; `None` if the page is not a list that can be counted.
    #[must_use]
    pub const fn count(&self) -> Option<u64> {
        self.place.shape.count
    }

    /// The number of entries in the whole list; `None` if the server does not report it.
    #[must_use]
    pub const fn total(&self) -> Option<u64> {
        self.place.shape.total
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("offset", &self.offset())
            .field("count", &self.count())
            .field("total", &self.total())
            .finish_non_exhaustive()
    }
}

/// Which part of its list a page is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Place {
    offset: u64,
    shape: Shape,
}

/// Where a pager stands. It sends nothing itself.
#[derive(Debug)]
pub(crate) struct Paging {
    /// The request without `offset` and `limit`.
    pub(crate) described: Described,
    limit: u64,
    offset: u64,
    next: Next,
    /// Of the page before.
    last: Option<u64>,
}

/// What follows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Next {
    Over,
    Page,
    /// How many entries the last page had cannot be told.
    Unknown,
    /// The last page was the one before once more, which is for no caller.
    Same,
}

impl Paging {
    pub(crate) fn new(mut described: Described, limit: u32) -> Self {
        let spec = &mut described.spec;
        if limit == 0 {
            spec.note_mistake(usage("a page of 0 entries never ends: ask for 1 or more"));
        }
        if !spec.body.is_replayable() {
            let message = "the body is a stream, which can be sent once and not for each page";
            spec.note_mistake(usage(message));
        }
        if let Some(key) = ["limit", "offset"].into_iter().find(|key| has_key(spec, key)) {
            let message = format!("the query sets \"{key}\", which pages() sets for each page");
            spec.note_mistake(Error::new(ErrorKind::Usage, message));
        }
        Self { described, limit: limit.into(), offset: 0, next: Next::Page, last: None }
    }

    /// The project that has to be looked up before the first page.
    pub(crate) fn wanted_project(&self) -> Option<ProjectRef> {
        if self.next == Next::Page { self.described.wanted_project() } else { None }
    }

    /// The list cannot be had, or not now.
    pub(crate) fn failed(&mut self, error: Error) -> Error {
        if !error.is_retryable() {
            self.next = Next::Over;
        }
        error
    }

    /// The request for the next page; `None` after the last one.
    ///
    /// # Errors
    ///
    /// [`Decode`](ErrorKind::Decode), once, where it cannot be told whether there is a next page, or
    /// where it begins.
    pub(crate) fn next(&mut self) -> Result<Option<Box<Spec>>, Error> {
        match self.next {
            Next::Over => return Ok(None),
            Next::Page => {}
            Next::Unknown => {
                self.next = Next::Over;
                return Err(undecided(
                    "whether there are more entries cannot be told: the page before has no list whose \
                     entries could be counted",
                ));
            }
            Next::Same => {
                self.next = Next::Over;
                return Err(undecided(
                    "whether there are more entries cannot be told: the server has sent the same page \
                     twice and no total",
                ));
            }
        }
        let mut spec = self.described.spec.another();
        if !spec.query.is_empty() {
            spec.query.push('&');
        }
        spec.query.push_str(&format!("offset={}&limit={}", self.offset, self.limit));
        Ok(Some(spec))
    }

    /// The page has come. `None` if it is the one before once more and the server tells no total: it
    /// may not look at `offset`, and the entries would come twice.
    pub(crate) fn answered(&mut self, headers: &HeaderMap, body: &[u8]) -> Option<Place> {
        let digest = digest(body);
        let repeated = self.last.replace(digest) == Some(digest);
        let mut shape = serde_json::from_slice::<Shape>(body).unwrap_or_default();
        let told = headers.get(TOTAL).and_then(|total| total.to_str().ok()?.trim().parse().ok());
        shape.total = told.or(shape.total);
        if repeated && shape.total.is_none() && shape.count != Some(0) {
            self.next = Next::Same;
            return None;
        }
        let place = Place { offset: self.offset, shape };
        // A server may send less than it was asked for, and the next page begins where this one ends.
        self.offset = self.offset.saturating_add(shape.count.unwrap_or(self.limit));
        self.next = match (shape.count, shape.total) {
            (Some(0), _) => Next::Over,
            (_, Some(total)) if self.offset >= total => Next::Over,
            // More than was asked for, or less: there is no other page.
            (Some(count), None) if count != self.limit => Next::Over,
            (Some(_), _) => Next::Page,
            (None, _) => Next::Unknown,
        };
        Some(place)
    }

    /// The page was refused: it is the caller's to know, unless a smaller one is asked for instead.
    pub(crate) fn refused(&mut self, error: Error) -> Result<(), Error> {
        let too_large = error.status() == Some(http::StatusCode::PAYLOAD_TOO_LARGE)
            || error.server().and_then(|said| said.iserver_code) == Some(TOO_LARGE);
        let again = too_large && self.limit > SMALLEST;
        if again {
            self.limit = (self.limit / 2).max(SMALLEST);
        }
        if again { Ok(()) } else { Err(self.failed(error)) }
    }
}

fn digest(body: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(body);
    hasher.finish()
}

fn has_key(spec: &Spec, key: &str) -> bool {
    let of_path = spec.path.split_once('?').map_or("", |(_, query)| query);
    let mut pairs = of_path.split('&').chain(spec.query.split('&'));
    pairs.any(|pair| pair.split('=').next() == Some(key))
}

fn undecided(message: &'static str) -> Error {
    Error::new(ErrorKind::Decode, message)
}

fn usage(message: &'static str) -> Error {
    Error::new(ErrorKind::Usage, message)
}

/// How many entries there are on a page, and in the list: a page is a list, or an object with one list,
/// or its list is called `result`, or its `data` has a `paging` that says how much there is of it
/// (`current`, `total`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Shape {
    count: Option<u64>,
    total: Option<u64>,
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Looking { inside: true })
    }
}

/// The length of a list; `None` for any other value.
struct Length(Option<u64>);

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Looking { inside: false }).map(|shape| Self(shape.count))
    }
}

/// Looks at a value, and at what is inside of an object.
struct Looking {
    inside: bool,
}

impl<'de> Visitor<'de> for Looking {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a page")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
        Ok(Shape::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
        Ok(Shape::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
        Ok(Shape::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
        Ok(Shape::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Shape, E> {
        Ok(Shape::default())
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Shape, A::Error> {
        let mut count = 0;
        while list.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(Shape { count: Some(count), total: None })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
        if !self.inside {
            return IgnoredAny.visit_map(map).map(|_| Shape::default());
        }
        let mut shape = Shape::default();
        // Of other keys, the only list there is.
        let (mut lists, mut count) = (0, None);
        while let Some(key) = map.next_key::<String>()? {
            match &*key {
                "total" | "totalItems" => {
                    shape.total = map.next_value::<serde_json::Value>()?.as_u64();
                }
                "current" => shape.count = map.next_value::<serde_json::Value>()?.as_u64(),
                "data" | "paging" | "result" => {
                    let inner = map.next_value::<Shape>()?;
                    shape.count = inner.count.or(shape.count);
                    shape.total = inner.total.or(shape.total);
                }
                _ => {
                    if let Length(Some(length)) = map.next_value()? {
                        lists += 1;
                        count = Some(length);
                    }
                }
            }
        }
        if lists == 1 {
            shape.count = shape.count.or(count);
        }
        Ok(shape)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http::{Method, StatusCode};

    use super::*;
    use crate::error::parse_error_body;

    fn paging(limit: u32) -> Paging {
        of(Spec::new(Method::GET, "/api/x"), limit)
    }

    fn of(spec: Spec, limit: u32) -> Paging {
        Paging::new(Described::new(Box::new(spec)), limit)
    }

    fn asked(paging: &mut Paging) -> Option<String> {
        paging.next().expect("it can be told").map(|spec| spec.query)
    }

    /// A list of so many entries, which are not those of another list.
    fn list(length: usize) -> Vec<u8> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        serde_json::to_vec(&vec![number; length]).expect("a list")
    }

    fn refusal(status: StatusCode, body: &str) -> Error {
        Error::from_response(status, parse_error_body(body.as_bytes()).as_ref(), None)
    }

    #[test]
    fn total_is_read_where_the_servers_endpoints_write_it() {
        let shape = |count, total| Shape { count, total };
        for (body, expected) in [
            ("[{},{},[]]", shape(Some(3), None)),
            (r#"{"totalItems":7,"result":[{"total":9},{}]}"#, shape(Some(2), Some(7))),
            (r#"{"result":[1],"totalItems":null}"#, shape(Some(1), None)),
            (
                r#"{"definition":{"total":1},"data":{"paging":{"total":5,"current":2,"limit":2},
                    "headers":{"rows":[[0]]}}}"#,
                shape(Some(2), Some(5)),
            ),
            (r#"{"data":"text","result":null}"#, shape(None, None)),
            ("12", shape(None, None)),
            (r#"{"users":[{},{}],"next":{"a":[1]}}"#, shape(Some(2), None)),
            (r#"{"total":25,"users":[1],"groups":[]}"#, shape(None, Some(25))),
        ] {
            assert_eq!(serde_json::from_str::<Shape>(body).expect(body), expected, "{body}");
        }
    }

    #[test]
    fn pages_follow_each_other_to_the_total_or_to_a_short_one() {
        let total = |total: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(TOTAL, http::HeaderValue::from_static(total));
            headers
        };
        let mut pages = paging(2);
        assert_eq!(asked(&mut pages).as_deref(), Some("offset=0&limit=2"));
        let first = pages.answered(&total("4"), &list(2));
        let shape = Shape { count: Some(2), total: Some(4) };
        assert_eq!(first, Some(Place { offset: 0, shape }));
        assert_eq!(asked(&mut pages).as_deref(), Some("offset=2&limit=2"));
        // The server has a limit of its own, and sends less than it was asked for.
        pages.answered(&total("4"), &list(1));
        assert_eq!(asked(&mut pages).as_deref(), Some("offset=3&limit=2"));
        pages.answered(&total("4"), &list(1));
        assert_eq!(asked(&mut pages), None);

        let mut untold = paging(2);
        untold.answered(&HeaderMap::new(), &list(2));
        assert!(asked(&mut untold).is_some());
        untold.answered(&HeaderMap::new(), &list(1));
        assert_eq!(asked(&mut untold), None);

        // A list that became shorter meanwhile ends, whatever its total was.
        let mut shorter = paging(2);
        shorter.answered(&total("9"), &list(0));
        assert_eq!(asked(&mut shorter), None);
        // A server that does not look at the limit has sent everything.
        let mut whole = paging(2);
        whole.answered(&HeaderMap::new(), &list(5));
        assert_eq!(asked(&mut whole), None);
        // Nor at the offset, perhaps: the entries are neither told twice nor left out in silence.
        let mut same = paging(2);
        for place in [true, false] {
            assert_eq!(same.answered(&HeaderMap::new(), b"[1,2]").is_some(), place);
        }
        assert_eq!(same.next().map(drop).expect_err("unknown").kind(), ErrorKind::Decode);
        assert_eq!(asked(&mut same), None);
        // A server that tells the total looks at it, and entries may be alike.
        let mut alike = paging(2);
        for more in [true, true, false] {
            assert!(alike.answered(&total("6"), b"[1,1]").is_some());
            assert_eq!(asked(&mut alike).is_some(), more);
        }
        let mut unknown = paging(2);
        unknown.answered(&HeaderMap::new(), b"<html>");
        assert_eq!(unknown.next().map(drop).expect_err("unknown").kind(), ErrorKind::Decode);
        assert_eq!(asked(&mut unknown), None);
    }

    #[test]
    fn page_that_is_too_large_is_halved_down_to_a_bound() {
        let too_large = refusal(
            StatusCode::INTERNAL_SERVER_ERROR,
            r#"{"code":"ERR001","message":"","iServerCode":-2147206497}"#,
        );
        let mut pages = paging(1_000);
        pages.answered(&HeaderMap::new(), &list(1_000));
        for limit in [500, 250, 125, 62, 50] {
            assert!(pages.refused(too_large.clone()).is_ok());
            assert_eq!(asked(&mut pages), Some(format!("offset=1000&limit={limit}")));
        }
        assert!(pages.refused(too_large).is_err(), "it is something else");
        let mut small = paging(40);
        assert!(small.refused(refusal(StatusCode::PAYLOAD_TOO_LARGE, "")).is_err());
        assert_eq!(asked(&mut small), None, "it stays so");
        let mut away = paging(40);
        assert!(away.refused(refusal(StatusCode::SERVICE_UNAVAILABLE, "")).is_err());
        assert!(asked(&mut away).is_some(), "it may be there again");
    }

    #[test]
    fn request_that_has_no_pages_is_a_mistake() {
        let with = |path: &str, query: &str| {
            let mut spec = Spec::new(Method::GET, path);
            spec.query = query.to_owned();
            spec
        };
        for (spec, limit, named) in [
            (with("/api/x?limit=3", ""), 10, "\"limit\""),
            (with("/api/x", "a=b&offset=3"), 10, "\"offset\""),
            (with("/api/x", "limits=3"), 0, "0 entries"),
        ] {
            let mut pages = of(spec, limit);
            let mistake =
                pages.next().expect("known").and_then(|spec| spec.mistake).expect("a mistake");
            assert_eq!(mistake.kind(), ErrorKind::Usage);
            assert!(mistake.to_string().contains(named), "{mistake}");
        }
        let mut fine = of(with("/api/x", "a=b&limits=3"), 10);
        assert_eq!(asked(&mut fine).as_deref(), Some("a=b&limits=3&offset=0&limit=10"));
    }
}
