//! One file being read, whatever its format.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    sync::Arc,
};

use tidemark_engine::{Error, Result, change::ChangeBatch, change::Op};

use super::{
    super::SourceFormat,
    cursor::Mark,
    fingerprint::Trace,
    folder::{Found, unreadable},
    layout::Stream,
    lines::LineReader,
    parquet::ParquetReader,
    sweep::Seen,
};
use crate::{
    polling::Records,
    records::{CsvCutter, Cutter, JsonlCutter, Table},
};

/// A file being read.
#[derive(Debug)]
pub(super) struct FileReader {
    found: Found,
    body: Body,
    open_end: bool,
}

#[derive(Debug)]
enum Body {
    Csv(Box<LineReader<CsvCutter>>),
    Jsonl(Box<LineReader<JsonlCutter>>),
    Parquet(Box<ParquetReader>),
}

/// What opening a file came to.
#[derive(Debug)]
pub(super) enum Opened {
    /// It can be read.
    Reader(Box<FileReader>),
    /// It is still being written: a Parquet file without its footer.
    Unfinished,
    /// It is not there any more, or not the file that was looked at: the next look will tell.
    Gone,
}

/// What reading on came to.
#[derive(Debug)]
pub(super) enum Progress {
    /// More records.
    Batch(Box<ChangeBatch>),
    /// Everything up to the size it had is read.
    End,
    /// So is this, except for a last line without a line end, or an object or quote that is still open.
    Unfinished,
}

/// What came of taking records as they stand in the file.
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub(super) enum Taken {
    /// More records, and how many bytes they take.
    Records { records: Records, bytes: usize },
    /// There are no more.
    End,
    /// The last one is not whole.
    Unfinished,
}

impl Progress {
    pub(super) fn batch(batch: ChangeBatch) -> Self {
        Self::Batch(Box::new(batch))
    }
}

impl FileReader {
    /// Opens a file that a look at the folder saw, to read on up to the size it had then.
    pub(super) fn open(stream: &Stream, seen: &Seen) -> Result<Opened> {
        let Found { path, location, size, .. } = &seen.found;
        let Some(mut file) = seen.found.open()? else { return Ok(Opened::Gone) };
        let offset = seen.mark.as_ref().map_or(0, |mark| mark.offset);
        // The very file that is read must hold what was read before: it may have been written to since.
        let trace = Trace::load(&mut file, offset).map_err(|error| unreadable(location, error))?;
        let Some(trace) = trace else { return Ok(Opened::Gone) };
        if seen.mark.as_ref().is_some_and(|mark| mark.fingerprint != trace.fingerprint()) {
            return Ok(Opened::Gone);
        }
        let open_end = seen.mark.as_ref().is_some_and(|mark| mark.open_end);
        if open_end && offset < *size {
            require_line_end(&mut file, offset, seen)?;
        }
        let (lines, header) = seen.mark.as_ref().map_or((0, None), |mark| (mark.lines, mark.header.clone()));
        let at = (offset, lines, trace);
        let body = match stream.format(path)? {
            SourceFormat::Csv => {
                let cutter = CsvCutter::new(stream.delimiter, stream.null_values.clone(), header, offset > 0);
                Body::Csv(Box::new(LineReader::new(file, path.clone(), location.clone(), cutter, at, *size)))
            }
            SourceFormat::Jsonl => {
                let cutter = JsonlCutter::default();
                Body::Jsonl(Box::new(LineReader::new(
                    file,
                    path.clone(),
                    location.clone(),
                    cutter,
                    at,
                    *size,
                )))
            }
            SourceFormat::Parquet => {
                let rows = seen.mark.as_ref().and_then(|mark| mark.rows).unwrap_or(0);
                match ParquetReader::open(file, &seen.found, rows, &stream.outline.exclude)? {
                    Some(reader) => Body::Parquet(Box::new(reader)),
                    None => return Ok(Opened::Unfinished),
                }
            }
        };
        Ok(Opened::Reader(Box::new(Self { found: seen.found.clone(), body, open_end })))
    }

    /// The next records, typed by `table`. `settle`, with the last records of the file, decides what the records so far
    /// left open.
    pub(super) fn next(&mut self, table: &mut Table, op: Op, settle: bool) -> Result<Progress> {
        match &mut self.body {
            Body::Csv(reader) => next(reader, table, op, settle, &mut self.open_end),
            Body::Jsonl(reader) => next(reader, table, op, settle, &mut self.open_end),
            Body::Parquet(reader) => reader.next(table, op),
        }
    }

