//! The file that the benchmarks append their figures to: lines of JSON, one for each figure.
//!
//! Two more kinds of lines are written before and between them: what was measured on, and the
//! chapter that the figures after it belong to.

use serde_json::{Value, json};

use crate::command::Outcome;

/// Everything that a file says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Records {
    /// What was measured, on what: a subject and what is said of it, in order.
    pub(super) machine: Vec<(String, String)>,
    pub(super) chapters: Vec<Chapter>,
}

#[derive(Debug, PartialEq)]
pub(super) struct Chapter {
    pub(super) heading: String,
    pub(super) tables: Vec<Table>,
}

/// Rows and columns stand in the order in which they are mentioned first.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Table {
    pub(super) heading: String,
    pub(super) rows: Vec<String>,
    pub(super) columns: Vec<Column>,
    cells: Vec<(usize, usize, Spread)>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) unit: String,
}

/// The middle half of what was measured; three times the same number where it was counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) low: f64,
    pub(super) middle: f64,
    pub(super) high: f64,
}

/// The unit of a number that is compared with one.
pub(super) const RATIO: &str = "ratio";

/// The line that says what was measured on.
pub(super) fn machine_line(machine: &[(String, String)]) -> String {
    format!("{}\n", json!({ "machine": machine }))
}

/// The line that a chapter begins with.
pub(super) fn chapter_line(heading: &str) -> String {
    format!("{}\n", json!({ "chapter": heading }))
}

impl Records {
    /// Reads a file, which the errors call `file`.
    pub(super) fn parse(file: &str, text: &str) -> Outcome<Self> {
        let mut records = Self::default();
        for (index, line) in text.lines().enumerate() {
            let wrong = |what: String| format!("{file}:{}: {what}", index + 1);
            let value = serde_json::from_str(line)
                .map_err(|error| wrong(format!("not a line of JSON: {error}")))?;
            records.add(&value).map_err(wrong)?;
        }
        if records.chapters.iter().all(|chapter| chapter.tables.is_empty()) {
            return Err(format!("{file}: there are no figures in it"));
        }
        if records.machine.is_empty() {
            return Err(format!(
                "{file}: no line says what was measured on; `cargo xtask bench --write` writes one"
            ));
        }
        Ok(records)
    }

    fn add(&mut self, value: &Value) -> Outcome {
        if let Some(machine) = value.get("machine") {
            let pairs = serde_json::from_value(machine.clone());
            self.machine = pairs.map_err(|error| format!("not a description: {error}"))?;
            return Ok(());
        }
        if value.get("chapter").is_some() {
            let heading = text(value, "chapter")?;
            if !self.chapters.iter().any(|chapter| chapter.heading == heading) {
                self.chapters.push(Chapter { heading, tables: Vec::new() });
            }
            return Ok(());
        }
        let column = Column { name: text(value, "column")?, unit: text(value, "unit")? };
        let spread = Spread {
            low: number(value, "low")?,
            middle: number(value, "middle")?,
            high: number(value, "high")?,
        };
        let row = text(value, "row")?;
        self.table(text(value, "table")?)?.put(row, column, spread);
        Ok(())
    }

    /// The table of this heading, in the chapter where it was mentioned first.
    fn table(&mut self, heading: String) -> Outcome<&mut Table> {
        let known = self
            .chapters
            .iter()
            .position(|chapter| chapter.tables.iter().any(|table| table.heading == heading));
        let last = self.chapters.len().checked_sub(1);
        let chapter = known.or(last).ok_or("no line before this figure names a chapter")?;
        let tables = &mut self.chapters[chapter].tables;
        let table = position(
            tables,
            |table| table.heading == heading,
            || Table { heading: heading.clone(), ..Table::default() },
        );
        Ok(&mut tables[table])
    }
}

impl Table {
    /// What stands in this row and column, if anything was measured there.
    pub(super) fn cell(&self, row: usize, column: usize) -> Option<Spread> {
        // What was measured again replaces what was there.
        let mut cells = self.cells.iter().rev();
        cells.find(|cell| (cell.0, cell.1) == (row, column)).map(|cell| cell.2)
    }

    fn put(&mut self, row: String, column: Column, spread: Spread) {
        let row = position(&mut self.rows, |known| *known == row, || row.clone());
        let column = position(&mut self.columns, |known| *known == column, || column.clone());
        self.cells.push((row, column, spread));
    }
}

