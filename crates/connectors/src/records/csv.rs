//! CSV: records as RFC 4180 has them, under a header line.

use std::{collections::HashSet, sync::Arc};

use csv_core::ReadFieldResult;
use tidemark_engine::{Error, Result};

use super::{
    cutter::{Cut, Cutter, count_lines},
    rows::{Cell, Rows, Shape},
};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Cuts a CSV file into records.
#[derive(Debug)]
pub(crate) struct CsvCutter {
    core: csv_core::Reader,
    names: Option<Arc<Vec<String>>>,
    null_values: Arc<Vec<String>>,
    /// Whether something of the file has been read: a byte order mark stands at its very beginning alone.
    begun: bool,
}

/// Records of a CSV file: their fields one after the other, without quotes.
#[derive(Debug)]
pub(crate) struct CsvRows {
    names: Arc<Vec<String>>,
    null_values: Arc<Vec<String>>,
    text: String,
    /// Where each field ends in `text`, record by record.
    ends: Vec<usize>,
    /// Whether it stood in quotes: then it is a text, whatever it says.
    quoted: Vec<bool>,
    lines: Vec<u64>,
}

impl CsvCutter {
    /// Goes on in a file whose header had `names`; without them the next record is the header, although the file may have `begun`
    /// with empty lines.
    pub(crate) fn new(
        delimiter: u8,
        null_values: Arc<Vec<String>>,
        names: Option<Vec<String>>,
        begun: bool,
    ) -> Self {
        let core = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
        Self { core, names: names.map(Arc::new), null_values, begun }
    }

    /// The names in the header, once it has been read.
    pub(crate) fn names(&self) -> Option<&Arc<Vec<String>>> {
        self.names.as_ref()
    }

    /// Makes ready for the beginning of a record.
    fn reset(&mut self) {
        self.core.reset();
        // An empty line is no record. It keeps the parser from taking the next bytes for a byte order mark, which
        // stands at the beginning of a file only, and there it has been cut off already.
        self.core.read_field(b"\n", &mut [0]);
    }
}

impl Cutter for CsvCutter {
    type Rows = CsvRows;

    fn cut(&mut self, input: &[u8], mut line: u64, max_rows: usize, file: &str) -> Result<Cut<CsvRows>> {
        let mut at = 0;
        if !self.begun && input.starts_with(BYTE_ORDER_MARK) {
            at += BYTE_ORDER_MARK.len();
        }
        self.reset();
        let mut text = vec![0; input.len() + 1];
        let (mut ends, mut quoted, mut lines) = (Vec::new(), Vec::new(), Vec::new());
        let mut used = 0;
        let mut consumed = 0;
        let mut consumed_lines = 0;
        'records: while lines.len() < max_rows {
            // Line ends before a record are empty lines, or the second half of the line end before.
            while let Some(byte) = input.get(at).filter(|byte| matches!(byte, b'\r' | b'\n')) {
                line += u64::from(*byte == b'\n');
                consumed_lines += u64::from(*byte == b'\n');
                at += 1;
                consumed = at;
            }
            let (mut begin, mut end, first) = (at, used, ends.len());
            loop {
                // An empty input would mean the end of the file.
                let Some(&byte) = input.get(begin) else { break 'records };
                let (result, read, written) = self.core.read_field(&input[begin..], &mut text[end..]);
                (begin, end) = (begin + read, end + written);
                match result {
                    ReadFieldResult::Field { record_end } => {
                        ends.push(end);
                        quoted.push(byte == b'"');
                        if record_end {
                            break;
                        }
                    }
                    // The output is larger than the input, so it cannot fill up.
                    ReadFieldResult::InputEmpty | ReadFieldResult::OutputFull | ReadFieldResult::End => {
                        break 'records;
                    }
                }
            }
            let fields = ends.len() - first;
            let taken = count_lines(&input[at..begin]);
            match &self.names {
                None => {
                    self.names = Some(Arc::new(header(&text, &ends, file)?));
                    (ends, quoted) = (Vec::new(), Vec::new());
                }
                Some(names) if names.len() != fields => {
                    return Err(Error::data(format!(
                        "`{file}` has {fields} fields on line {line}, but {} columns",
                        names.len()
                    ))
                    .hint(
                        "correct the line; a field that holds the delimiter or a quote must stand in quotes",
                    ));
                }
                Some(_) => {
                    lines.push(line);
                    used = end;
                }
            }
            (at, consumed) = (begin, begin);
            line += taken;
            consumed_lines += taken;
        }
        self.begun |= consumed > 0;
        let names = self.names.clone().unwrap_or_default();
        // Without the record that is not complete.
        text.truncate(used);
        ends.truncate(lines.len() * names.len());
        let text = utf8(text, &ends, &lines, &names, file)?;
        let rows = CsvRows { names, null_values: self.null_values.clone(), text, ends, quoted, lines };
        Ok(Cut { rows, consumed, lines: consumed_lines })
    }
}

/// The names in a header line.
fn header(text: &[u8], ends: &[usize], file: &str) -> Result<Vec<String>> {
    let mut begin = 0;
    let mut names = Vec::with_capacity(ends.len());
    let mut seen = HashSet::new();
    for &end in ends {
        let name = std::str::from_utf8(&text[begin..end]).map_err(|_| {
            Error::data(format!("the header of `{file}` is not UTF-8")).hint("convert it to UTF-8")
        })?;
        if name.is_empty() {
            return Err(Error::data(format!("column {} of `{file}` has no name", names.len() + 1))
                .hint("give every column a name in the header line"));
        }
        if !seen.insert(name) {
            return Err(Error::data(format!("the header of `{file}` names the column `{name}` twice"))
                .hint("rename one of them"));
        }
        names.push(name.to_owned());
        begin = end;
    }
    Ok(names)
}

/// The fields as text, each of them whole.
fn utf8(text: Vec<u8>, ends: &[usize], lines: &[u64], names: &[String], file: &str) -> Result<String> {
    let text = match String::from_utf8(text) {
        Ok(text) if text.is_ascii() || ends.iter().all(|&end| text.is_char_boundary(end)) => return Ok(text),
        Ok(text) => text.into_bytes(),
        Err(error) => error.into_bytes(),
    };
    let mut begin = 0;
    let bad = ends.iter().position(|&end| {
        let field = std::str::from_utf8(&text[begin..end]);
        begin = end;
        field.is_err()
    });
    let at = bad.unwrap_or_default();
    let (row, column) = (at / names.len().max(1), at % names.len().max(1));
    Err(Error::data(format!(
        "column `{}` of `{file}` is not UTF-8 on line {}",
        names.get(column).map_or("", String::as_str),
        lines.get(row).copied().unwrap_or_default()
    ))
    .hint("convert the file to UTF-8"))
}

impl Rows for CsvRows {
    fn len(&self) -> usize {
        self.lines.len()
    }

    fn names(&self) -> &[String] {
        &self.names
    }

    #[inline]
    fn cell(&self, column: usize, row: usize) -> Cell<'_> {
        let at = row * self.names.len() + column;
        let begin = if at == 0 { 0 } else { self.ends[at - 1] };
        let text = &self.text[begin..self.ends[at]];
        if !self.quoted[at] && self.null_values.iter().any(|null| null == text) {
            return Cell::Null;
        }
        Cell::Value { text, raw: text, shape: Shape::Plain }
    }

    fn line(&self, row: usize) -> u64 {
        self.lines[row]
    }

    fn is_dense(&self) -> bool {
        true
    }
}
