//! Records that are put together value by value, for formats whose values do not stand in the text as they are.

use std::collections::HashMap;

use super::rows::{Cell, Rows, Shape};

/// More names than this are refused: most likely they are data, and each would become a column.
const MAX_COLUMNS: usize = 4_096;

/// Records, each begun and then given its values.
#[derive(Debug, Default)]
pub(crate) struct BuiltRows {
    names: Vec<String>,
    index: HashMap<String, usize>,
    /// For each column its values; short where the last records miss it.
    columns: Vec<Vec<Option<Value>>>,
    lines: Vec<u64>,
}

/// What a record holds in a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// No value.
    Null,
    /// A text, of which nothing else is said.
    Text(String),
    /// A JSON object or array.
    Nested(String),
    /// A text, and what its system says of it.
    Shaped(Shape, String),
}

/// Why a record does not take a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It has one of that name.
    Twice,
    /// There are too many names.
    Columns,
}

impl BuiltRows {
    /// Begins a record, which stands on `line`.
    pub(crate) fn begin(&mut self, line: u64) {
        self.lines.push(line);
    }

    /// Gives the record that was begun last a value.
    pub(crate) fn put(&mut self, name: &str, value: Value) -> Result<(), Refusal> {
        let row = self.lines.len().saturating_sub(1);
        let column = match self.index.get(name) {
            Some(column) => *column,
            None if self.names.len() == MAX_COLUMNS => return Err(Refusal::Columns),
            None => {
                self.names.push(name.to_owned());
                self.index.insert(name.to_owned(), self.columns.len());
                self.columns.push(Vec::new());
                self.columns.len() - 1
            }
        };
        let values = &mut self.columns[column];
        if values.len() > row {
            return Err(Refusal::Twice);
        }
        values.resize(row, None);
        values.push(Some(value));
        Ok(())
    }
}

impl Rows for BuiltRows {
    fn len(&self) -> usize {
        self.lines.len()
    }

    fn names(&self) -> &[String] {
        &self.names
    }

    fn cell(&self, column: usize, row: usize) -> Cell<'_> {
        match self.columns[column].get(row).and_then(Option::as_ref) {
            None => Cell::Missing,
            Some(Value::Null) => Cell::Null,
            Some(Value::Text(text)) => Cell::Value { text, raw: text, shape: Shape::Plain },
            Some(Value::Nested(json)) => Cell::Value { text: json, raw: json, shape: Shape::Nested },
            Some(Value::Shaped(shape, text)) => Cell::Value { text, raw: text, shape: *shape },
        }
    }

    fn line(&self, row: usize) -> u64 {
        self.lines[row]
    }

    fn is_dense(&self) -> bool {
        let is_whole =
            |values: &Vec<Option<Value>>| values.len() == self.len() && values.iter().all(Option::is_some);
        self.columns.iter().all(is_whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_null_and_values_are_told_apart() {
        let mut rows = BuiltRows::default();
        rows.begin(1);
        rows.put("a", Value::Text("1".into())).unwrap();
        assert!(rows.is_dense());
        rows.begin(2);
        rows.put("b", Value::Null).unwrap();
        assert_eq!(rows.put("b", Value::Null), Err(Refusal::Twice));
        assert!(!rows.is_dense());
        assert_eq!(rows.cell(0, 0), Cell::Value { text: "1", raw: "1", shape: Shape::Plain });
        assert_eq!(
            [rows.cell(0, 1), rows.cell(1, 0), rows.cell(1, 1)],
            [Cell::Missing, Cell::Missing, Cell::Null]
        );
    }
}
