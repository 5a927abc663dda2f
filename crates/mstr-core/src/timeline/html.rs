//! How a timeline is drawn: time runs down, each session is a lane, each exchange a bar from its
//! request to its answer, and each arrow leads from a cause to what came of it.

use std::fmt::{self, Display, Formatter, Write};

use super::entry::{Entry, What};
use super::{Timeline, TimelineEntry};
use crate::generation::Generation;

/// In pixels.
const ROW: usize = 24;
/// All lanes, and each.
const LANES: usize = 420;
const LANE: std::ops::RangeInclusive<usize> = 14..=34;
const TOP: usize = 44;
const TIMES: usize = 110;
const TEXT: usize = 720;

const STYLE: &str = "\
body{font:14px/1.5 system-ui,sans-serif;margin:24px;color:#1c2430;background:#fff}\
h1{font-size:18px;margin:0 0 4px}p{margin:0 0 12px;color:#5a6675}\
svg text{font:13px system-ui,sans-serif;fill:#1c2430}svg .t{fill:#5a6675;text-anchor:end}\
svg .l{fill:#5a6675;text-anchor:middle;font-size:12px}\
.lane{stroke:#e3e7ec;stroke-width:1}.open{fill:#e6f4ea}.bar{fill:#a9b8cc}.row{fill:#f6f8fa}\
.arrow{fill:none;stroke:#8592a3;stroke-width:1.2;marker-end:url(#a)}\
.root{fill:#2f6fde}.good{fill:#1f9d55}.bad{fill:#d64545}.wait{fill:#e08a00}.plain{fill:#5a6675}\
.key{display:inline-block;width:10px;height:10px;border-radius:5px;margin:0 5px 0 14px}\
.key.root{background:#2f6fde}.key.good{background:#1f9d55}.key.bad{background:#d64545}\
.key.wait{background:#e08a00}.key.plain{background:#5a6675;margin-left:14px}";

/// A text between tags.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                letter => f.write_char(letter)?,
            }
        }
        Ok(())
    }
}

/// The places of what is drawn.
struct Drawn<'a> {
    timeline: &'a Timeline,
    /// Those that entries are about; the first lane is for what is in no session.
    lanes: Vec<Generation>,
    /// How wide each is.
    lane: usize,
}

impl Timeline {
    /// A picture of it: one HTML page that needs nothing else. Time runs down. Each session is a lane,
    /// each exchange a bar from its request to its answer, and each arrow leads from a cause to what
    /// came of it. The pointer over a dot shows its whole chain.
    #[must_use]
    pub fn to_html(&self) -> String {
        let mut lanes: Vec<Generation> =
            self.entries.iter().map(|entry| entry.generation).collect();
        lanes.push(Generation::NONE);
        lanes.sort_unstable();
        lanes.dedup();
        let lane = (LANES / lanes.len()).clamp(*LANE.start(), *LANE.end());
        Drawn { timeline: self, lanes, lane }.to_string()
    }
}

