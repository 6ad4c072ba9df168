//! JSON Lines: an object a line. Numbers keep their digits and nested values their text, to the letter.

use std::{cell::Cell as Shared, collections::HashMap, fmt, sync::Arc};

use serde::{
    Deserializer,
    de::{DeserializeSeed, MapAccess, Visitor},
};
use serde_json::value::RawValue;
use tidemark_engine::{Error, Result};

use super::{
    lines::{Cut, Cutter},
    rows::{Cell, Rows, Shape},
};

/// More keys than this are refused: most likely they are data, and each would become a column.
const MAX_COLUMNS: usize = 4_096;

/// Cuts a JSON Lines file into records.
#[derive(Debug, Default)]
pub(super) struct JsonlCutter {
    names: Arc<Vec<String>>,
    index: HashMap<String, usize>,
}

/// Records of a JSON Lines file.
#[derive(Debug)]
pub(super) struct JsonRows {
    names: Arc<Vec<String>>,
    /// The lines.
    raw: String,
    /// Strings that had escapes, without them.
    decoded: Vec<String>,
    /// For each column its tokens; short where the last records miss it.
    columns: Vec<Vec<Token>>,
    lines: Vec<u64>,
    dense: bool,
}

/// One value: where it stands in the lines, and in `decoded` when it is a string with escapes.
#[derive(Debug, Clone, Copy)]
struct Token {
    begin: usize,
    /// 0: the record does not have the key.
    len: u32,
    decoded: u32,
}

const NOT_DECODED: u32 = u32::MAX;
const MISSING: Token = Token { begin: 0, len: 0, decoded: NOT_DECODED };

impl Cutter for JsonlCutter {
    type Rows = JsonRows;

    fn cut(&mut self, input: &[u8], line: u64, max_rows: usize, file: &str) -> Result<Cut<JsonRows>> {
        let mut ends = Vec::new();
        let mut records = 0;
        let mut begin = 0;
        for (at, _) in input.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
            records += usize::from(!input[begin..at].trim_ascii().is_empty());
            ends.push(at);
            begin = at + 1;
            if records == max_rows {
                break;
            }
        }
        let consumed = ends.last().map_or(0, |end| end + 1);
        let raw = std::str::from_utf8(&input[..consumed]).map_err(|error| {
            let line = line + super::lines::count_lines(&input[..error.valid_up_to()]);
            Error::data(format!("line {line} of `{file}` is not UTF-8")).hint("convert the file to UTF-8")
        })?;
        let mut rows = JsonRows {
            names: Arc::default(),
            raw: raw.to_owned(),
            decoded: Vec::new(),
            columns: vec![Vec::with_capacity(records); self.names.len()],
            lines: Vec::with_capacity(records),
            dense: false,
        };
        let mut begin = 0;
        for (number, end) in ends.iter().enumerate() {
            let mut text = &raw[begin..*end];
            let offset = begin;
            begin = end + 1;
            if line == 1 && number == 0 {
                text = text.strip_prefix('\u{feff}').unwrap_or(text);
            }
            if text.trim_ascii().is_empty() {
                continue;
            }
            let line = line + number as u64;
            let offset = offset + (raw[offset..*end].len() - text.len());
            self.record(text, offset, &mut rows, line, file)?;
            rows.lines.push(line);
        }
        let len = rows.lines.len();
        rows.dense = true;
        for column in &mut rows.columns {
            rows.dense &= column.len() == len && column.iter().all(|token| token.len > 0);
            column.resize(len, MISSING);
        }
        rows.names = self.names.clone();
        Ok(Cut { rows, consumed, lines: ends.len() as u64 })
    }
}

