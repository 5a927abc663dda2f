//! Pictures of tables: horizontal bars, a group for each row, with the middle half as whiskers.
//!
//! SVG without scripts and without anything from elsewhere. The background is painted, so that a
//! picture can be read on any page; its colours follow the reader's choice of light or dark.

use super::records::{RATIO, Spread, Table};
use super::tables::{self, digits, number};

const WIDTH: f64 = 760.0;
/// Above the bars: the heading; then the legend, a line of it.
const TOP: f64 = 40.0;
const LEGEND: f64 = 20.0;
/// Below the bars, for the axis.
const BOTTOM: f64 = 42.0;
/// Right of the bars, for the last number.
const RIGHT: f64 = 70.0;
const BAR: f64 = 13.0;
/// Between two groups.
const GAP: f64 = 11.0;
/// How wide a letter is, about: 12 pixels of a font without serifs.
const LETTER: f64 = 6.6;
/// The room for the names of rows.
const NAMES: (f64, f64) = (70.0, 300.0);
/// The columns' colours, on light and on dark; then they begin anew.
const COLOURS: [(&str, &str); 6] = [
    ("#2f6fb5", "#4a86c8"),
    ("#c77a1e", "#b9772a"),
    ("#3c8d5a", "#47935f"),
    ("#8a4f9e", "#9a66ad"),
    ("#b5474b", "#b9595d"),
    ("#5f6b76", "#75818c"),
];

/// A table with fewer numbers than this is as easy to read.
const FEWEST: usize = 3;

/// A picture of the table's ratios; of what has the unit of its first column, if it has none.
pub(super) fn picture(table: &Table) -> Option<String> {
    let columns = &table.columns;
    let has_ratio = columns.iter().any(|column| column.unit == RATIO);
    let unit = if has_ratio { RATIO } else { columns.first()?.unit.as_str() };
    let columns: Vec<usize> =
        (0..columns.len()).filter(|column| columns[*column].unit == unit).collect();
    let groups: Vec<Group<'_>> = table
        .rows
        .iter()
        .enumerate()
        .map(|(row, name)| Group {
            name,
            bars: columns
                .iter()
                .enumerate()
                .filter_map(|(index, column)| Some((index, table.cell(row, *column)?)))
                .collect(),
        })
        .filter(|group| !group.bars.is_empty())
        .collect();
    if groups.iter().map(|group| group.bars.len()).sum::<usize>() < FEWEST {
        return None;
    }
    let names: Vec<&str> =
        columns.iter().map(|column| table.columns[*column].name.as_str()).collect();
    // A single column is named at the axis, several in the legend.
    let label = match columns[..] {
        [column] => tables::heading(&table.columns[column]),
        _ => unit.to_owned(),
    };
    Some(draw(&table.heading, (unit, &label), &names, &groups))
}

/// One row of the table, with the numbers of those columns that have one.
struct Group<'a> {
    name: &'a str,
    bars: Vec<(usize, Spread)>,
}

fn draw(
    heading: &str,
    (unit, label): (&str, &str),
    columns: &[&str],
    groups: &[Group<'_>],
) -> String {
    let (legend, legend_lines) = legend(columns);
    let top = TOP + LEGEND * legend_lines as f64;
    let bars: f64 = groups.iter().map(|group| BAR * group.bars.len() as f64 + GAP).sum();
    let (bottom, height) = (top + bars, top + bars + BOTTOM);
    let longest = groups.iter().map(|group| group.name.chars().count()).max().unwrap_or_default();
    let left = (longest as f64 * LETTER + 20.0).clamp(NAMES.0, NAMES.1);
    let axis = Axis::of(groups, unit, left);

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\">\n<title>{0}</title>\n{1}\
         <rect class=\"page\" width=\"100%\" height=\"100%\"/>\n\
         <text class=\"head\" x=\"12\" y=\"24\">{0}</text>\n{legend}",
        escaped(heading),
        style(columns.len()),
    );
    for tick in axis.ticks() {
        let x = axis.x(tick);
        svg.push_str(&format!(
            "<path class=\"grid\" d=\"M{x:.1} {top:.0}V{bottom:.0}\"/>\n\
             <text class=\"tick\" x=\"{x:.1}\" y=\"{:.0}\">{}</text>\n",
            bottom + 15.0,
            number(tick, axis.digits()),
        ));
    }
    let mut y = top + GAP / 2.0;
    for group in groups {
        let middle = y + BAR * group.bars.len() as f64 / 2.0 + 4.0;
        svg.push_str(&format!(
            "<text class=\"row\" x=\"{:.0}\" y=\"{middle:.1}\">{}</text>\n",
            left - 8.0,
            escaped(group.name)
        ));
        for (column, spread) in &group.bars {
            svg.push_str(&bar(&axis, *column, *spread, y));
            y += BAR;
        }
        y += GAP;
    }
    if unit == RATIO {
        let one = axis.x(1.0);
        svg.push_str(&format!("<path class=\"one\" d=\"M{one:.1} {top:.0}V{bottom:.0}\"/>\n"));
    }
    svg.push_str(&format!(
        "<text class=\"unit\" x=\"{:.0}\" y=\"{:.0}\">{}{}</text>\n</svg>\n",
        (left + WIDTH - RIGHT) / 2.0,
        bottom + 33.0,
        escaped(label),
        if svg.contains("class=\"half\"") { "; whiskers: the middle half" } else { "" },
    ));
    svg
}

