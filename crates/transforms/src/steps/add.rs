//! `add`: columns that expressions make.

use std::sync::Arc;

use tidemark_engine::{
    Error, Result,
    change::{Cell, Op, Refused},
    schema::{Field, Kind, StreamSchema},
};

use super::{Work, schema_of};
use crate::{
    cells::respelled,
    columns::{Made, New, Output, Side, rebuilt},
    expression::{Expression, Known, Ready, Trouble, text_of},
    passing::Passing,
};

/// New columns, each of a kind.
#[derive(Debug)]
pub(crate) struct Add(Vec<(String, Expression, Kind)>);

#[derive(Debug)]
struct Adding {
    schema: Arc<StreamSchema>,
    columns: Vec<(Ready, Field)>,
}

impl Add {
    pub(crate) fn new(columns: Vec<(String, Expression, Kind)>) -> Self {
        Self(columns)
    }

    pub(super) fn work(&self, schema: &Arc<StreamSchema>) -> Result<Box<dyn Work>> {
        let (mut fields, mut columns) = (schema.fields().to_vec(), Vec::new());
        for (name, expression, kind) in &self.0 {
            let stream = schema.stream();
            if fields.iter().any(|field| &field.name == name) {
                return Err(Error::config(format!(
                    "`add` makes column `{name}`, which stream `{stream}` has"
                ))
                .hint("give the new column another name, or `drop` or `rename` the other one first")
                .of_stream(stream));
            }
            let field = Field::new(name, kind.clone());
            fields.push(field.clone());
            columns.push((Ready::new(expression, schema, &what(name))?, field));
        }
        let schema = schema_of(schema, fields, schema.key_names().to_vec())?;
        Ok(Box::new(Adding { schema, columns }))
    }
}

fn what(name: &str) -> String {
    format!("new column `{name}`")
}

impl Adding {
    /// What the new column of `ready` holds for the change in `row`.
    fn cell(
        passing: &Passing,
        known: &Known<'_>,
        ready: &Ready,
        kind: &Kind,
        side: Side,
        row: usize,
    ) -> Result<New, Trouble> {
        let other = |error: Error| Trouble::Other(error.message().to_owned(), None);
        let op = passing.batch.op(row).map_err(other)?;
        // What is about the change is not known of the record before it.
        if side == Side::Before && !ready.is_of_record() {
            return Ok(New::Unchanged);
        }
        let value = match ready.value(known, row, side) {
            Ok(value) => value,
            // A delete tells what it knows, and so does what was before.
            Err(Trouble::Unknown(_)) if op == Op::Delete || side == Side::Before => {
                return Ok(New::Unchanged);
            }
            // What is made of columns that an update leaves as they are stays as it is.
            Err(Trouble::Unknown(_))
                if ready.is_of_record()
                    && ready.record().all(|index| known.cell(index, row, op, side) == Cell::Unchanged) =>
            {
                return Ok(New::Unchanged);
            }
            Err(trouble) => return Err(trouble),
        };
        let text = text_of(&value)
            .map_err(|of| Trouble::Other(format!("a value of type {of} cannot be kept"), None))?;
        let Some(text) = text else { return Ok(New::Null) };
        let text = respelled(&text, &Kind::Text, kind)
            .ok_or_else(|| Trouble::Other(format!("it does not fit {} exactly", kind.name()), None))?;
        Ok(New::Text(text))
    }
}

impl Work for Adding {
    fn schema(&self) -> &Arc<StreamSchema> {
        &self.schema
    }

    fn apply(&self, passing: Passing) -> Result<Passing, Refused> {
        let known = Known::of(&passing.batch);
        let mut outputs: Vec<_> = (0..passing.batch.schema().fields().len()).map(Output::Kept).collect();
        for (ready, field) in &self.columns {
            let cell = |side: Side, row: usize| {
                Self::cell(&passing, &known, ready, &field.kind, side, row)
                    .map_err(|trouble| passing.refuse(row, trouble.error(&what(&field.name))))
            };
            let unfit = || {
                Error::data(format!("{} does not fit {} exactly", what(&field.name), field.kind.name()))
                    .hint("give it another `type`")
            };
            outputs.push(Output::Made(Made::new(&passing, &field.kind, cell, unfit)?));
        }
        let batch = rebuilt(&passing.batch, &self.schema, &outputs)?;
        drop(known);
        Ok(passing.with(batch))
    }
}
