//! Tables in Markdown, and how numbers are written in them and in pictures.

use super::records::{Column, RATIO, Spread, Table};

pub(super) fn table(table: &Table) -> String {
    let cells = |first: &str, rest: Vec<String>| format!("| {first} | {} |\n", rest.join(" | "));
    let mut text =
        cells("", table.columns.iter().map(|column| escaped(&heading(column))).collect());
    text.push_str(&format!("|---|{}\n", "---:|".repeat(table.columns.len())));
    for (row, name) in table.rows.iter().enumerate() {
        let cell = |column| table.cell(row, column).map_or_else(String::new, with_spread);
        text.push_str(&cells(&escaped(name), (0..table.columns.len()).map(cell).collect()));
    }
    // An empty cell needs one space only.
    text.replace("|  |", "| |").replace("|  |", "| |")
}

/// The name of a column, with its unit where it does not say that itself.
pub(super) fn heading(Column { name, unit }: &Column) -> String {
    let said = name == unit || name.split([' ', ',']).any(|word| word == unit);
    match unit == RATIO || said {
        true => name.clone(),
        false => format!("{name}, {unit}"),
    }
}

/// `0.97 (0.95–0.99)`; without a spread where there is none.
pub(super) fn with_spread(spread: Spread) -> String {
    let digits = digits(spread);
    let [low, middle, high] =
        [spread.low, spread.middle, spread.high].map(|value| number(value, digits));
    match low == high {
        true => middle,
        false => format!("{middle} ({low}–{high})"),
    }
}

/// How many digits after the point say something: about three in all, none for what was counted.
pub(super) fn digits(Spread { low, middle, high }: Spread) -> usize {
    if [low, middle, high].iter().all(|value| value.fract() == 0.0) {
        return 0;
    }
    match middle.abs() {
        ..0.1 => 3,
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    }
}

/// With commas between thousands.
pub(super) fn number(value: f64, digits: usize) -> String {
    let text = format!("{:.digits$}", value.abs());
    let (whole, rest) = text.find('.').map_or((text.as_str(), ""), |point| text.split_at(point));
    let first = whole.len() % 3;
    let mut groups: Vec<&str> = Vec::new();
    groups.extend((first > 0).then(|| &whole[..first]));
    groups.extend((first..whole.len()).step_by(3).map(|start| &whole[start..start + 3]));
    let is_zero = text.bytes().all(|digit| b"0.".contains(&digit));
    let sign = if value < 0.0 && !is_zero { "-" } else { "" };
    format!("{sign}{}{rest}", groups.join(","))
}

/// A text that Markdown takes for what it is.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '\\' | '|' | '*' | '`' | '[' | ']' => escaped.extend(['\\', letter]),
            _ => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::records::{Records, tests::FEW};

    #[test]
    fn cells_that_were_not_measured_stay_empty() {
        let records = Records::parse("x", FEW).unwrap();
        let text = table(&records.chapters[0].tables[0]);
        assert_eq!(
            text,
            "| | 1 | 8 |\n|---|---:|---:|\n| z | 1.00 (0.90–1.25) | 0.50 |\n\
             | a &amp; &lt;b> | 2.00 (1.50–2.50) | |\n| b | | 0.75 (0.70–0.80) |\n"
        );
    }

    #[test]
    fn units_stand_in_the_heading_where_it_does_not_say_them() {
        let records = Records::parse("x", FEW).unwrap();
        let text = table(&records.chapters[1].tables[0]);
        assert!(text.starts_with("| | time, ns | allocations |\n"), "{text}");
        assert!(text.ends_with("| z | 1,234 (1,200–1,300) | 5 |\n"), "{text}");
    }

    #[test]
    fn numbers_have_as_many_digits_as_say_something() {
        let exact = |value| with_spread(Spread { low: value, middle: value, high: value });
        let shown = [0.0, 5.0, 0.0213, 0.834, 12.34, 99.96, 1_234_567.0, -3.5].map(exact);
        assert_eq!(shown, ["0", "5", "0.021", "0.83", "12.3", "100.0", "1,234,567", "-3.50"]);
        assert_eq!(number(-0.001, 2), "0.00");
        assert_eq!(number(100_000.0, 0), "100,000");
    }

    #[test]
    fn signs_of_markdown_are_escaped() {
        assert_eq!(escaped("a|b <c> & `d` \\ *e*"), "a\\|b &lt;c> &amp; \\`d\\` \\\\ \\*e\\*");
    }
}
