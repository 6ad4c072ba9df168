//! Doors for the fuzz targets, built for them alone: the readers of text files, given bytes instead of files that grow.

use std::{collections::BTreeMap, sync::Arc};

use tidemark_engine::{
    change::{Cell as Carried, ChangeBatch, Op, Value},
    contract::codec::read_every_cell,
    schema::Kind,
};

use super::{
    Outline, column,
    csv::CsvCutter,
    cutter::{Cut, Cutter},
    declared, infer,
    jsonl::JsonlCutter,
    moment::{self, Moment},
    rows::{Cell, Rows},
    table::{Known, Table},
};

const FILE: &str = "file";
/// Kinds that a pipeline file may declare.
const DECLARED: [&str; 21] = [
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float32",
    "float64",
    "decimal(12,2)",
    "number",
    "text",
    "bytes",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "json",
    "uuid",
];

/// Reads `file` as CSV, once whole and once in pieces of these sizes: the records are the same. Then types them.
pub fn csv(file: &[u8], delimiter: u8, sizes: &[u8]) {
    let nulls = Arc::new(vec![String::new(), "NULL".to_owned()]);
    alike(file, sizes, || CsvCutter::new(delimiter, nulls.clone(), None, false));
}

/// The same of JSON Lines.
pub fn jsonl(file: &[u8], sizes: &[u8]) {
    alike(file, sizes, JsonlCutter::default);
}

/// What came of reading a file.
struct Outcome {
    /// Each record: its line, and its values by name.
    records: Vec<(u64, BTreeMap<String, String>)>,
    /// Bytes of whole records; `None` after an error.
    consumed: Option<usize>,
    /// The kinds that the columns came to have, where all records could be typed.
    kinds: Option<BTreeMap<String, Kind>>,
}

fn alike<C: Cutter>(file: &[u8], sizes: &[u8], cutter: impl Fn() -> C) {
    let whole = read(cutter(), file, &[], usize::MAX);
    // Where the first records say nothing at all, their columns are texts, however few they are.
    let says_something =
        |(_, values): &(u64, BTreeMap<String, String>)| values.values().any(|value| value != "Null");
    let max_rows = sizes.first().map_or(usize::MAX, |size| usize::from(*size) % 7 + 1);
    let pieces = read(cutter(), file, sizes, max_rows);
    assert_eq!(whole.consumed, pieces.consumed, "how much is read depends on where the input is cut");
    if whole.consumed.is_some() {
        assert_eq!(whole.records, pieces.records, "what is read depends on where the input is cut");
        if whole.records.first().is_some_and(says_something) {
            assert_eq!(whole.kinds, pieces.kinds, "the kinds of columns depend on where the input is cut");
        }
    }
}

/// Reads as a `LineReader` does, but with a buffer that grows by `sizes`, over and over; empty: all at once.
fn read<C: Cutter>(mut cutter: C, file: &[u8], sizes: &[u8], max_rows: usize) -> Outcome {
    let mut outcome = Outcome { records: Vec::new(), consumed: Some(0), kinds: None };
    let mut sizes = sizes.iter().map(|size| usize::from(*size).max(1)).cycle();
    let mut table = Table::new(&Outline::new("file"), Known::default());
    let (mut begin, mut end, mut lines, mut is_typed) = (0, 0, 0, true);
    while end < file.len() {
        end = sizes.next().map_or(file.len(), |size| (end + size).min(file.len()));
        loop {
            let cut = match cutter.cut(&file[begin..end], lines + 1, max_rows, FILE) {
                Ok(cut) => cut,
                Err(_) => return Outcome { consumed: None, ..outcome },
            };
            (begin, lines) = (begin + cut.consumed, lines + cut.lines);
            is_typed &= take(&cut, &mut table, &mut outcome);
            if cut.consumed == 0 {
                break;
            }
        }
    }
    outcome.consumed = Some(begin);
    table.settle();
    outcome.kinds =
        table.schema().ok().filter(|_| is_typed).map(|schema| {
            schema.fields().iter().map(|field| (field.name.clone(), field.kind.clone())).collect()
        });
    outcome
}

