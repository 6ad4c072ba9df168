//! From records to batches: which columns there are, what kinds they have, and how that widens.
//!
//! A column that has held nothing but NULL so far is *undecided*: it is kept in the cursor, but not yet in the schema.
//! Declaring it would fix a kind by guess, which later values could only widen to text. It enters the schema with its
//! first value, or as text when a reader has come to the end of what there was ([`Table::batch`] with `settle`). The
//! records before it then read as missing the column, which for a destination is the NULL they had.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use tidemark_engine::{
    Error, Result,
    arrow_array::{Array, ArrayRef, Float64Array, Int64Array, UInt8Array, new_null_array},
    change::{Bitmap, BitmapBuilder, ChangeBatch, Columns, Exceptions, Op},
    schema::{Field, Kind, StreamName, StreamSchema},
};

use super::{
    Outline,
    column::{self, Misfit},
    infer::{EXACT_IN_FLOAT, Inferred},
    rows::{Cell, Rows},
};

/// The columns seen so far, as the cursor keeps them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Known {
    /// The columns of the schema, in its order.
    decided: Vec<Column>,
    /// Columns without a value so far.
    undecided: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Column {
    name: String,
    #[serde(flatten)]
    inferred: Inferred,
}

/// What a stream's records look like so far; makes batches of them.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    stream: StreamName,
    key: Vec<String>,
    exclude: BTreeSet<String>,
    declared: BTreeMap<String, Kind>,
    known: Known,
    schema: Option<Arc<StreamSchema>>,
}

/// A column of a batch whose kind the file itself declares.
#[derive(Debug)]
pub(crate) struct Declared {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) values: ArrayRef,
}

impl Table {
    /// Goes on with the columns `known`.
    pub(crate) fn new(stream: &Outline, known: Known) -> Self {
        let mut table = Self {
            stream: stream.name.clone(),
            key: stream.key.clone(),
            exclude: stream.exclude.clone(),
            declared: stream.kinds.clone(),
            known,
            schema: None,
        };
        // What was declared or excluded since the last run holds from now on.
        table.known.decided.retain(|column| !table.exclude.contains(&column.name));
        table.known.undecided.retain(|name| !table.exclude.contains(name));
        for column in &mut table.known.decided {
            if let Some(kind) = table.declared.get(&column.name) {
                column.inferred = Inferred::of(kind.clone());
            }
        }
        table
    }

    /// The columns, to be kept in the cursor.
    pub(crate) fn known(&self) -> &Known {
        &self.known
    }

    /// The schema, once there is a column.
    pub(crate) fn schema(&mut self) -> Result<Arc<StreamSchema>> {
        if let Some(schema) = &self.schema {
            return Ok(schema.clone());
        }
        let fields = self.known.decided.iter().map(|column| {
            let field = Field::new(&column.name, column.inferred.kind.clone());
            if self.key.contains(&column.name) { field.required() } else { field }
        });
        let schema = StreamSchema::new(self.stream.clone(), fields.collect(), self.key.clone())?;
        self.schema = Some(schema.clone());
        Ok(schema)
    }

    /// A truncate: what there is of the stream is void. `None` while there is no column, and so no record.
    pub(crate) fn emptied(&mut self) -> Result<Option<ChangeBatch>> {
        match self.known.decided.is_empty() {
            true => Ok(None),
            false => truncate(self.schema()?).map(Some),
        }
    }

    /// A batch of `rows`, all with `op`. `settle` declares what is still undecided as text.
    pub(crate) fn batch<R: Rows>(
        &mut self,
        rows: &R,
        op: Op,
        settle: bool,
        file: &str,
    ) -> Result<ChangeBatch> {
        let mut sources = vec![None; self.known.decided.len()];
        let mut arrays = vec![None; self.known.decided.len()];
        for (index, name) in rows.names().iter().enumerate() {
            if self.exclude.contains(name) {
                continue;
            }
            let at = match self.position(name) {
                Some(at) => at,
                None => match self.decide(rows, index, name) {
                    Some(at) => at,
                    None => continue,
                },
            };
            let array = self.values(rows, index, at, file)?;
            sources.resize(self.known.decided.len(), None);
            arrays.resize(self.known.decided.len(), None);
            (sources[at], arrays[at]) = (Some(index), Some(array));
        }
        if settle || self.known.decided.is_empty() {
            self.settle();
            sources.resize(self.known.decided.len(), None);
            for (index, name) in rows.names().iter().enumerate() {
                if let Some(at) = self.position(name) {
                    sources[at] = Some(index);
                }
            }
        }
        self.require_key(rows, &sources, file)?;
        let unchanged = self.missing(rows, &sources);
        self.assemble(rows.len(), op, arrays, unchanged, None)
    }

