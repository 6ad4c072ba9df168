//! Batches with other columns: some as they were, some made anew.

use std::sync::Arc;

use tidemark_engine::{
    Result,
    arrow_array::ArrayRef,
    change::{Before, BitmapBuilder, Cell, ChangeBatch, Columns, ExceptionsBuilder, Op, Refused, Texts},
    schema::{Kind, StreamSchema},
};

use crate::passing::Passing;

/// Where a column of the new batch comes from.
pub(crate) enum Output {
    /// From the column of the former batch with this number.
    Kept(usize),
    Made(Made),
}

/// A column that was made, of what is after each change and of what was before.
pub(crate) struct Made {
    after: Half,
    before: Option<Half>,
}

struct Half {
    array: ArrayRef,
    unchanged: Vec<bool>,
}

/// What a new cell holds.
#[derive(Debug, PartialEq)]
pub(crate) enum New {
    Unchanged,
    Null,
    /// The canonical text of a value.
    Text(String),
}

/// Which of the two records a cell is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    After,
    Before,
}

impl Made {
    /// A column of `kind` of which `cell` says what each row holds. A text that spells no value of it is refused with what
    /// `unfit` says.
    pub(crate) fn new(
        passing: &Passing,
        kind: &Kind,
        mut cell: impl FnMut(Side, usize) -> Result<New, Refused>,
        unfit: impl Fn() -> tidemark_engine::Error,
    ) -> Result<Self, Refused> {
        let batch = &passing.batch;
        let mut half = |side: Side| -> Result<Half, Refused> {
            let (mut texts, mut unchanged) = (Texts::of(kind)?, Vec::new());
            for row in 0..batch.rows() {
                let new = match (side, batch.op(row)?, batch.columns().before.as_ref()) {
                    (_, Op::Truncate, _) => New::Null,
                    (Side::Before, _, before) if !before.is_some_and(|it| it.present.value(row)) => {
                        New::Unchanged
                    }
                    _ => cell(side, row)?,
                };
                unchanged.push(new == New::Unchanged);
                match new {
                    New::Unchanged | New::Null => texts.null(),
                    New::Text(text) if texts.value(&text) => {}
                    New::Text(_) => return Err(passing.refuse(row, unfit())),
                }
            }
            Ok(Half { array: texts.finish()?, unchanged })
        };
        let after = half(Side::After)?;
        let before = batch.columns().before.is_some().then(|| half(Side::Before)).transpose()?;
        Ok(Self { after, before })
    }

    /// A column whose cells are made one by one of those of column `index`: `of` is given the canonical text of a value.
    pub(crate) fn of(
        passing: &Passing,
        index: usize,
        kind: &Kind,
        mut of: impl FnMut(usize, &str) -> Result<New, Refused>,
        unfit: impl Fn() -> tidemark_engine::Error,
    ) -> Result<Self, Refused> {
        let batch = &passing.batch;
        let (after, before) = (batch.column(index), batch.column_before(index));
        let cell = |side: Side, row: usize| {
            let cell = match side {
                Side::After => after.cell(row),
                Side::Before => before.as_ref().map_or(Cell::Unchanged, |column| column.cell(row)),
            };
            match cell {
                Cell::Unchanged => Ok(New::Unchanged),
                Cell::Null => Ok(New::Null),
                Cell::Value(value) => of(row, &value.to_string()),
                Cell::Exception(text) => of(row, text),
            }
        };
        Self::new(passing, kind, cell, unfit)
    }
}

/// The same changes under `schema`, whose columns come from `outputs`.
pub(crate) fn rebuilt(
    batch: &ChangeBatch,
    schema: &Arc<StreamSchema>,
    outputs: &[Output],
) -> Result<ChangeBatch> {
    let (all, width, rows) = (batch.columns(), outputs.len(), batch.rows());
    let former = batch.schema().fields().len();
    let (mut unchanged, mut unknown) = (BitmapBuilder::new(width), BitmapBuilder::new(width));
    let mut exceptions = ExceptionsBuilder::new();
    for row in 0..rows {
        for (at, output) in outputs.iter().enumerate() {
            match output {
                Output::Kept(index) => {
                    if all.unchanged.as_ref().is_some_and(|bitmap| bitmap.contains(row, *index)) {
                        unchanged.set(at);
                    }
                    let before = all.before.as_ref().and_then(|before| before.unknown.as_ref());
                    if before.is_some_and(|bitmap| bitmap.contains(row, *index)) {
                        unknown.set(at);
                    }
                    if let Some(former_exceptions) = &all.exceptions {
                        let found = former_exceptions.get(row, *index);
                        found.into_iter().for_each(|text| exceptions.add(at, text));
                        let found = former_exceptions.get(row, former + *index);
                        found.into_iter().for_each(|text| exceptions.add(width + at, text));
                    }
                }
                Output::Made(made) => {
                    if made.after.unchanged[row] {
                        unchanged.set(at);
                    }
                    if made.before.as_ref().is_some_and(|before| before.unchanged[row]) {
                        unknown.set(at);
                    }
                }
            }
        }
        unchanged.end_row();
        unknown.end_row();
        exceptions.end_row();
    }
    let values = outputs.iter().map(|output| match output {
        Output::Kept(index) => all.values[*index].clone(),
        Output::Made(made) => made.after.array.clone(),
    });
    let before = all.before.as_ref().map(|before| Before {
        present: before.present.clone(),
        unknown: unknown.finish(),
        values: outputs
            .iter()
            .filter_map(|output| match output {
                Output::Kept(index) => Some(before.values[*index].clone()),
                Output::Made(made) => made.before.as_ref().map(|half| half.array.clone()),
            })
            .collect(),
    });
    let columns = Columns {
        values: values.collect(),
        unchanged: unchanged.finish(),
        exceptions: exceptions.finish(),
        before,
        ..all.clone()
    };
    let rebuilt = ChangeBatch::new(schema.clone(), columns)?;
    Ok(match batch.ordinals() {
        Some(ordinals) => rebuilt.with_ordinals(ordinals.clone()),
        None => rebuilt,
    })
}
