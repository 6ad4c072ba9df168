//! A batch between two steps.

use tidemark_engine::{
    Error,
    arrow_array::BooleanArray,
    change::{ChangeBatch, Refused},
};

/// Changes on their way through the steps, and which rows they were at first.
#[derive(Debug)]
pub(crate) struct Passing {
    pub(crate) batch: ChangeBatch,
    /// `None` while all are there.
    rows: Option<Vec<usize>>,
}

impl Passing {
    pub(crate) fn new(batch: ChangeBatch) -> Self {
        Self { batch, rows: None }
    }

    /// The same changes otherwise.
    pub(crate) fn with(self, batch: ChangeBatch) -> Self {
        debug_assert_eq!(batch.rows(), self.batch.rows());
        Self { batch, ..self }
    }

    /// Those that `kept` marks.
    pub(crate) fn filter(self, kept: &BooleanArray) -> Result<Self, Refused> {
        if kept.true_count() == kept.len() {
            return Ok(self);
        }
        let batch = self.batch.filter(kept)?;
        let rows = (0..kept.len()).filter(|row| kept.value(*row)).map(|row| self.origin(row)).collect();
        Ok(Self { batch, rows: Some(rows) })
    }

    /// `error` of the change in `row`.
    pub(crate) fn refuse(&self, row: usize, error: Error) -> Refused {
        Refused {
            row: Some(self.origin(row)),
            error: Box::new(error.of_stream(self.batch.schema().stream())),
        }
    }

    fn origin(&self, row: usize) -> usize {
        self.rows.as_ref().map_or(row, |rows| rows[row])
    }
}
