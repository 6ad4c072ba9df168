//! From an answer's body to its records.

use std::sync::Arc;

use tidemark_engine::{Error, Result};

use super::super::config::{Format, StreamConfig};
use crate::polling::Subset;
use crate::records::{
    Cell, CsvCutter, Cutter, JsonCutter, JsonlCutter, Passed, RecordPath, Rows, SharedRows, XmlPath,
    xml_records,
};

/// How the answers of a stream are read.
#[derive(Debug)]
pub(super) struct Decoding {
    format: Format,
    /// Where records stand, in JSON.
    path: RecordPath,
    /// Whether there may be nothing at `path`.
    optional: bool,
    /// The same in XML.
    elements: XmlPath,
    /// How a record says that it is gone.
    gone: Option<Gone>,
}

/// How a record says that it is gone.
#[derive(Debug)]
struct Gone {
    /// The column that has a value then.
    column: String,
    /// What it says then; `None`: anything.
    word: Option<String>,
    /// What its columns are called among other records, where they are not called the same: theirs, and its own.
    key: Vec<(String, String)>,
}

/// The records of an answer, and those that it says are gone; of each of these, behind how many of the others it stands.
pub(super) struct Decoded {
    pub(super) records: SharedRows,
    pub(super) gone: Option<(SharedRows, Vec<usize>)>,
    /// What need not be gone over again of a JSON answer.
    pub(super) passed: Passed,
}

impl Decoding {
    /// As the pipeline file says.
    pub(super) fn new(stream: &StreamConfig) -> Result<Self> {
        let records = stream.records.as_deref();
        let (path, elements) = match stream.format {
            Format::Json => (records.unwrap_or("$").parse()?, XmlPath::root()),
            Format::Xml => (
                RecordPath::default(),
                match records {
                    None => XmlPath::root(),
                    Some(path) => XmlPath::configured(path)?,
                },
            ),
            Format::Jsonl | Format::Csv | Format::Sse | Format::WebSocket => {
                (RecordPath::default(), XmlPath::root())
            }
        };
        Ok(Self { format: stream.format, path, optional: stream.optional, elements, gone: Gone::of(stream) })
    }

    /// The records of `body`, which came from `origin`.
    pub(super) fn decode(&self, body: &[u8], origin: &str) -> Result<Decoded> {
        let mut passed = Passed::default();
        let rows: SharedRows = match self.format {
            Format::Json => {
                let cutter = JsonCutter::default();
                let mut cutter = if self.optional { cutter.of_optional() } else { cutter };
                let rows = cutter.records(body, &self.path, origin)?;
                passed = cutter.passed();
                Arc::new(rows)
            }
            Format::Jsonl | Format::Sse | Format::WebSocket => {
                Arc::new(whole(JsonlCutter::default(), body, origin)?)
            }
            Format::Csv => {
                let nulls = Arc::new(vec![String::new()]);
                Arc::new(whole(CsvCutter::new(b',', nulls, None, false), body, origin)?)
            }
            Format::Xml => Arc::new(xml_records(body, &self.elements, origin)?),
        };
        Ok(match &self.gone {
            None => Decoded { records: rows, gone: None, passed },
            Some(gone) => gone.apart(rows, passed, origin)?,
        })
    }
}

/// All records of `body`: it is whole, whatever line it ends with.
fn whole<C: Cutter>(mut cutter: C, body: &[u8], origin: &str) -> Result<C::Rows> {
    let mut text = body.to_vec();
    if !text.ends_with(b"\n") {
        text.push(b'\n');
    }
    let cut = cutter.cut(&text, 1, usize::MAX, origin)?;
    match cut.consumed == text.len() {
        true => Ok(cut.rows),
        false => Err(Error::data(format!("`{origin}` does not end with a whole record"))
            .hint("look at what the server sends: a quote or a bracket is open")),
    }
}

impl Gone {
    fn of(stream: &StreamConfig) -> Option<Self> {
        let key = stream.key.iter().cloned().zip(stream.gone_key.iter().cloned()).collect();
        stream.gone.clone().map(|column| Self { column, word: stream.gone_when.clone(), key })
    }

    /// Records of which some say that they are gone.
    fn apart(&self, rows: SharedRows, passed: Passed, origin: &str) -> Result<Decoded> {
        let Some(column) = rows.names().iter().position(|name| *name == self.column) else {
            return Ok(Decoded { records: rows, gone: None, passed });
        };
        self.check(rows.as_ref(), column, origin)?;
        let says_so = |row| match rows.cell(column, row) {
            Cell::Missing | Cell::Null => false,
            Cell::Value { text, .. } => !matches!(text, "" | "0" | "false"),
        };
        let (gone, kept): (Vec<_>, Vec<_>) = (0..rows.len()).partition(|row| says_so(*row));
        let after = gone.iter().enumerate().map(|(others, row)| row - others).collect::<Vec<_>>();
        let some = |picked: Vec<usize>| -> SharedRows { Arc::new(Subset { all: rows.clone(), picked }) };
        let records = some(kept);
        let gone = (!gone.is_empty()).then(|| (self.renamed(some(gone)), after));
        Ok(Decoded { records, gone, passed })
    }

    /// Fails where a record says something else in `column` than that it is gone: that it is refused, or that there are more.
    fn check(&self, rows: &dyn Rows, column: usize, origin: &str) -> Result<()> {
        let Some(word) = &self.word else { return Ok(()) };
        let other = (0..rows.len()).find(|row| match rows.cell(column, *row) {
            Cell::Value { text, .. } => !text.contains(word.as_str()),
            Cell::Missing | Cell::Null => false,
        });
        match other {
            None => Ok(()),
            Some(row) => Err(Error::data(format!(
                "a record on line {} of `{origin}` has something else in `{}` than `gone_when`",
                rows.line(row),
                self.column
            ))
            .hint("look at what the server sends: it may refuse to show a record, or not show all of them")),
        }
    }

    /// Records that are gone, with their key in the columns in which others have it.
    fn renamed(&self, rows: SharedRows) -> SharedRows {
        if self.key.is_empty() {
            return rows;
        }
        let place = |own: &String| rows.names().iter().position(|name| name == own);
        let (names, columns) = self.key.iter().map(|(name, own)| (name.clone(), place(own))).unzip();
        Arc::new(Renamed { rows, names, columns })
    }
}

/// Some columns of records, under other names.
struct Renamed {
    rows: SharedRows,
    names: Vec<String>,
    /// Where each stands in `rows`, if it does.
    columns: Vec<Option<usize>>,
}

impl Rows for Renamed {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn names(&self) -> &[String] {
        &self.names
    }

    fn cell(&self, column: usize, row: usize) -> Cell<'_> {
        self.columns[column].map_or(Cell::Missing, |own| self.rows.cell(own, row))
    }

    fn line(&self, row: usize) -> u64 {
        self.rows.line(row)
    }

    fn is_dense(&self) -> bool {
        false
    }
}
