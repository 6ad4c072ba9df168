//! Files of CSV that grow, read piece by piece.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::records::{Cell, CsvCutter, CsvRows, count_lines};

/// Reads what is in `content` up to each of `limits` in turn, every time from where the last reader stopped.
fn read(content: &[u8], limits: &[usize]) -> Vec<Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let location = folder.path().join("a.csv");
    std::fs::write(&location, content).unwrap();
    let nulls = Arc::new(Vec::new());
    let (mut at, mut names, mut records) = ((0, 0, Trace::default()), None, Vec::new());
    for (turn, limit) in limits.iter().enumerate() {
        let file = File::open(&location).unwrap();
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
        let file = &mut File::open(&location).unwrap();
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
