//! Durations in files of settings and in reports: `"30s"`, `"1h 30m"`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer};

/// The text for "no limit".
const NONE: &str = "none";

pub(crate) fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&humantime::format_duration(*duration))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    parse(&String::deserialize(from)?)
}

fn parse<E: serde::de::Error>(text: &str) -> Result<Duration, E> {
    humantime::parse_duration(text).map_err(|error| {
        E::custom(format!("\"{text}\" is not a duration such as \"30s\" or \"1h 30m\": {error}"))
    })
}

/// A duration that may be missing.
#[expect(clippy::ref_option, reason = "the signatures are serde's")]
pub(crate) mod or_default {
    use super::{Deserialize, Deserializer, Duration, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => super::serialize(duration, to),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        Option::<String>::deserialize(from)?.as_deref().map(super::parse).transpose()
    }
}

/// A limit that may be missing, or none. In TOML there is no null.
#[expect(clippy::ref_option, reason = "the signatures are serde's")]
pub(crate) mod or_none {
    use super::{Deserialize, Deserializer, Duration, NONE, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        limit: &Option<Option<Duration>>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match limit {
            Some(Some(limit)) => super::serialize(limit, to),
            Some(None) => to.serialize_str(NONE),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Option<Duration>>, D::Error> {
        let Some(text) = Option::<String>::deserialize(from)? else {
            return Ok(None);
        };
        match text.trim() {
            text if text.eq_ignore_ascii_case(NONE) => Ok(Some(None)),
            text => super::parse(text).map(|limit| Some(Some(limit))),
        }
    }
}
