//! How a timeline is serialised.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::entry::What;
use super::text::failure;
use super::{Timeline, TimelineEntry};

/// `calls`, `overwritten`, and `entries`, each of which has what is known of it.
impl Serialize for Timeline {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("calls", &self.calls)?;
        map.serialize_entry("overwritten", &self.overwritten)?;
        map.serialize_entry("entries", &self.entries().collect::<Vec<_>>())?;
        map.end()
    }
}

/// Its number, the time in milliseconds, its kind, its words, its root, and what else there is.
impl Serialize for TimelineEntry<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("seq", &self.seq())?;
        map.serialize_entry("at_ms", &(self.entry.micros / 1_000))?;
        map.serialize_entry("kind", self.kind())?;
        map.serialize_entry("text", &self.to_string())?;
        if let Some(cause) = self.cause() {
            map.serialize_entry("cause", &cause)?;
        }
        map.serialize_entry("root", self.root())?;
        if let Some(generation) = self.generation() {
            map.serialize_entry("generation", &generation)?;
        }
        if let Some(exchange) = self.exchange() {
            map.serialize_entry("exchange", exchange)?;
        }
        if self.entry.exchange != 0 {
            map.serialize_entry("exchange_id", &self.entry.exchange)?;
        }
        if let Some(path) = self.timeline.path(self.entry) {
            map.serialize_entry("path", path)?;
        }
        match self.entry.what {
            What::Answered { status, code, .. } => {
                map.serialize_entry("status", &status)?;
                if code != 0 {
                    map.serialize_entry("code", &format!("ERR{code:03}"))?;
                }
            }
            What::Failed { kind, .. } => map.serialize_entry("failure", failure(kind))?,
            What::Idle { idle, limit } | What::Lost { idle, limit, .. } => {
                map.serialize_entry("idle_s", &idle)?;
                map.serialize_entry("limit_s", &limit)?;
            }
            What::Waits { millis, .. } => map.serialize_entry("wait_ms", &millis)?,
            What::Shared { callers } => map.serialize_entry("callers", &callers)?,
            _ => {}
        }
        map.end()
    }
}
