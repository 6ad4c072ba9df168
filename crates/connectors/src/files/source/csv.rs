//! CSV: records as RFC 4180 has them, under a header line.

use std::{collections::HashSet, sync::Arc};

use csv_core::ReadFieldResult;
use tidemark_engine::{Error, Result};

use super::{
    lines::{Cut, Cutter, count_lines},
    rows::{Cell, Rows, Shape},
};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Cuts a CSV file into records.
#[derive(Debug)]
pub(super) struct CsvCutter {
    core: csv_core::Reader,
    names: Option<Arc<Vec<String>>>,
    null_values: Arc<Vec<String>>,
    /// Whether something of the file has been read: a byte order mark stands at its very beginning alone.
    begun: bool,
}

/// Records of a CSV file: their fields one after the other, without quotes.
#[derive(Debug)]
pub(super) struct CsvRows {
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
    pub(super) fn new(
        delimiter: u8,
        null_values: Arc<Vec<String>>,
        names: Option<Vec<String>>,
        begun: bool,
    ) -> Self {
        let core = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
        Self { core, names: names.map(Arc::new), null_values, begun }
    }

    /// The names in the header, once it has been read.
    pub(super) fn names(&self) -> Option<&Arc<Vec<String>>> {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::{fingerprint::Trace, lines::LineReader},
        *,
    };

    /// Reads what is in `content` up to each of `limits` in turn, every time from where the last reader stopped.
    fn read(content: &[u8], limits: &[usize]) -> Vec<Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let location = folder.path().join("a.csv");
        std::fs::write(&location, content).unwrap();
        let nulls = Arc::new(Vec::new());
        let (mut at, mut names, mut records) = ((0, 0, Trace::default()), None, Vec::new());
        for (turn, limit) in limits.iter().enumerate() {
            let file = std::fs::File::open(&location).unwrap();
            let cutter = CsvCutter::new(b',', nulls.clone(), names.clone(), at.0 > 0);
            let limit = *limit as u64;
            let mut reader = LineReader::new(file, "a.csv".into(), location.clone(), cutter, at, limit);
            let mut add = |rows: CsvRows| {
                for row in 0..rows.len() {
                    let field = |column| match rows.cell(column, row) {
                        Cell::Value { text, .. } => text.to_owned(),
                        Cell::Missing | Cell::Null => unreachable!("nothing means NULL"),
                    };
                    records.push((0..rows.names().len()).map(field).collect());
                }
            };
            while let Some(rows) = reader.next().unwrap() {
                add(rows);
            }
            if turn + 1 == limits.len() && !reader.is_at_end() {
                add(reader.last().unwrap());
            }
            names = reader.cutter.names().map(|names| Vec::clone(names));
            let offset = reader.offset as usize;
            assert_eq!(reader.lines, count_lines(&content[..offset]));
            let file = &mut std::fs::File::open(&location).unwrap();
            let loaded = Trace::load(file, reader.offset).unwrap().unwrap();
            assert_eq!(loaded.fingerprint(), reader.trace.fingerprint());
            at = (reader.offset, reader.lines, reader.trace);
        }
        records
    }

    fn reference(content: &[u8]) -> Vec<Vec<String>> {
        let mut reader = ::csv::Reader::from_reader(content);
        let record =
            |record: ::csv::Result<::csv::StringRecord>| record.unwrap().iter().map(str::to_owned).collect();
        reader.records().map(record).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn wherever_a_growing_file_is_cut_its_records_are_those_of_the_whole(
            records in prop::collection::vec(prop::collection::vec("[a-z,\"\\r\\n é\u{feff}]{0,6}", 3), 0..20),
            crlf in any::<bool>(),
            always in any::<bool>(),
            open_end in any::<bool>(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let terminator = if crlf { ::csv::Terminator::CRLF } else { ::csv::Terminator::Any(b'\n') };
            let quotes = if always { ::csv::QuoteStyle::Always } else { ::csv::QuoteStyle::Necessary };
            let mut writer =
                ::csv::WriterBuilder::new().terminator(terminator).quote_style(quotes).from_writer(Vec::new());
            writer.write_record(["a", "b", "c"]).unwrap();
            for record in &records {
                writer.write_record(record).unwrap();
            }
            let mut content = writer.into_inner().unwrap();
            if open_end {
                let end = content.trim_ascii_end().len();
                // A record of blanks and line ends only would lose more than its line end.
                if content[end - 1] == b'"' || content[end - 1].is_ascii_lowercase() {
                    content.truncate(end);
                }
            }
            let mut limits = cuts.iter().map(|cut| cut.index(content.len() + 1)).collect::<Vec<_>>();
            limits.sort_unstable();
            limits.push(content.len());
            prop_assert_eq!(read(&content, &limits), reference(&content));
        }
    }

    #[test]
    fn a_byte_order_mark_behind_an_empty_line_is_none_wherever_the_file_is_cut() {
        let content = "\n\u{feff}\na\n".as_bytes();
        assert_eq!(read(content, &[content.len()]), [["a"]]);
        assert_eq!(read(content, &[1, content.len()]), [["a"]]);
    }

    #[test]
    fn a_record_longer_than_a_chunk_is_read() {
        let long = "x\n".repeat(3 << 20);
        let content = format!("a,b\n1,\"{long}\"\n2,y\n");
        let records = read(content.as_bytes(), &[4_000_000, content.len()]);
        assert_eq!(records, [["1", &long], ["2", "y"]]);
    }
}