    /// Takes up the columns that a file declares the kinds of.
    pub(crate) fn declare(&mut self, columns: &[Declared], file: &str) -> Result<()> {
        for Declared { name, kind, .. } in columns {
            let known = match self.position(name) {
                Some(at) => self.known.decided[at].inferred.kind.clone(),
                None => {
                    let known = self.declared.get(name).unwrap_or(kind).clone();
                    self.known.undecided.retain(|undecided| undecided != name);
                    self.push(name.clone(), Inferred::of(known.clone()));
                    known
                }
            };
            if &known != kind {
                return Err(Error::data(format!(
                    "column `{name}` is `{}` in `{file}`, but `{}` in this stream",
                    kind.name(),
                    known.name()
                ))
                .hint("write the files with one schema, or make a stream of its own of those that differ"));
            }
        }
        Ok(())
    }

    /// The column `name` in the schema.
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.known.decided.iter().position(|column| column.name == name)
    }

    /// A batch of columns that have been declared.
    pub(crate) fn declared_batch(
        &mut self,
        rows: usize,
        op: Op,
        columns: Vec<Declared>,
        exceptions: Option<Exceptions>,
        file: &str,
    ) -> Result<ChangeBatch> {
        let mut arrays = vec![None; self.known.decided.len()];
        for Declared { name, values, .. } in columns {
            if let Some(at) = self.position(&name) {
                arrays[at] = Some(values);
            }
        }
        for key in &self.key {
            let at = self.position(key);
            let array = at.and_then(|at| arrays.get(at)?.as_ref());
            if array.is_none_or(|array| array.null_count() > 0) {
                return Err(no_key(key, file, None));
            }
        }
        let mut unchanged = BitmapBuilder::new(self.known.decided.len());
        let missing = (0..arrays.len()).filter(|&at| arrays[at].is_none()).collect::<Vec<_>>();
        for _ in 0..rows {
            missing.iter().for_each(|&column| unchanged.set(column));
            unchanged.end_row();
        }
        self.assemble(rows, op, arrays, unchanged.finish(), exceptions)
    }

    /// Takes note of columns without a value.
    pub(crate) fn see(&mut self, names: &[String]) {
        for name in names.iter().filter(|name| !self.exclude.contains(*name)) {
            if self.position(name).is_none() && !self.known.undecided.contains(name) {
                self.known.undecided.push(name.clone());
            }
        }
    }

    /// Whether a column has been seen at all.
    pub(crate) fn has_columns(&self) -> bool {
        !self.known.decided.is_empty() || !self.known.undecided.is_empty()
    }

    /// Declares as text whatever is still undecided.
    pub(crate) fn settle(&mut self) {
        for name in std::mem::take(&mut self.known.undecided) {
            self.push(name, Inferred::of(Kind::Text));
        }
    }

    /// The values of the decided column `at`, whose kind widens to hold them.
    fn values<R: Rows>(&mut self, rows: &R, index: usize, at: usize, file: &str) -> Result<ArrayRef> {
        let column = &mut self.known.decided[at];
        let is_declared = self.declared.contains_key(&column.name);
        let is_key = self.key.contains(&column.name);
        let array = match column::build(rows, index, &column.inferred.kind, is_declared) {
            Err(_) if !is_declared => {
                if let Some(wider) = infer(rows, index, Some(column.inferred.clone())) {
                    column.inferred = if is_key { wider.of_a_key() } else { wider };
                }
                self.schema = None;
                column::build(rows, index, &column.inferred.kind, false)
            }
            array => array,
        };
        let array = array.map_err(|Misfit(row)| {
            Error::data(format!(
                "column `{}` of `{file}` has a value on line {} that is not of its kind `{}`",
                column.name,
                rows.line(row),
                column.inferred.kind.name()
            ))
            .hint("correct the file, or declare a wider kind under `types`")
        })?;
        if column.inferred.kind == Kind::Int64 {
            column.inferred.beyond_float |= any_beyond_float(&array);
        }
        if column.inferred.kind == Kind::Float64 {
            column.inferred.not_finite |= any_not_finite(&array);
        }
        Ok(array)
    }

    /// Finds a kind for a column that is not in the schema yet; `None` when the rows do not tell.
    fn decide<R: Rows>(&mut self, rows: &R, index: usize, name: &str) -> Option<usize> {
        let declared = self.declared.get(name).map(|kind| Inferred::of(kind.clone()));
        let is_key = self.key.iter().any(|key| key == name);
        let inferred = || infer(rows, index, None).map(|kind| if is_key { kind.of_a_key() } else { kind });
        match declared.or_else(inferred) {
            Some(inferred) => {
                self.known.undecided.retain(|undecided| undecided != name);
                Some(self.push(name.to_owned(), inferred))
            }
            None => {
                if !self.known.undecided.iter().any(|undecided| undecided == name) {
                    self.known.undecided.push(name.to_owned());
                }
                None
            }
        }
    }

    fn push(&mut self, name: String, inferred: Inferred) -> usize {
        self.known.decided.push(Column { name, inferred });
        self.schema = None;
        self.known.decided.len() - 1
    }

    /// Every record must have its key.
    fn require_key<R: Rows>(&self, rows: &R, sources: &[Option<usize>], file: &str) -> Result<()> {
        for key in &self.key {
            let at = self.position(key);
            let source = at.and_then(|at| sources.get(at).copied().flatten());
            let without = match source {
                Some(column) => {
                    (0..rows.len()).find(|&row| !matches!(rows.cell(column, row), Cell::Value { .. }))
                }
                None => (rows.len() > 0).then_some(0),
            };
            if let Some(row) = without {
                return Err(no_key(key, file, Some(rows.line(row))));
            }
        }
        Ok(())
    }

    /// The columns each record does not have.
    fn missing<R: Rows>(&self, rows: &R, sources: &[Option<usize>]) -> Option<Bitmap> {
        let source = |column: usize| sources.get(column).copied().flatten();
        let columns = self.known.decided.len();
        if rows.is_dense() && (0..columns).all(|column| source(column).is_some()) {
            return None;
        }
        let mut bitmap = BitmapBuilder::new(columns);
        for row in 0..rows.len() {
            for column in 0..columns {
                if source(column).is_none_or(|source| rows.cell(source, row) == Cell::Missing) {
                    bitmap.set(column);
                }
            }
            bitmap.end_row();
        }
        bitmap.finish()
    }

    fn assemble(
        &mut self,
        rows: usize,
        op: Op,
        mut arrays: Vec<Option<ArrayRef>>,
        unchanged: Option<Bitmap>,
        exceptions: Option<Exceptions>,
    ) -> Result<ChangeBatch> {
        let schema = self.schema()?;
        arrays.resize(schema.fields().len(), None);
        let fields = schema.fields().iter();
        let values = arrays
            .into_iter()
            .zip(fields)
            .map(|(array, field)| array.unwrap_or_else(|| new_null_array(&field.kind.arrow(), rows)))
            .collect();
        let columns = Columns {
            ops: UInt8Array::from_value(op.letter(), rows),
            source_positions: None,
            source_times: None,
            transactions: None,
            unchanged,
            exceptions,
            values,
            before: None,
        };
        ChangeBatch::new(schema, columns)
    }
}