/// A bar from zero to the median, its whiskers, and the number.
fn bar(axis: &Axis, column: usize, spread: Spread, y: f64) -> String {
    let (zero, end) = (axis.x(0.0), axis.x(spread.middle));
    let (low, high) = (axis.x(spread.low), axis.x(spread.high));
    let (from, width) = (zero.min(end), (end - zero).abs().max(0.5));
    let mut svg = format!(
        "<rect class=\"c{}\" x=\"{from:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{:.0}\"/>\n",
        column % COLOURS.len(),
        BAR - 2.0
    );
    if spread.low != spread.high {
        let (cap, middle) = (y + 2.5, y + 5.5);
        svg.push_str(&format!(
            "<path class=\"half\" d=\"M{low:.1} {cap:.1}v6M{low:.1} {middle:.1}H{high:.1}M{high:.1} {cap:.1}v6\"/>\n"
        ));
    }
    svg.push_str(&format!(
        "<text class=\"number\" x=\"{:.1}\" y=\"{:.1}\">{}</text>\n",
        high.max(end).max(zero) + 5.0,
        y + 9.5,
        number(spread.middle, digits(spread))
    ));
    svg
}

/// Which colour is which column, in so many lines; none where there is one column.
fn legend(columns: &[&str]) -> (String, usize) {
    if columns.len() < 2 {
        return (String::new(), 0);
    }
    let (mut svg, mut x, mut line) = (String::new(), 12.0, 0);
    for (index, column) in columns.iter().enumerate() {
        let width = column.chars().count() as f64 * LETTER + 34.0;
        if x > 12.0 && x + width > WIDTH {
            (x, line) = (12.0, line + 1);
        }
        let y = TOP - 2.0 + LEGEND * f64::from(line);
        svg.push_str(&format!(
            "<rect class=\"c{}\" x=\"{x:.0}\" y=\"{y:.0}\" width=\"11\" height=\"11\"/>\n\
             <text x=\"{:.0}\" y=\"{:.0}\">{}</text>\n",
            index % COLOURS.len(),
            x + 16.0,
            y + 10.0,
            escaped(column)
        ));
        x += width;
    }
    (svg, line as usize + 1)
}

/// Where numbers are from left to right.
struct Axis {
    least: f64,
    most: f64,
    /// Between two lines of the grid.
    step: f64,
    left: f64,
}

