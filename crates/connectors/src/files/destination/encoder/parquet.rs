//! Parquet, each column in its kind's Arrow type. The few values that a type cannot hold stand in a column of their own.

use std::{fmt::Write as _, io, sync::Arc};

use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    errors::ParquetError,
    file::properties::WriterProperties,
};
use tidemark_engine::{
    Digest, Error, Result,
    arrow_array::{
        ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray, builder::StringBuilder, new_null_array,
    },
    arrow_schema::{DataType, Field, Schema, TimeUnit},
    change::{Cell, ChangeBatch},
    schema::StreamSchema,
};

use super::{Rows, Sealed};
use crate::{files::destination::disk, metadata};

/// Values that their column's type cannot hold: a JSON object from column to canonical text; NULL when there are none.
const EXCEPTIONS: &str = "_tidemark_exceptions";

/// A row group ends at either.
const GROUP_ROWS: usize = 65_536;
const GROUP_BYTES: usize = 8 << 20;

pub(in crate::files::destination) struct ParquetFile {
    writer: ArrowWriter<Sealed>,
    schema: Arc<Schema>,
}

impl ParquetFile {
    pub(super) fn new(file: Sealed, schema: &StreamSchema) -> Result<Self> {
        let schema = Arc::new(arrow_schema(schema));
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).unwrap_or_default()))
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .build();
        let path = file.path().clone();
        let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties));
        Ok(Self { writer: writer.map_err(|error| failed(&path, error))?, schema })
    }

    pub(super) fn write(&mut self, rows: &Rows<'_>) -> Result<()> {
        let unsound = |error| Error::internal("changes do not make a record batch").source(error);
        let batch = RecordBatch::try_new(self.schema.clone(), columns(rows)?).map_err(unsound)?;
        self.run(|writer| writer.write(&batch))?;
        if self.memory() >= GROUP_BYTES { self.end_group() } else { Ok(()) }
    }

    /// Writes what is gathered as a row group of its own.
    pub(super) fn end_group(&mut self) -> Result<()> {
        self.run(ArrowWriter::flush)
    }

    fn run(&mut self, step: impl FnOnce(&mut ArrowWriter<Sealed>) -> Result<(), ParquetError>) -> Result<()> {
        step(&mut self.writer).map_err(|error| failed(self.writer.inner().path(), error))
    }

    pub(super) fn bytes(&self) -> u64 {
        (self.writer.bytes_written() + self.writer.in_progress_size()) as u64
    }

    pub(super) fn memory(&self) -> usize {
        self.writer.memory_size()
    }

    pub(super) fn finish(self) -> Result<(u64, Digest)> {
        let path = self.writer.inner().path().clone();
        self.writer.into_inner().map_err(|error| failed(&path, error))?.seal()
    }
}

fn arrow_schema(schema: &StreamSchema) -> Schema {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let metadata = [
        Field::new(metadata::POSITION, DataType::Utf8, false),
        Field::new(metadata::OP, DataType::Utf8, false),
        Field::new(metadata::SOURCE_TIME, time, true),
        Field::new(metadata::UNCHANGED, DataType::Utf8, true),
        Field::new(EXCEPTIONS, DataType::Utf8, true),
    ];
    let fields = schema.fields().iter().map(|field| Field::new(&field.name, field.kind.arrow(), true));
    Schema::new(metadata.into_iter().chain(fields).collect::<Vec<_>>())
}

fn columns(rows: &Rows<'_>) -> Result<Vec<ArrayRef>> {
    let changes = rows.changes;
    let count = changes.rows();
    let (mut positions, mut ops) = (StringBuilder::new(), StringBuilder::new());
    for row in 0..count {
        // Writing to a builder cannot fail.
        let _ = write!(positions, "{}", rows.id(row));
        positions.append_value("");
        ops.append_value(changes.op(row)?.as_str());
    }
    let times: TimestampMicrosecondArray = match &changes.columns().source_times {
        Some(times) => times.clone(),
        None => TimestampMicrosecondArray::new_null(count),
    };
    let texts = |any: bool, text: fn(&ChangeBatch, usize) -> Option<String>| -> ArrayRef {
        if !any {
            return new_null_array(&DataType::Utf8, count);
        }
        Arc::new((0..count).map(|row| text(changes, row)).collect::<StringArray>())
    };
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(positions.finish()),
        Arc::new(ops.finish()),
        Arc::new(times.with_timezone("UTC")),
        texts(changes.columns().unchanged.is_some(), metadata::unchanged_names),
        texts(changes.columns().exceptions.is_some(), exceptions),
    ];
    columns.extend(changes.columns().values.iter().cloned());
    Ok(columns)
}

/// The text of [`EXCEPTIONS`] for the change in `row`.
fn exceptions(changes: &ChangeBatch, row: usize) -> Option<String> {
    let fields = changes.schema().fields().iter().enumerate();
    let found = fields.filter_map(|(index, field)| match changes.column(index).cell(row) {
        Cell::Exception(text) => Some((field.name.clone(), serde_json::Value::from(text))),
        _ => None,
    });
    let found = found.collect::<serde_json::Map<_, _>>();
    (!found.is_empty()).then(|| serde_json::Value::Object(found).to_string())
}

fn failed(path: &std::path::Path, error: ParquetError) -> Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(io) => disk::failed("write", path, *io),
            Err(inner) => Error::internal(format!("cannot encode `{}`", path.display())).source(inner),
        },
        error => {
            Error::data(format!("Parquet cannot hold the changes for `{}`", path.display())).source(error)
        }
    }
}
