//! The tables that `figures` begins and `counts` adds columns to: with another heading or another name of a
//! row, the columns would stand elsewhere.

/// A warm call.
pub const WARM: &str = "The layer alone: a warm call, counted";
/// Tasks at a dead session.
pub const STAMPEDE: &str = "Tasks at a dead session: what each costs";
/// Sessions that stay open.
pub const SESSIONS: &str = "Idle sessions: what each costs";

/// The name of a row: `100,000 tasks`, `1 task`.
#[must_use]
pub fn number_of(number: usize, things: &str) -> String {
    let digits = number.to_string();
    let (thousands, rest) = digits.split_at(digits.len().saturating_sub(3));
    let comma = if thousands.is_empty() { "" } else { "," };
    let things = if number == 1 { things.trim_end_matches('s') } else { things };
    format!("{thousands}{comma}{rest} {things}")
}