    /// Takes the last line although no line end follows it. `Unfinished` when it is not a whole record.
    pub(super) fn last(&mut self, table: &mut Table, op: Op, settle: bool) -> Result<Progress> {
        match &mut self.body {
            Body::Csv(reader) => last(reader, table, op, settle, &mut self.open_end),
            Body::Jsonl(reader) => last(reader, table, op, settle, &mut self.open_end),
            Body::Parquet(_) => Ok(Progress::End),
        }
    }

    /// The next records of a file that nobody writes to any more, as its format gives them: `table` types those that have kinds of their
    /// own. The last line need not have a line end.
    pub(super) fn records(&mut self, table: &mut Table) -> Result<Taken> {
        match &mut self.body {
            Body::Csv(reader) => records(reader),
            Body::Jsonl(reader) => records(reader),
            Body::Parquet(reader) => Ok(match reader.next(table, Op::Create)? {
                Progress::Batch(batch) => {
                    Taken::Records { bytes: batch.byte_size(), records: Records::Typed(*batch) }
                }
                Progress::End => Taken::End,
                Progress::Unfinished => Taken::Unfinished,
            }),
        }
    }

    /// The columns it has, as far as it has been read.
    pub(super) fn names(&self) -> Vec<String> {
        match &self.body {
            Body::Csv(reader) => reader.cutter.names().map(|names| Vec::clone(names)).unwrap_or_default(),
            Body::Jsonl(reader) => reader.cutter.names().to_vec(),
            Body::Parquet(reader) => reader.columns().iter().map(|(name, _)| name.clone()).collect(),
        }
    }

    /// How far it has been read.
    pub(super) fn mark(&self) -> Mark {
        let (offset, lines, trace) = match &self.body {
            Body::Csv(reader) => (reader.offset, reader.lines, &reader.trace),
            Body::Jsonl(reader) => (reader.offset, reader.lines, &reader.trace),
            Body::Parquet(reader) => (self.found.size, 0, reader.trace()),
        };
        let (header, rows, complete) = match &self.body {
            Body::Csv(reader) => (reader.cutter.names().map(|names| Vec::clone(names)), None, false),
            Body::Jsonl(_) => (None, None, false),
            Body::Parquet(reader) => (None, Some(reader.rows()), reader.is_complete()),
        };
        Mark {
            path: self.found.path.clone(),
            offset,
            rows,
            complete,
            lines,
            fingerprint: trace.fingerprint(),
            header,
            open_end: self.open_end,
            inode: self.found.inode,
            gone: false,
        }
    }
}

fn records<C: Cutter<Rows: Send + Sync + 'static>>(reader: &mut LineReader<C>) -> Result<Taken> {
    let before = reader.offset;
    let rows = match reader.next()? {
        Some(rows) => rows,
        None if reader.is_at_end() => return Ok(Taken::End),
        None => match reader.last() {
            Some(rows) => rows,
            None => return Ok(Taken::Unfinished),
        },
    };
    let bytes = usize::try_from(reader.offset - before).unwrap_or(usize::MAX);
    Ok(Taken::Records { records: Records::Text(Arc::new(rows)), bytes })
}

fn next<C: Cutter>(
    reader: &mut LineReader<C>,
    table: &mut Table,
    op: Op,
    settle: bool,
    open_end: &mut bool,
) -> Result<Progress> {
    let before = reader.offset;
    let rows = reader.next()?;
    *open_end &= reader.offset == before;
    match rows {
        Some(rows) => {
            let settle = settle && reader.is_at_end();
            table.batch(&rows, op, settle, reader.path()).map(Progress::batch)
        }
        None if reader.is_at_end() => Ok(Progress::End),
        None => Ok(Progress::Unfinished),
    }
}

fn last<C: Cutter>(
    reader: &mut LineReader<C>,
    table: &mut Table,
    op: Op,
    settle: bool,
    open_end: &mut bool,
) -> Result<Progress> {
    use crate::records::Rows;
    let Some(rows) = reader.last() else { return Ok(Progress::Unfinished) };
    *open_end = true;
    if rows.len() == 0 {
        return Ok(Progress::End);
    }
    table.batch(&rows, op, settle, reader.path()).map(Progress::batch)
}

/// A last line without a line end was taken for whole: then nothing may have been added to it since.
fn require_line_end(file: &mut File, offset: u64, seen: &Seen) -> Result<()> {
    let mut byte = [0];
    let read = file.seek(SeekFrom::Start(offset)).and_then(|_| file.read(&mut byte));
    let read = read.map_err(|error| unreadable(&seen.found.location, error))?;
    if read == 0 || matches!(byte, [b'\r' | b'\n']) {
        return Ok(());
    }
    let path = &seen.found.path;
    Err(Error::conflict(format!("the last line of `{path}` has grown after it was read as a whole record"))
        .hint("let the writer end each record with a line end in one write; set `on_rewrite: reread` and rewrite the file, or start a new pipeline, to read it again"))
}
