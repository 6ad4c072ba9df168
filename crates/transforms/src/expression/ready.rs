//! An expression for changes of one schema, and what it is evaluated on.

use std::{collections::HashMap, sync::Arc};

use cel::{
    Context, Value as Cel,
    objects::{Key, Map},
};
use chrono::DateTime;
use tidemark_engine::{
    Error, Result,
    arrow_array::Array,
    change::{Cell, ChangeBatch, Column, Op, Value},
    schema::{Kind, StreamSchema},
};

use super::{ENV, Expression, Trouble, uses::TYPES, value};
use crate::columns::Side;

/// An expression whose columns are found.
#[derive(Debug)]
pub(crate) struct Ready {
    expression: Expression,
    /// By their names alone.
    columns: Vec<(String, usize)>,
    row: Vec<(String, usize)>,
    before: Vec<(String, usize)>,
    after: Vec<(String, usize)>,
}

/// The columns of a batch, ready to be looked at by any expression.
pub(crate) struct Known<'a> {
    batch: &'a ChangeBatch,
    columns: Vec<(Column<'a>, Option<Column<'a>>)>,
}

impl<'a> Known<'a> {
    pub(crate) fn of(batch: &'a ChangeBatch) -> Self {
        let width = batch.schema().fields().len();
        let column = |index| (batch.column(index), batch.column_before(index));
        Self { batch, columns: (0..width).map(column).collect() }
    }

    /// What is known of a column of the record on one side of its change.
    pub(crate) fn cell(&self, index: usize, row: usize, op: Op, side: Side) -> Cell<'a> {
        let (after, before) = &self.columns[index];
        let was = before.as_ref().map_or(Cell::Unchanged, |column| column.cell(row));
        let is = after.cell(row);
        let is_key = self.batch.schema().key().contains(&index);
        match (side, op) {
            // What is not told of a key has not changed.
            (Side::Before, Op::Update) if is_key && was == Cell::Unchanged => is,
            (Side::Before, Op::Update) => was,
            (Side::After, Op::Update) if is == Cell::Unchanged => was,
            _ => is,
        }
    }
}

impl Ready {
    /// `expression` for changes under `schema`; `what` it is, for messages.
    pub(crate) fn new(expression: &Expression, schema: &StreamSchema, what: &str) -> Result<Self> {
        let find = |name: &String| schema.fields().iter().position(|field| &field.name == name);
        let found = |names: &std::collections::BTreeSet<String>| {
            let one = |name: &String| {
                let unknown = || {
                    let stream = schema.stream();
                    let names = schema.fields().iter().map(|field| field.name.as_str()).collect::<Vec<_>>();
                    Error::config(format!(
                        "{what} needs column `{name}`, which stream `{stream}` does not have"
                    ))
                    .hint(format!(
                        "choose from: {}; or say with `streams` which streams the step is for",
                        names.join(", ")
                    ))
                    .of_stream(stream)
                };
                find(name).map(|index| (name.clone(), index)).ok_or_else(unknown)
            };
            names.iter().map(one).collect::<Result<Vec<_>>>()
        };
        let uses = expression.uses();
        let is_column = |name: &&String| !TYPES.contains(&name.as_str()) || find(name).is_some();
        Ok(Self {
            columns: found(&uses.columns.iter().filter(is_column).cloned().collect())?,
            row: found(&uses.row)?,
            before: found(&uses.before)?,
            after: found(&uses.after)?,
            expression: expression.clone(),
        })
    }

    /// The columns of the record that it needs.
    pub(crate) fn record(&self) -> impl Iterator<Item = usize> {
        self.columns.iter().chain(&self.row).map(|(_, index)| *index)
    }

    /// Whether it is about the record alone, and so means the same before a change and after it.
    pub(crate) fn is_of_record(&self) -> bool {
        self.expression.uses().of_change().is_none()
    }

    /// What it comes to for the change in `row`: for the record as it is on one `side` of the change.
    pub(crate) fn value(&self, known: &Known<'_>, row: usize, side: Side) -> Result<Cel, Trouble> {
        let batch = known.batch;
        let op = batch.op(row).map_err(|error| Trouble::Other(error.message().to_owned(), None))?;
        let uses = self.expression.uses();
        let mut context = Context::with_env(ENV.clone());
        for (name, index) in &self.columns {
            if let Some(value) = self.look(known, (name, *index), row, op, side)? {
                context.add_variable_from_value(name.as_str(), value);
            }
        }
        let record = |columns: &[(String, usize)], side: Option<Side>| -> Result<Cel, Trouble> {
            let mut map = HashMap::new();
            for (name, index) in columns {
                let value = match side {
                    Some(side) => self.look(known, (name, *index), row, op, side)?,
                    None => None,
                };
                if let Some(value) = value {
                    map.insert(Key::String(Arc::new(name.clone())), value);
                }
            }
            Ok(Cel::Map(Map { map: Arc::new(map) }))
        };
        if !self.row.is_empty() {
            context.add_variable_from_value("row", record(&self.row, Some(side))?);
        }
        if !self.before.is_empty() {
            // Of a delete the values are what was before.
            let side = match op {
                Op::Update => Some(Side::Before),
                Op::Delete => Some(Side::After),
                Op::Read | Op::Create | Op::Truncate => None,
            };
            context.add_variable_from_value("before", record(&self.before, side)?);
        }
        if !self.after.is_empty() {
            let side = (op != Op::Delete).then_some(Side::After);
            context.add_variable_from_value("after", record(&self.after, side)?);
        }
        if uses.op {
            context.add_variable_from_value("op", op.as_str());
        }
        if uses.stream {
            context.add_variable_from_value("stream", batch.schema().stream().as_str());
        }
        if uses.source_time {
            let times = batch.columns().source_times.as_ref().filter(|times| times.is_valid(row));
            let time = times.and_then(|times| DateTime::from_timestamp_micros(times.value(row)));
            let time = time.map_or(Cel::Null, |time| Cel::Timestamp(time.fixed_offset()));
            context.add_variable_from_value("source_time", time);
        }
        self.expression.program().execute(&context).map_err(|error| Trouble::of(error, uses))
    }

    /// Whether it is true.
    pub(crate) fn is_true(&self, known: &Known<'_>, row: usize, side: Side) -> Result<bool, Trouble> {
        match self.value(known, row, side)? {
            Cel::Bool(value) => Ok(value),
            other => {
                let message =
                    format!("it comes to a value of type {}, not to true or false", other.type_of());
                Err(Trouble::Other(message, Some("compare it with something")))
            }
        }
    }

    fn look(
        &self,
        known: &Known<'_>,
        (name, index): (&str, usize),
        row: usize,
        op: Op,
        side: Side,
    ) -> Result<Option<Cel>, Trouble> {
        let cell = known.cell(index, row, op, side);
        let value = match &cell {
            Cell::Value(Value::Text(text)) if known.batch.schema().fields()[index].kind == Kind::Number => {
                value::double(text).map(Some)
            }
            cell => value::of_cell(cell),
        };
        value.map_err(|what| Trouble::Other(format!("column `{name}` {what}"), None))
    }
}
