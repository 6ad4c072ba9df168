//! Parquet: a file is read when its footer is there, and stays as it is from then on.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::PathBuf,
};

use parquet::{
    arrow::{
        ProjectionMask,
        arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder},
    },
    errors::ParquetError,
};
use tidemark_engine::{
    Error, Result,
    change::{ExceptionsBuilder, Op},
    schema::Kind,
};

use super::{
    fingerprint::Trace,
    folder::{Found, unreadable},
    parquet_kind::{convert, kind_of},
    reader::Progress,
};
use crate::records::{BATCH_ROWS, Declared, Table};

/// The bytes that a Parquet file begins and ends with.
const MAGIC: &[u8; 4] = b"PAR1";

/// Reads the rows of a Parquet file.
#[derive(Debug)]
pub(super) struct ParquetReader {
    path: String,
    location: PathBuf,
    trace: Trace,
    batches: ParquetRecordBatchReader,
    /// Name and kind of each column that is read.
    columns: Vec<(String, Kind)>,
    rows: u64,
    total: u64,
}

impl ParquetReader {
    /// Goes on behind `rows` rows; `None` when the file has no footer yet.
    pub(super) fn open(
        mut file: File,
        found: &Found,
        rows: u64,
        exclude: &BTreeSet<String>,
    ) -> Result<Option<Self>> {
        let (path, location) = (found.path.clone(), found.location.clone());
        let io_error = |error| unreadable(&found.location, error);
        if !is_whole(&mut file).map_err(io_error)? {
            return Ok(None);
        }
        let Some(trace) = Trace::load(&mut file, found.size).map_err(io_error)? else { return Ok(None) };
        // The types that the file has, not those of the program that wrote it.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)
            .map_err(|error| malformed(&path, error))?;
        let parquet = builder.parquet_schema().root_schema().get_fields();
        let mut columns = Vec::new();
        let mut roots = Vec::new();
        for (root, field) in builder.schema().fields().iter().enumerate() {
            if exclude.contains(field.name()) {
                continue;
            }
            let logical = parquet.get(root).and_then(|field| field.get_basic_info().logical_type_ref());
            let Some(kind) = kind_of(field.data_type(), logical) else {
                return Err(Error::data(format!(
                    "column `{}` of `{path}` has the type `{}`, which cannot be read",
                    field.name(),
                    field.data_type()
                ))
                .hint("add it to `exclude`, or write it as another type"));
            };
            columns.push((field.name().clone(), kind));
            roots.push(root);
        }
        let total = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
        let batches = builder
            .with_projection(mask)
            .with_batch_size(BATCH_ROWS)
            .with_offset(usize::try_from(rows).unwrap_or(usize::MAX))
            .build()
            .map_err(|error| malformed(&path, error))?;
        Ok(Some(Self { path, location, trace, batches, columns, rows, total }))
    }

    /// The next rows.
    pub(super) fn next(&mut self, table: &mut Table, op: Op) -> Result<Progress> {
        let Some(batch) = self.batches.next() else { return Ok(Progress::End) };
        let batch = batch.map_err(|error| {
            Error::data(format!("`{}` cannot be read behind row {}", self.location.display(), self.rows))
                .hint("write the file again")
                .source(error)
        })?;
        let mut exceptional = Vec::new();
        let columns = self.columns.iter().zip(batch.columns()).map(|((name, kind), array)| {
            let mut texts = Vec::new();
            let values = convert(array, kind, &mut texts).ok_or_else(|| {
                Error::data(format!(
                    "column `{name}` of `{}` has values that its own type does not hold",
                    self.path
                ))
                .hint("write the file again, or add the column to `exclude`")
            })?;
            exceptional.extend(texts.into_iter().map(|(row, text)| (row, name.clone(), text)));
            Ok(Declared { name: name.clone(), kind: kind.clone(), values })
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        table.declare(&columns, &self.path)?;
        exceptional.sort_by_key(|(row, ..)| *row);
        let exceptions = (!exceptional.is_empty()).then(|| {
            let mut exceptions = ExceptionsBuilder::new();
            let mut rest = exceptional.iter().peekable();
            for row in 0..batch.num_rows() {
                while let Some((_, name, text)) = rest.next_if(|(at, ..)| *at == row) {
                    if let Some(column) = table.position(name) {
                        exceptions.add(column, text);
                    }
                }
                exceptions.end_row();
            }
            exceptions
        });
        let exceptions = exceptions.and_then(ExceptionsBuilder::finish);
        let batch = table.declared_batch(batch.num_rows(), op, columns, exceptions, &self.path)?;
        self.rows += batch.rows() as u64;
        Ok(Progress::batch(batch))
    }

    /// Of the whole file.
    pub(super) fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Rows read so far.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Whether that is all of them.
    pub(super) fn is_complete(&self) -> bool {
        self.rows >= self.total
    }

    /// Name and kind of each column that is read.
    pub(super) fn columns(&self) -> &[(String, Kind)] {
        &self.columns
    }
}

/// Whether the file begins and ends as a Parquet file does.
fn is_whole(file: &mut File) -> io::Result<bool> {
    let mut magic = [0; 4];
    if file.metadata()?.len() < 12 {
        return Ok(false);
    }
    file.seek(SeekFrom::Start(0))?;
    file.read_exact(&mut magic)?;
    let begins = &magic == MAGIC;
    file.seek(SeekFrom::End(-4))?;
    file.read_exact(&mut magic)?;
    Ok(begins && &magic == MAGIC)
}

fn malformed(path: &str, error: ParquetError) -> Error {
    Error::data(format!("`{path}` is no sound Parquet file")).hint("write the file again").source(error)
}
