//! A list that is asked for page by page.

use std::iter::FusedIterator;

use super::pump::Threads;
use crate::driver::handle::Handle;
use crate::error::Error;
use crate::request::{Page, Paging};

/// A list that is asked for page by page, with `offset` and `limit` in the query. Made by
/// [`RequestBuilder::pages`](super::RequestBuilder::pages).
///
/// It ends with the total that the server tells (in the header `x-mstr-total-count`, as `totalItems`,
/// or in `data.paging`), and where it tells none, with a page that is not full. Where a page is neither
/// a list nor an object with one list, so that its entries cannot be counted, the second page is an
/// error of kind [`Decode`](crate::ErrorKind::Decode). A page that the server
/// refuses as too large (its code -2147206497, or HTTP 413) is asked for again with half the limit,
/// down to 50, and so are those after it. Each page is a call of its own, with its own time and
/// attempts, and so is the search for a project that is named.
///
/// ```
/// use mstr_core::{Error, blocking};
/// use serde_json::Value;
///
/// fn users(connection: &blocking::Connection) -> Result<Vec<Value>, Error> {
///     let mut users = Vec::new();
///     for page in connection.get("/api/users").pages(1_000) {
///         users.extend(page?.json::<Vec<Value>>()?);
///     }
///     Ok(users)
/// }
/// ```
#[derive(Debug)]
#[must_use = "nothing is asked for before it is iterated"]
pub struct Pages {
    handle: Handle<Threads>,
    paging: Paging,
}

impl Pages {
    pub(super) const fn new(handle: Handle<Threads>, paging: Paging) -> Self {
        Self { handle, paging }
    }

    fn next_page(&mut self) -> Result<Option<Page>, Error> {
        let Self { handle, paging } = self;
        if let Some(wanted) = paging.wanted_project() {
            let found = handle.core.find_project(&mut paging.described, &wanted);
            found.map_err(|error| paging.failed(error))?;
        }
        while let Some(spec) = paging.next()? {
            let answered = match handle.core.call(spec) {
                Ok(response) => response.into_whole(),
                Err(error) => Err(error),
            };
            match answered {
                Ok((received, body)) => {
                    let place = paging.answered(&received.parts.headers, &body);
                    return Ok(place.map(|place| Page::new(received, body, place)));
                }
                Err(error) => paging.refused(error)?,
            }
        }
        Ok(None)
    }
}

/// Each page, or why it could not be had. After an error that [can pass](Error::is_retryable) it asks
/// for the same page again, and after another one the list is over.
///
/// The errors are those of [`RequestBuilder::send`](super::RequestBuilder::send) and of reading a
/// response, and [`Usage`](crate::ErrorKind::Usage) for a limit of 0, a `limit` or `offset` in the
/// query, or a body that can be sent only once.
impl Iterator for Pages {
    type Item = Result<Page, Error>;

    fn next(&mut self) -> Option<Result<Page, Error>> {
        self.next_page().transpose()
    }
}

impl FusedIterator for Pages {}
