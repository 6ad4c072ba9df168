//! JSON objects as records, wherever they stand: on a line of a file, in a page of an API, in a message. Numbers keep their
//! digits and nested values their text, to the letter.

use std::{cell::Cell as Shared, collections::HashMap, fmt, sync::Arc};

use serde::{
    Deserializer,
    de::{DeserializeSeed, MapAccess, Visitor},
};
use serde_json::value::RawValue;
use tidemark_engine::{Error, Result};

use super::{
    rows::{Cell, Rows, Shape},
    scan::{Scan, Unusual},
};

/// More keys than this are refused: most likely they are data, and each would become a column.
const MAX_COLUMNS: usize = 4_096;

/// The keys that the objects of a stream have had so far, each with its column.
#[derive(Debug, Default)]
pub(super) struct Keys {
    names: Arc<Vec<String>>,
    index: HashMap<String, usize>,
}

/// Objects as records.
#[derive(Debug, Default)]
pub(crate) struct JsonRows {
    names: Arc<Vec<String>>,
    /// The text in which they stand.
    text: String,
    /// Strings that had escapes, without them.
    decoded: Vec<String>,
    /// For each column its tokens; short where the last records miss it.
    columns: Vec<Vec<Token>>,
    lines: Vec<u64>,
    /// Values and NULLs, over all columns.
    tokens: usize,
}

/// One value: where it stands in the text, and in `decoded` when it is a string with escapes.
#[derive(Debug, Clone, Copy)]
struct Token {
    begin: usize,
    /// 0: the record does not have the key.
    len: u32,
    decoded: u32,
}

/// One object, and where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Object<'a> {
    /// The whole object.
    pub(super) text: &'a str,
    /// Where `text` begins in the text of the rows.
    pub(super) offset: usize,
    /// The line on which it begins.
    pub(super) line: u64,
    /// Whose line that is, for a person.
    pub(super) origin: &'a str,
}

const NOT_DECODED: u32 = u32::MAX;
const MISSING: Token = Token { begin: 0, len: 0, decoded: NOT_DECODED };

impl JsonRows {
    /// No rows so far, with room for `records` of them.
    pub(super) fn with_capacity(keys: &Keys, records: usize) -> Self {
        Self {
            columns: vec![Vec::with_capacity(records); keys.names.len()],
            lines: Vec::with_capacity(records),
            ..Self::default()
        }
    }

    /// Adds text for objects to stand in, and says where it begins.
    pub(super) fn add_text(&mut self, text: &str) -> usize {
        self.text.push_str(text);
        self.text.len() - text.len()
    }

    /// Takes the names of the columns from `keys`, when all records are read.
    pub(super) fn name(&mut self, keys: &Keys) {
        self.names = keys.names.clone();
    }

    /// How many records there are.
    pub(super) fn records(&self) -> usize {
        self.lines.len()
    }

    /// The text in which the records stand.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Gives the record `row` in `column` the value `raw`, which begins at `begin`; `decoded` is a string that has escapes, without them.
    /// `None`: it has one already.
    fn put(
        &mut self,
        column: usize,
        row: usize,
        (raw, begin): (&str, usize),
        decoded: Option<String>,
    ) -> Option<()> {
        let tokens = &mut self.columns[column];
        if tokens.len() > row {
            return None;
        }
        tokens.resize(row, MISSING);
        let decoded = decoded.map_or(NOT_DECODED, |text| {
            self.decoded.push(text);
            u32::try_from(self.decoded.len() - 1).unwrap_or(NOT_DECODED)
        });
        // Records are bounded far below 4 GiB.
        tokens.push(Token { begin, len: u32::try_from(raw.len()).unwrap_or(u32::MAX), decoded });
        self.tokens += 1;
        Some(())
    }

    /// Forgets all but the first `records`, which stand in the first `text` bytes.
    pub(super) fn truncate(&mut self, records: usize, text: usize) {
        self.text.truncate(text);
        self.lines.truncate(records);
        self.columns.iter_mut().for_each(|column| column.truncate(records));
        let present = |column: &Vec<Token>| column.iter().filter(|token| token.len > 0).count();
        self.tokens = self.columns.iter().map(present).sum();
    }
}

impl Keys {
    /// The keys in the order in which they were first seen.
    pub(super) fn names(&self) -> &Arc<Vec<String>> {
        &self.names
    }