impl JsonlCutter {
    /// The keys seen so far.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    fn record(
        &mut self,
        text: &str,
        offset: usize,
        rows: &mut JsonRows,
        line: u64,
        file: &str,
    ) -> Result<()> {
        let refusal = Shared::new(None);
        let mut json = serde_json::Deserializer::from_str(text);
        let record = Record { cutter: self, rows, text, offset, refusal: &refusal };
        let result = json.deserialize_map(record).and_then(|()| json.end());
        match (result, refusal.take()) {
            (_, Some(Refusal::Twice(name))) => {
                Err(Error::data(format!("the record on line {line} of `{file}` has the key `{name}` twice"))
                    .hint("correct the record"))
            }
            (_, Some(Refusal::Columns)) => Err(Error::data(format!(
                "`{file}` has more than {MAX_COLUMNS} different keys by line {line}"
            ))
            .hint("write what varies as a nested object: it becomes one JSON column")),
            (_, Some(Refusal::Text(name))) => {
                Err(Error::data(format!("column `{name}` of `{file}` is not valid text on line {line}"))
                    .hint("correct the record: an escape stands for half a character"))
            }
            // The parser's own message may hold a value.
            (Err(error), None) => Err(Error::data(format!(
                "line {line} of `{file}` is not a JSON object (at character {})",
                error.column()
            ))
            .hint("write one whole object on each line")),
            (Ok(()), None) => Ok(()),
        }
    }

    /// The column of `name`; `guess` is where it stood in the record before.
    fn column(&mut self, name: &str, guess: usize, rows: &mut JsonRows) -> Result<usize, Refusal> {
        if self.names.get(guess).is_some_and(|guessed| guessed == name) {
            return Ok(guess);
        }
        if let Some(column) = self.index.get(name) {
            return Ok(*column);
        }
        let column = self.names.len();
        if column == MAX_COLUMNS {
            return Err(Refusal::Columns);
        }
        Arc::make_mut(&mut self.names).push(name.to_owned());
        self.index.insert(name.to_owned(), column);
        rows.columns.push(Vec::new());
        Ok(column)
    }
}

/// Why a record is refused, beside not being an object.
#[derive(Debug)]
enum Refusal {
    Twice(String),
    Columns,
    Text(String),
}

struct Record<'a> {
    cutter: &'a mut JsonlCutter,
    rows: &'a mut JsonRows,
    text: &'a str,
    /// Where `text` stands in the lines.
    offset: usize,
    refusal: &'a Shared<Option<Refusal>>,
}

impl<'de> Visitor<'de> for Record<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let refuse = |refusal| {
            self.refusal.set(Some(refusal));
            serde::de::Error::custom("refused")
        };
        let row = self.rows.lines.len();
        let mut guess = 0;
        while let Some(column) = map.next_key_seed(Key { cutter: self.cutter, rows: self.rows, guess })? {
            let column = column.map_err(refuse)?;
            guess = column + 1;
            let value = map.next_value::<&'de RawValue>()?.get();
            let begin = self.offset + (value.as_ptr().addr() - self.text.as_ptr().addr());
            let decoded = match value.strip_prefix('"') {
                Some(string) if string.contains('\\') => {
                    let text = serde_json::from_str(value)
                        .map_err(|_| refuse(Refusal::Text(self.cutter.names[column].clone())))?;
                    self.rows.decoded.push(text);
                    u32::try_from(self.rows.decoded.len() - 1).unwrap_or(NOT_DECODED)
                }
                _ => NOT_DECODED,
            };
            let tokens = &mut self.rows.columns[column];
            if tokens.len() > row {
                return Err(refuse(Refusal::Twice(self.cutter.names[column].clone())));
            }
            tokens.resize(row, MISSING);
            // Records are bounded far below 4 GiB.
            tokens.push(Token { begin, len: u32::try_from(value.len()).unwrap_or(u32::MAX), decoded });
        }
        Ok(())
    }
}

/// A key, straight to its column.
struct Key<'a> {
    cutter: &'a mut JsonlCutter,
    rows: &'a mut JsonRows,
    guess: usize,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Result<usize, Refusal>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Result<usize, Refusal>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.cutter.column(name, self.guess, self.rows))
    }
}

