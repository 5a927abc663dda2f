//! A situation, and what is expected of it.

use mstr::core::BoxFuture;

use crate::gateways::Kind;
use crate::outcome::Outcome;
use crate::stage::{Played, Stage};
use crate::tally::Failure;
use crate::way::Way;

/// Plays a situation on a stage.
pub(crate) type Play = for<'s> fn(&'s Stage<'s>) -> BoxFuture<'s, Outcome<Played>>;

/// Something that sessions have to live with.
///
/// Whatever it is: no POST is carried out twice, every answer is the one to its question, and no
/// session is left on a server that lives.
pub(crate) struct Situation {
    pub(crate) name: &'static str,
    /// Further expectations, as text.
    pub(crate) expected: &'static str,
    pub(crate) on: &'static [Kind],
    pub(crate) ways: &'static [Way],
    /// Which calls may fail,
    pub(crate) may_fail: fn(&Failure) -> bool,
    /// and how many of them.
    pub(crate) at_most: fn(Way) -> usize,
    pub(crate) play: Play,
}