/// Whether the records could be typed.
fn take<R: Rows>(cut: &Cut<R>, table: &mut Table, outcome: &mut Outcome) -> bool {
    let rows = &cut.rows;
    if rows.len() == 0 {
        return true;
    }
    for row in 0..rows.len() {
        let cells = rows.names().iter().enumerate().filter_map(|(column, name)| {
            let cell = rows.cell(column, row);
            (cell != Cell::Missing).then(|| (name.clone(), format!("{cell:?}")))
        });
        outcome.records.push((rows.line(row), cells.collect()));
    }
    let Ok(batch) = table.batch(rows, Op::Create, false, FILE) else { return false };
    keeps_digits(rows, &batch);
    true
}

/// No value that was given a kind by its looks has become another one.
fn keeps_digits<R: Rows>(rows: &R, batch: &ChangeBatch) {
    assert_eq!(rows.len(), batch.rows());
    read_every_cell(batch);
    for (index, field) in batch.schema().fields().iter().enumerate() {
        let Some(column) = rows.names().iter().position(|name| *name == field.name) else { continue };
        let values = batch.column(index);
        for row in 0..rows.len() {
            let (found, carried) = (rows.cell(column, row), values.cell(row));
            match (found, &carried) {
                (Cell::Missing, Carried::Unchanged) | (Cell::Null, Carried::Null) => {}
                (Cell::Value { text, raw, .. }, Carried::Value(value)) => {
                    let is_same = match (&field.kind, value) {
                        (Kind::Int64 | Kind::Bool | Kind::Date | Kind::Text | Kind::Number, value) => {
                            value.to_string() == text
                        }
                        (Kind::Float64, Value::Float64(float)) => text.parse::<f64>().ok() == Some(*float),
                        (Kind::Json, Value::Text(json)) => {
                            *json == raw || serde_json::from_str(json).ok() == Some(text.to_owned())
                        }
                        _ => true,
                    };
                    assert!(is_same, "a value of kind {} has become another", field.kind.name());
                }
                _ => panic!("{found:?} has become {carried:?}"),
            }
        }
    }
}

/// Reads `text` as every kind that is read from text, and as what it looks like.
pub fn value(text: &str) {
    if let Some(days) = moment::date(text) {
        assert_eq!(Value::Date(days).to_string(), text);
    }
    if let Some(micros) = moment::time(text) {
        assert_eq!(moment::time(&Value::Time(micros).to_string()), Some(micros));
    }
    if let Some(moment) = moment::moment(text) {
        let value = match moment {
            Moment::Local(micros) => Value::Timestamp(micros),
            Moment::Universal(micros) => Value::TimestampTz(micros),
        };
        // An offset may lead out of the four-digit years, which have no text that is read.
        let again = moment::moment(&value.to_string());
        assert!(again.is_none_or(|again| again == moment), "{text} has become {again:?}");
    }
    if let Some(int) = infer::canonical_int(text) {
        assert_eq!(int.to_string(), text);
    }
    let _ = (infer::exact_float(text), declared::bool(text));
    for (precision, scale) in [(38, 0), (38, 38), (12, 2), (1, 1)] {
        if let Some(digits) = declared::decimal(text, precision, scale) {
            let again = Value::Decimal(digits, scale).to_string();
            assert_eq!(declared::decimal(&again, precision, scale), Some(digits), "{text}");
        }
    }
    if let Some(bytes) = declared::bytes(text) {
        assert!(Value::Bytes(&bytes).to_string().eq_ignore_ascii_case(text));
    }
    if let Some(uuid) = declared::uuid(text) {
        assert_eq!(declared::uuid(&Value::Uuid(&uuid).to_string()), Some(uuid));
    }
    let rows = OneCell(text, vec!["a".to_owned()]);
    for kind in DECLARED {
        let kind = Kind::parse(kind).expect("it is a kind");
        drop(column::build(&rows, 0, &kind, true));
    }
}

/// One record with one value.
struct OneCell<'t>(&'t str, Vec<String>);

impl Rows for OneCell<'_> {
    fn len(&self) -> usize {
        1
    }

    fn names(&self) -> &[String] {
        &self.1
    }

    fn cell(&self, _: usize, _: usize) -> Cell<'_> {
        Cell::Value { text: self.0, raw: self.0, shape: super::rows::Shape::Plain }
    }

    fn line(&self, _: usize) -> u64 {
        1
    }

    fn is_dense(&self) -> bool {
        true
    }
}
