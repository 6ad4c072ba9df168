//! Whether a key tells all records of a sweep apart. They come in the order of the key, so what is equal is adjacent.

use std::fmt::Write;

use tidemark_engine::{
    Error, Result,
    change::{Cell as TypedCell, ChangeBatch},
    schema::StreamName,
};

use crate::records::{Cell, Rows};

/// Looks at the keys of one sweep, in their order.
#[derive(Debug)]
pub(crate) struct Unique {
    stream: StreamName,
    key: Vec<String>,
    /// The last record's key: each value after its length.
    last: Option<String>,
}

impl Unique {
    pub(crate) fn new(stream: &StreamName, key: &[String]) -> Self {
        Self { stream: stream.clone(), key: key.to_vec(), last: None }
    }

    /// Fails with [`tidemark_engine::ErrorKind::Data`] when two records have one key.
    pub(crate) fn check(&mut self, rows: &dyn Rows) -> Result<()> {
        let columns = self.places(|name| rows.names().iter().position(|other| other == name));
        for row in 0..rows.len() {
            let mut key = String::new();
            for &column in &columns {
                if let Cell::Value { text, .. } = rows.cell(column, row) {
                    put(text, &mut key);
                }
            }
            self.next(key)?;
        }
        Ok(())
    }

    /// The same of records under a schema.
    pub(crate) fn check_typed(&mut self, batch: &ChangeBatch) -> Result<()> {
        let fields = batch.schema().fields();
        let columns = self.places(|name| fields.iter().position(|field| field.name == name));
        let columns: Vec<_> = columns.into_iter().map(|index| batch.column(index)).collect();
        let mut text = String::new();
        for row in 0..batch.rows() {
            let mut key = String::new();
            for column in &columns {
                text.clear();
                match column.cell(row) {
                    // Writing to a `String` cannot fail.
                    TypedCell::Value(value) => {
                        let _ = write!(text, "{value}");
                    }
                    TypedCell::Exception(exception) => text.push_str(exception),
                    TypedCell::Null | TypedCell::Unchanged => {}
                }
                put(&text, &mut key);
            }
            self.next(key)?;
        }
        Ok(())
    }

    fn places(&self, place: impl Fn(&str) -> Option<usize>) -> Vec<usize> {
        self.key.iter().filter_map(|name| place(name)).collect()
    }

    fn next(&mut self, key: String) -> Result<()> {
        if self.key.is_empty() {
            return Ok(());
        }
        if self.last.as_ref() == Some(&key) {
            let (stream, columns) = (&self.stream, self.key.join("`, `"));
            return Err(Error::data(format!(
                "two records of stream `{stream}` have the same key (`{columns}`)"
            ))
            .hint("choose a `key` whose columns tell all records apart")
            .of_stream(stream));
        }
        self.last = Some(key);
        Ok(())
    }
}

fn put(text: &str, key: &mut String) {
    let _ = write!(key, "{}:{text}", text.len());
}