impl Rows for JsonRows {
    fn len(&self) -> usize {
        self.lines.len()
    }

    fn names(&self) -> &[String] {
        &self.names
    }

    #[inline]
    fn cell(&self, column: usize, row: usize) -> Cell<'_> {
        let Token { begin, len, decoded } = self.columns[column][row];
        let raw = &self.raw[begin..begin + len as usize];
        let (text, shape) = match raw.as_bytes() {
            [] => return Cell::Missing,
            [b'n', ..] => return Cell::Null,
            [b'"', ..] if decoded == NOT_DECODED => (&raw[1..raw.len() - 1], Shape::String),
            [b'"', ..] => (self.decoded[decoded as usize].as_str(), Shape::String),
            [b'{' | b'[', ..] => (raw, Shape::Nested),
            _ => (raw, Shape::Literal),
        };
        Cell::Value { text, raw, shape }
    }

    fn line(&self, row: usize) -> u64 {
        self.lines[row]
    }

    fn is_dense(&self) -> bool {
        self.dense
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(text: &str) -> JsonRows {
        let cut = JsonlCutter::default().cut(text.as_bytes(), 1, usize::MAX, "a.jsonl").unwrap();
        assert_eq!(cut.consumed, text.len());
        cut.rows
    }

    /// A record out of its cells.
    fn object(rows: &JsonRows, row: usize) -> String {
        let cells = rows.names().iter().enumerate().filter_map(|(column, name)| {
            let raw = match rows.cell(column, row) {
                Cell::Missing => return None,
                Cell::Null => "null",
                Cell::Value { raw, .. } => raw,
            };
            Some(format!("{}:{raw}", serde_json::Value::from(name.as_str())))
        });
        format!("{{{}}}", cells.collect::<Vec<_>>().join(","))
    }

    proptest! {
        #[test]
        fn every_value_comes_back_to_the_letter(
            records in prop::collection::vec(
                prop::collection::btree_map(
                    "[a-dé\"\\\\]{1,2}",
                    "-?[1-9][0-9]{0,25}(\\.[0-9]{1,20})?|true|null|\"[a-z é]{0,5}(\\\\n|\\\\u00e9)?\"|\\[1, \\{\"a\" :1\\.0\\}\\]",
                    0..5,
                ),
                1..12,
            ),
        ) {
            let mut text = String::new();
            for record in &records {
                let pairs = record.iter().map(|(key, raw)| format!("{}: {raw} ", serde_json::Value::from(key.as_str())));
                text += &format!(" {{{}}}\r\n\n", pairs.collect::<Vec<_>>().join(","));
            }
            let rows = cut(&text);
            prop_assert_eq!(rows.len(), records.len());
            for (row, record) in records.iter().enumerate() {
                prop_assert_eq!(rows.line(row), 2 * row as u64 + 1);
                let sorted = serde_json::from_str::<std::collections::BTreeMap<String, Box<RawValue>>>(&object(&rows, row));
                let sorted = sorted.unwrap().into_iter().map(|(key, raw)| (key, raw.get().to_owned()));
                prop_assert_eq!(sorted.collect::<std::collections::BTreeMap<_, _>>(), record.clone());
            }
        }
    }

    #[test]
    fn missing_null_and_decoded_are_told_apart() {
        let rows = cut("\u{feff}{\"a\":null,\"b\":\"x\\ny\"}\n{\"b\":\"z\"}\n");
        assert_eq!(rows.cell(0, 0), Cell::Null);
        assert_eq!(rows.cell(0, 1), Cell::Missing);
        assert_eq!(rows.cell(1, 0), Cell::Value { text: "x\ny", raw: "\"x\\ny\"", shape: Shape::String });
        assert_eq!(rows.cell(1, 1), Cell::Value { text: "z", raw: "\"z\"", shape: Shape::String });
        assert!(!rows.is_dense());
    }
}
