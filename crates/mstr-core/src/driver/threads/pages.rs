//! A list that is read page by page.

use std::iter::FusedIterator;

use super::pump::Threads;
use crate::driver::handle::Handle;
use crate::error::Error;
use crate::request::{Page, Paging};

/// A list that is read page by page, with `offset` and `limit` in the query. Made by
/// [`RequestBuilder::pages`](super::RequestBuilder::pages).
///
/// ```
/// # use mstr_core as mstr;
/// use mstr::{Error, blocking};
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
///
/// - **The end.** The server tells the total in the header `x-mstr-total-count`, as `totalItems` or in
///   `data.paging`. If it does not, the list ends with the first page that is not full.
///   The entries are those of a page that is a list, of the only list in an object, or of `result`. If
///   they cannot be counted, the second page is an error of kind [`Decode`](crate::ErrorKind::Decode);
///   so is a page that is the one before once more where no total is told.
/// - **Pages that are too large.** If the server refuses a page as too large (its code -2147206497, or
///   HTTP 413), that page and all further ones are asked for with half the limit, down to 50 entries.
/// - **Time limits.** Each page is a call of its own, with its own time and attempts. So is the search
///   for a [project](super::RequestBuilder::project) by its name.
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
                    if let Some(place) = paging.answered(&received.parts.headers, &body) {
                        return Ok(Some(Page::new(received, body, place)));
                    }
                }
                Err(error) => paging.refused(error)?,
            }
        }
        Ok(None)
    }
}

/// Yields the pages. After an error that [is retryable](Error::is_retryable) the iterator asks for the
/// same page again. After any other error it ends.
///
/// The errors are those of [`RequestBuilder::send`](super::RequestBuilder::send) and
/// [`Response::bytes`](super::Response::bytes), and [`Usage`](crate::ErrorKind::Usage) for a limit of
/// 0, a `limit` or `offset` in the query, or a body that can be sent only once.
impl Iterator for Pages {
    type Item = Result<Page, Error>;

    fn next(&mut self) -> Option<Result<Page, Error>> {
        self.next_page().transpose()
    }
}

impl FusedIterator for Pages {}