    /// Forgets all but the first `keys`.
    pub(super) fn truncate(&mut self, keys: usize) {
        if self.names.len() > keys {
            Arc::make_mut(&mut self.names).truncate(keys);
            self.index.retain(|_, column| *column < keys);
        }
    }

    /// Reads `object` as the next of `rows`.
    pub(super) fn read(&mut self, object: Object<'_>, rows: &mut JsonRows) -> Result<()> {
        let Object { text, line, origin, .. } = object;
        rows.columns.resize_with(self.names.len().max(rows.columns.len()), Vec::new);
        let refusal = Shared::new(None);
        let mut json = serde_json::Deserializer::from_str(text);
        let record = Record { keys: self, rows, object, refusal: &refusal };
        let result = json.deserialize_map(record).and_then(|()| json.end());
        match (result, refusal.take()) {
            (_, Some(Refusal::Twice(name))) => Err(Error::data(format!(
                "the record on line {line} of `{origin}` has the key `{name}` twice"
            ))
            .hint("correct the record")),
            (_, Some(Refusal::Columns)) => Err(Error::data(format!(
                "`{origin}` has more than {MAX_COLUMNS} different keys by line {line}"
            ))
            .hint("write what varies as a nested object: it becomes one JSON column")),
            (_, Some(Refusal::Text(name))) => {
                Err(Error::data(format!("column `{name}` of `{origin}` is not valid text on line {line}"))
                    .hint("correct the record: an escape stands for half a character"))
            }
            // The parser's own message may hold a value.
            (Err(error), None) => Err(Error::data(format!(
                "line {line} of `{origin}` is not a JSON object (at character {})",
                error.column()
            ))
            .hint("write one whole object on each line")),
            (Ok(()), None) => {
                rows.lines.push(line);
                Ok(())
            }
        }
    }

    /// Reads the object before which `scan` stands as the next of `rows`, in whose text its own begins at `offset`. After a failure some of
    /// its values may be there.
    pub(super) fn scan(
        &mut self,
        scan: &mut Scan<'_>,
        offset: usize,
        rows: &mut JsonRows,
    ) -> Result<(), Unusual> {
        scan.next()?;
        let (row, line) = (rows.lines.len(), scan.line());
        let mut guess = 0;
        rows.columns.resize_with(self.names.len().max(rows.columns.len()), Vec::new);
        scan.object(|scan, key| {
            if key.is_escaped {
                return Err(Unusual);
            }
            let column = self.column(key.raw, guess, rows).map_err(|_| Unusual)?;
            guess = column + 1;
            let value = scan.value()?;
            let decoded = match value.is_escaped {
                true => Some(serde_json::from_str(value.raw).map_err(|_| Unusual)?),
                false => None,
            };
            rows.put(column, row, (value.raw, offset + value.begin), decoded).ok_or(Unusual)
        })?;
        rows.lines.push(line);
        Ok(())
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
    keys: &'a mut Keys,
    rows: &'a mut JsonRows,
    object: Object<'a>,
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
        while let Some(column) = map.next_key_seed(Key { keys: self.keys, rows: self.rows, guess })? {
            let column = column.map_err(refuse)?;
            guess = column + 1;
            let value = map.next_value::<&'de RawValue>()?.get();
            let begin = self.object.offset + (value.as_ptr().addr() - self.object.text.as_ptr().addr());
            let decoded = match value.strip_prefix('"') {
                Some(string) if string.contains('\\') => Some(
                    serde_json::from_str(value)
                        .map_err(|_| refuse(Refusal::Text(self.keys.names[column].clone())))?,
                ),
                _ => None,
            };
            let put = self.rows.put(column, row, (value, begin), decoded);
            put.ok_or_else(|| refuse(Refusal::Twice(self.keys.names[column].clone())))?;
        }
        Ok(())
    }
}

/// A key, straight to its column.
struct Key<'a> {
    keys: &'a mut Keys,
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
        Ok(self.keys.column(name, self.guess, self.rows))
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
        let token = self.columns.get(column).and_then(|tokens| tokens.get(row));
        let Token { begin, len, decoded } = token.copied().unwrap_or(MISSING);
        let raw = &self.text[begin..begin + len as usize];
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
        self.tokens == self.names.len() * self.lines.len()
    }
}