impl Axis {
    fn of(groups: &[Group<'_>], unit: &str, left: f64) -> Self {
        let spreads = || groups.iter().flat_map(|group| group.bars.iter().map(|bar| bar.1));
        let least = spreads().map(|spread| spread.low).fold(0.0, f64::min);
        // One is always to be seen where numbers are compared with it.
        let at_least = if unit == RATIO { 1.0 } else { 0.0 };
        let most = spreads().map(|spread| spread.high).fold(at_least, f64::max);
        let most = if most > least { most } else { least + 1.0 };
        let rough = (most - least) / 5.0;
        let power = 10f64.powf(rough.log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
        let step = steps.into_iter().find(|step| *step >= rough).unwrap_or(10.0 * power);
        Self { least, most, step, left }
    }

    fn x(&self, value: f64) -> f64 {
        let share = (value - self.least) / (self.most - self.least);
        self.left + share * (WIDTH - RIGHT - self.left)
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        let (first, last) = ((self.least / self.step).ceil(), (self.most / self.step).floor());
        (first as i64..=last as i64).map(|tick| tick as f64 * self.step)
    }

    /// How many digits after the point tell two lines of the grid apart.
    fn digits(&self) -> usize {
        (0..6).find(|digits| self.step * 10f64.powi(*digits) >= 0.999).unwrap_or(6) as usize
    }
}

fn style(columns: usize) -> String {
    let colours = |dark: bool| {
        let used = COLOURS.iter().take(columns).enumerate();
        let rules = used.map(|(index, (on_light, on_dark))| {
            format!(".c{index}{{fill:{}}}", if dark { on_dark } else { on_light })
        });
        rules.collect::<String>()
    };
    format!(
        "<style>\n\
         text{{font:12px sans-serif;fill:#1f2328}}.head{{font-weight:bold;font-size:14px}}\
         .row{{text-anchor:end}}.tick,.unit{{text-anchor:middle}}.number{{font-size:10.5px}}\n\
         .page{{fill:#ffffff}}.grid{{stroke:#d8dee4}}path{{fill:none}}\
         .one{{stroke:#1f2328;stroke-dasharray:4 3}}.half{{stroke:#1f2328;stroke-opacity:.75}}\n{}\n\
         @media(prefers-color-scheme:dark){{text{{fill:#e6edf3}}.page{{fill:#0d1117}}\
         .grid{{stroke:#30363d}}.one,.half{{stroke:#e6edf3}}{}}}\n</style>\n",
        colours(false),
        colours(true)
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::records::{Records, tests::FEW};

    fn tables(text: &str) -> Vec<Table> {
        let chapters = Records::parse("x", text).unwrap().chapters;
        chapters.into_iter().flat_map(|chapter| chapter.tables).collect()
    }

    /// The value of an attribute in each element of this class.
    fn numbers(svg: &str, class: &str, name: &str) -> Vec<f64> {
        let lines = svg.lines().filter(|line| line.contains(&format!("class=\"{class}\"")));
        let values = lines.map(|line| {
            let (_, rest) = line.split_once(&format!(" {name}=\"")).unwrap();
            rest.split('"').next().unwrap().parse().unwrap()
        });
        values.collect()
    }

    #[test]
    fn bars_are_as_long_as_their_numbers() {
        let svg = picture(&tables(FEW)[0]).unwrap();
        let (first, second) = (numbers(&svg, "c0", "width"), numbers(&svg, "c1", "width"));
        // The legend's square, then the rows that have the column.
        assert_eq!((first.len(), second.len()), (3, 3));
        assert!((first[2] - 2.0 * first[1]).abs() < 0.2, "{first:?}");
        assert!((second[2] - 1.5 * second[1]).abs() < 0.2, "{second:?}");
        // Four bars, of which one has been counted and has no whiskers.
        assert_eq!(svg.matches("class=\"half\"").count(), 3);
        let one = svg.lines().find(|line| line.contains("class=\"one\"")).unwrap();
        let end = numbers(&svg, "c0", "x")[1] + first[1];
        assert!(one.contains(&format!("M{end:.1} ")), "{one}, bar to {end}");
    }

    #[test]
    fn bars_do_not_cross_each_other_or_leave_the_picture() {
        let svg = picture(&tables(FEW)[0]).unwrap();
        let mut tops = [numbers(&svg, "c0", "y"), numbers(&svg, "c1", "y")].concat();
        tops.sort_by(f64::total_cmp);
        // The legend's squares are beside each other.
        assert!(tops[1..].windows(2).all(|pair| pair[1] - pair[0] >= BAR), "{tops:?}");
        let end = numbers(&svg, "number", "x").into_iter().fold(0.0, f64::max);
        assert!(end < WIDTH - 30.0, "{end}");
    }

    #[test]
    fn names_are_escaped_and_nothing_comes_from_elsewhere() {
        let svg = picture(&tables(FEW)[0]).unwrap();
        assert!(svg.contains(">a &amp; &lt;b&gt;</text>"), "{svg}");
        assert!(svg.contains("<title>A | B: ratio to &lt;c&gt;</title>"));
        for word in ["<script", "href", "url(", "@import", "<image", "foreignObject"] {
            assert!(!svg.contains(word), "{word}");
        }
        assert_eq!(svg.matches("http").count(), 1, "the name of the format alone");
    }

    #[test]
    fn table_of_few_numbers_has_no_picture_and_its_unit_is_named_at_the_axis() {
        assert!(picture(&tables(FEW)[1]).is_none());
        let more = ["y", "x"]
            .map(|row| FEW.lines().nth(6).unwrap().replace("\"z\"", &format!("\"{row}\"")));
        let svg = picture(&tables(&format!("{FEW}{}\n", more.join("\n")))[1]).unwrap();
        assert!(!svg.contains("class=\"one\""), "{svg}");
        assert!(svg.contains(">time, ns; whiskers: the middle half<"), "{svg}");
    }

    #[test]
    fn numbers_below_zero_go_to_the_left() {
        let below = FEW.replace("\"low\":0.5,\"middle\":0.5", "\"low\":-0.75,\"middle\":-0.5");
        let svg = picture(&tables(&below)[0]).unwrap();
        let (x, width) = (numbers(&svg, "c1", "x")[1], numbers(&svg, "c1", "width")[1]);
        let zero = numbers(&svg, "c0", "x")[1];
        assert!((x + width - zero).abs() < 0.2 && width > 10.0, "{x} {width} {zero}");
    }

    #[test]
    fn a_large_table_is_a_small_file() {
        let mut text = FEW.to_owned();
        for row in 0..25 {
            for column in ["1 in flight", "8 in flight", "64 in flight"] {
                text.push_str(&format!(
                    "{{\"table\":\"Large\",\"row\":\"a client with a long name, {row}\",\
                     \"column\":\"{column}\",\"unit\":\"ratio\",\"low\":0.123,\"middle\":0.456,\"high\":0.789}}\n"
                ));
            }
        }
        let svg = picture(tables(&text).last().unwrap()).unwrap();
        assert!(svg.len() < 20_000, "{} bytes", svg.len());
    }
}