/// Where the wanted one is, after adding it if it is not there.
fn position<T>(list: &mut Vec<T>, is: impl Fn(&T) -> bool, new: impl Fn() -> T) -> usize {
    list.iter().position(is).unwrap_or_else(|| {
        list.push(new());
        list.len() - 1
    })
}

fn text(value: &Value, name: &str) -> Outcome<String> {
    let text = value.get(name).and_then(Value::as_str);
    text.map(str::to_owned).ok_or_else(|| format!("not a figure: \"{name}\" is not a text"))
}

/// JSON has no word for what is not a number, and gets `null` instead.
fn number(value: &Value, name: &str) -> Outcome<f64> {
    let number = value.get(name).and_then(Value::as_f64);
    number.ok_or_else(|| format!("not a figure: \"{name}\" is not a number"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Two chapters; the second column of the second row is missing in the first table.
    pub(in crate::bench) const FEW: &str = r#"{"machine":[["processor","a & b"],["cores","2"]]}
{"chapter":"One"}
{"table":"A | B: ratio to <c>","row":"z","column":"1","unit":"ratio","low":0.9,"middle":1.0,"high":1.25}
{"table":"A | B: ratio to <c>","row":"z","column":"8","unit":"ratio","low":0.5,"middle":0.5,"high":0.5}
{"table":"A | B: ratio to <c>","row":"a & <b>","column":"1","unit":"ratio","low":1.5,"middle":2.0,"high":2.5}
{"chapter":"Two"}
{"table":"Costs","row":"z","column":"time","unit":"ns","low":1200,"middle":1234.5,"high":1300}
{"table":"Costs","row":"z","column":"allocations","unit":"allocations","low":5,"middle":5,"high":5}
{"table":"A | B: ratio to <c>","row":"b","column":"8","unit":"ratio","low":0.7,"middle":0.75,"high":0.8}
"#;

    #[test]
    fn rows_and_columns_stand_in_the_order_in_which_they_come() {
        let records = Records::parse("x", FEW).unwrap();
        assert_eq!(records.machine[1], ("cores".to_owned(), "2".to_owned()));
        let headings: Vec<_> =
            records.chapters.iter().map(|chapter| chapter.heading.as_str()).collect();
        assert_eq!(headings, ["One", "Two"]);
        let [ratios] = &records.chapters[0].tables[..] else { panic!("one table") };
        assert_eq!(ratios.rows, ["z", "a & <b>", "b"]);
        let columns: Vec<_> = ratios.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(columns, ["1", "8"]);
        assert_eq!(ratios.cell(1, 1), None);
        assert_eq!(ratios.cell(2, 1).map(|spread| spread.middle), Some(0.75));
    }

    #[test]
    fn what_is_measured_again_replaces_what_was_there() {
        let again = r#"{"table":"Costs","row":"z","column":"time","unit":"ns","low":1,"middle":2,"high":3}"#;
        let records = Records::parse("x", &format!("{FEW}{again}\n")).unwrap();
        assert_eq!(records.chapters[1].tables[0].cell(0, 0).map(|it| it.middle), Some(2.0));
        assert_eq!(records.chapters[1].tables.len(), 1);
    }

    #[test]
    fn lines_are_read_as_they_are_written() {
        let machine = [("cores".to_owned(), "2 \"quoted\"".to_owned())];
        let figure = FEW.lines().nth(2).unwrap();
        let text = format!("{}{}{figure}\n", machine_line(&machine), chapter_line("C \\ D"));
        let records = Records::parse("x", &text).unwrap();
        assert_eq!(records.machine, machine);
        assert_eq!(records.chapters[0].heading, "C \\ D");
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told_with_its_line() {
        let told = |text: &str| Records::parse("f.jsonl", text).unwrap_err();
        assert_eq!(told(""), "f.jsonl: there are no figures in it");
        assert!(told("{\"chapter\":\"x\"}\n").contains("no figures"));
        let error = told(&format!("{FEW}warm::send 3\n"));
        assert!(error.starts_with("f.jsonl:10: not a line of JSON: "), "{error}");
        let error = told("{\"table\":\"t\"}\n");
        assert_eq!(error, "f.jsonl:1: not a figure: \"column\" is not a text");
        let error = told(&FEW.replace("1234.5", "null"));
        assert_eq!(error, "f.jsonl:7: not a figure: \"middle\" is not a number");
        let figure = FEW.lines().nth(2).unwrap();
        assert_eq!(told(figure), "f.jsonl:1: no line before this figure names a chapter");
        let (_, without) = FEW.split_once('\n').unwrap();
        assert!(told(without).contains("no line says what was measured on"));
    }
}