impl Drawn<'_> {
    fn x(&self, generation: Generation) -> usize {
        let lane = self.lanes.binary_search(&generation).unwrap_or_default();
        TIMES + self.lane * lane + self.lane / 2
    }

    const fn y(row: usize) -> usize {
        TOP + ROW * row + ROW / 2
    }

    fn row_of(&self, seq: u64) -> Option<usize> {
        self.timeline.entries.binary_search_by_key(&seq, |entry| entry.seq).ok()
    }

    const fn bottom(&self) -> usize {
        TOP + ROW * self.timeline.entries.len()
    }

    /// The lanes, and from when to when there was a session in each.
    fn lanes(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let entries = &self.timeline.entries;
        for &generation in &self.lanes {
            let x = self.x(generation);
            let of_it = |entry: &&Entry| entry.generation == generation;
            if generation == Generation::NONE {
                write!(f, r#"<text class="l" x="{x}" y="{}">none</text>"#, TOP - 10)?;
            } else {
                write!(f, r#"<text class="l" x="{x}" y="{}">{generation}</text>"#, TOP - 10)?;
                let begun = entries.iter().filter(of_it).find(|entry| entry.what == What::Opened);
                let from = begun.and_then(|entry| self.row_of(entry.seq)).map_or(TOP, Self::y);
                let over = entries.iter().find(|entry| {
                    let gone = matches!(entry.what, What::Lost { .. } | What::Replaced);
                    gone && of_it(entry) || matches!(entry.what, What::Closed(_))
                });
                let to = over
                    .and_then(|entry| self.row_of(entry.seq))
                    .map_or_else(|| self.bottom(), Self::y);
                let height = to.saturating_sub(from);
                write!(
                    f,
                    r#"<rect class="open" x="{}" y="{from}" width="{}" height="{height}"/>"#,
                    x - self.lane / 2,
                    self.lane
                )?;
            }
            let bottom = self.bottom();
            write!(f, r#"<line class="lane" x1="{x}" y1="{TOP}" x2="{x}" y2="{bottom}"/>"#)?;
        }
        Ok(())
    }

    /// What links an entry to its cause: a bar if that is the exchange it answers, else an arrow.
    fn link(&self, f: &mut Formatter<'_>, row: usize, entry: &Entry) -> fmt::Result {
        let Some(above) = self.row_of(entry.cause) else { return Ok(()) };
        let cause = &self.timeline.entries[above];
        let (x1, y1, x2, y2) =
            (self.x(cause.generation), Self::y(above), self.x(entry.generation), Self::y(row));
        let answered = matches!(cause.what, What::Sent(_)) && cause.exchange == entry.exchange;
        if answered && cause.exchange != 0 {
            // Those that are under way together lie beside one another.
            let x = x1 - 9 + usize::try_from(cause.exchange % 3).unwrap_or_default() * 6;
            return write!(
                f,
                r#"<rect class="bar" x="{x}" y="{y1}" width="6" height="{}" rx="3"/>"#,
                y2 - y1
            );
        }
        let end = y2 - 6;
        if x1 == x2 && row - above > 1 {
            let side = x1 - self.lane / 2;
            return write!(
                f,
                r#"<path class="arrow" d="M{x1} {y1}C{side} {y1} {side} {y2} {} {y2}"/>"#,
                x2 - 6
            );
        }
        let middle = usize::midpoint(y1, end);
        write!(f, r#"<path class="arrow" d="M{x1} {y1}C{x1} {middle} {x2} {middle} {x2} {end}"/>"#)
    }

    fn entry(&self, f: &mut Formatter<'_>, row: usize, entry: &Entry) -> fmt::Result {
        let timeline = self.timeline;
        let (x, y) = (self.x(entry.generation), Self::y(row));
        let (at, words) = (entry.at(), TimelineEntry { timeline, entry }.to_string());
        let (base, right) = (y + 5, TIMES + self.lane * self.lanes.len() + 12);
        let chain = timeline.chain(entry.seq).to_string();
        let (words, chain, class) = (Escaped(&words), Escaped(&chain), class(entry));
        write!(
            f,
            r#"<text class="t" x="{}" y="{base}">+{}.{:03} s</text><circle class="{class}" cx="{x}" cy="{y}" r="5"><title>{chain}</title></circle><text x="{right}" y="{base}">{words}</text>"#,
            TIMES - 14,
            at.as_secs(),
            at.subsec_millis()
        )
    }
}

impl Display for Drawn<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Timeline { entries, calls, overwritten, .. } = self.timeline;
        let width = TIMES + self.lane * self.lanes.len() + TEXT;
        let height = self.bottom() + ROW;
        write!(
            f,
            "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Timeline of a \
             connection</title><style>{STYLE}</style></head><body><h1>Timeline of a connection</h1>\
             <p>{} entries, {overwritten} earlier ones are not kept. {calls} calls went through.\
             <span class=\"key root\"></span>from outside<span class=\"key good\"></span>good\
             <span class=\"key bad\"></span>trouble<span class=\"key wait\"></span>again\
             <span class=\"key plain\"></span>other</p>\
             <svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\">\
             <defs><marker id=\"a\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" \
             markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"#8592a3\"/></marker>\
             </defs><text class=\"t\" x=\"{}\" y=\"{}\">session</text>",
            entries.len(),
            TIMES - 14,
            TOP - 10
        )?;
        for row in (0..entries.len()).step_by(2) {
            let y = TOP + ROW * row;
            write!(f, r#"<rect class="row" x="0" y="{y}" width="{width}" height="{ROW}"/>"#)?;
        }
        self.lanes(f)?;
        for (row, entry) in entries.iter().enumerate() {
            self.link(f, row, entry)?;
        }
        for (row, entry) in entries.iter().enumerate() {
            self.entry(f, row, entry)?;
        }
        f.write_str("</svg></body></html>\n")
    }
}

/// How an entry is coloured.
const fn class(entry: &Entry) -> &'static str {
    match entry.what {
        What::Repeats(_) | What::Waits { .. } | What::PauseOver => "wait",
        What::Answered { status: 400.., .. }
        | What::Failed { .. }
        | What::Late(_)
        | What::Lost { .. }
        | What::Rejected
        | What::Supplied { given: false } => "bad",
        What::Opened | What::Renewed | What::Closed(_) => "good",
        what if what.is_root() => "root",
        _ => "plain",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::Subject;

    #[test]
    fn picture_is_one_page_and_escapes_its_texts() {
        let entry = |seq: u64, what, exchange| Entry {
            seq,
            micros: seq * 1_500,
            cause: seq - 1,
            generation: Generation::from_number(seq % 3),
            exchange,
            path: 1,
            what,
            root: what.root(),
        };
        let answered = What::Answered { subject: Subject::Call, status: 401, code: 9 };
        let entries = vec![
            entry(1, answered, 0),
            entry(2, What::Lost { expired: false, idle: 0, limit: 0 }, 0),
            entry(3, What::Sent(Subject::Login), 4),
            entry(4, What::Late(Subject::Login), 4),
        ];
        let paths = vec![(1, Box::from("GET /api/<script>&\"'"))];
        let page = Timeline::new(entries, paths, 3, 0).to_html();
        assert!(page.contains("401 ERR009 on GET /api/&lt;script&gt;&amp;&quot;&#39;"), "{page}");
        assert!(!page.contains("<script") && !page.contains("href") && !page.contains("src="));
        assert_eq!(page.matches("class=\"bar\"").count(), 1, "{page}");
        assert_eq!(page.matches("class=\"arrow\"").count(), 2, "{page}");
        assert!(Timeline::default().to_html().ends_with("</html>\n"));
    }
}