fn no_key(key: &str, file: &str, line: Option<u64>) -> Error {
    let place = line.map(|line| format!(" on line {line}")).unwrap_or_default();
    Error::data(format!("a record of `{file}`{place} has no value in the key column `{key}`"))
        .hint("correct the file, or choose a `key` whose columns always have a value")
}

/// The kind that holds every value of a column and what was seen before; `None` when there is none.
fn infer<R: Rows>(rows: &R, column: usize, before: Option<Inferred>) -> Option<Inferred> {
    let mut all = before;
    for row in 0..rows.len() {
        if let Cell::Value { text, shape, .. } = rows.cell(column, row) {
            if all.as_ref().is_some_and(|all| all.is_widest(shape)) {
                break;
            }
            let seen = Inferred::from_value(text, shape);
            all = Some(match all {
                Some(all) => all.and(seen),
                None => seen,
            });
        }
    }
    all
}

fn any_beyond_float(array: &ArrayRef) -> bool {
    let ints = array.as_any().downcast_ref::<Int64Array>();
    ints.is_some_and(|ints| ints.values().iter().any(|int| int.unsigned_abs() > EXACT_IN_FLOAT))
}

fn any_not_finite(array: &ArrayRef) -> bool {
    let floats = array.as_any().downcast_ref::<Float64Array>();
    floats.is_some_and(|floats| floats.iter().flatten().any(|float| !float.is_finite()))
}

/// A truncate of a stream with `schema`.
pub(crate) fn truncate(schema: Arc<StreamSchema>) -> Result<ChangeBatch> {
    let width = schema.fields().len();
    let mut unchanged = BitmapBuilder::new(width);
    (0..width).for_each(|field| unchanged.set(field));
    unchanged.end_row();
    let values = schema.fields().iter().map(|field| new_null_array(&field.kind.arrow(), 1)).collect();
    let ops = UInt8Array::from_iter_values([Op::Truncate.letter()]);
    ChangeBatch::new(schema, Columns { unchanged: unchanged.finish(), ..Columns::new(ops, values) })
}
