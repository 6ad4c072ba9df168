//! JSON Lines: an object a line.

use tidemark_engine::{Error, Result};

use super::{
    cutter::{Cut, Cutter, count_lines},
    object::{JsonRows, Keys, Object},
};

/// Cuts a JSON Lines file into records.
#[derive(Debug, Default)]
pub(crate) struct JsonlCutter {
    keys: Keys,
}

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
            let line = line + count_lines(&input[..error.valid_up_to()]);
            Error::data(format!("line {line} of `{file}` is not UTF-8")).hint("convert the file to UTF-8")
        })?;
        let mut rows = JsonRows::with_capacity(&self.keys, records);
        rows.add_text(raw);
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
            self.keys.read(Object { text, offset, line, origin: file }, &mut rows)?;
        }
        rows.name(&self.keys);
        Ok(Cut { rows, consumed, lines: ends.len() as u64 })
    }
}

impl JsonlCutter {
    /// The keys seen so far.
    pub(crate) fn names(&self) -> &[String] {
        self.keys.names()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use serde_json::value::RawValue;

    use super::{
        super::rows::{Cell, Rows, Shape},
        *,
    };

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
