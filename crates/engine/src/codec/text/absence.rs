//! Which cells without a value are NULL, and which say nothing.
//!
//! Arrow holds NULL for both, and the bitmaps and exceptions beside it tell them apart. They are stored in every format, and they alone
//! count when a blob is read back. But text can leave a value out as well, and so it does: what a person sees as NULL is NULL.

use arrow_array::{BinaryArray, RecordBatch, cast::AsArray};

use super::Column;
use crate::change::{Bitmap, Exceptions, reserved};

pub(super) enum Absence {
    /// What has no value is NULL.
    Never,
    /// What has no value is left out.
    Always,
    /// What has no value is NULL unless it is told of here.
    Told {
        /// The columns that a change does not carry, and the number among them.
        bitmap: Option<(Bitmap, usize)>,
        /// Those whose value stands elsewhere, as text, and the number among them.
        exceptions: Option<(Exceptions, usize)>,
    },
}

impl Absence {
    /// That of each column of a batch.
    pub(super) fn of_columns(batch: &RecordBatch, columns: &[Column]) -> Vec<Self> {
        let (unchanged, exceptions) = (bitmap(batch, reserved::UNCHANGED), exceptions(batch));
        let mut fields = 0..;
        let absence = |column: &Column| {
            if column.is_reserved() {
                return Self::Always;
            }
            Self::told(fields.next(), &unchanged, 0, &exceptions)
        };
        columns.iter().map(absence).collect()
    }

    /// That of each of `width` fields of the column `name`: the values before are told of.
    pub(super) fn of_before(batch: &RecordBatch, name: &str, width: usize) -> Vec<Self> {
        if name != reserved::BEFORE {
            return Vec::new();
        }
        let (unknown, exceptions) = (bitmap(batch, reserved::BEFORE_UNKNOWN), exceptions(batch));
        (0..width).map(|index| Self::told(Some(index), &unknown, width, &exceptions)).collect()
    }

    fn told(
        index: Option<usize>,
        bitmap: &Option<Bitmap>,
        first_exception: usize,
        exceptions: &Option<Exceptions>,
    ) -> Self {
        let Some(index) = index else { return Self::Never };
        Self::Told {
            bitmap: bitmap.clone().map(|bitmap| (bitmap, index)),
            exceptions: exceptions.clone().map(|exceptions| (exceptions, first_exception + index)),
        }
    }

    /// Whether `row`, which has no value, is left out.
    pub(super) fn holds(&self, row: usize) -> bool {
        match self {
            Self::Never => false,
            Self::Always => true,
            Self::Told { bitmap, exceptions } => {
                bitmap.as_ref().is_some_and(|(bitmap, index)| bitmap.contains(row, *index))
                    || exceptions.as_ref().is_some_and(|(texts, index)| texts.get(row, *index).is_some())
            }
        }
    }
}

fn bitmap(batch: &RecordBatch, name: &str) -> Option<Bitmap> {
    let array: &BinaryArray = batch.column_by_name(name)?.as_binary_opt()?;
    Some(Bitmap::new(array.clone()))
}

fn exceptions(batch: &RecordBatch) -> Option<Exceptions> {
    let array = batch.column_by_name(reserved::EXCEPTIONS)?;
    let is_one = array.data_type() == &Exceptions::arrow();
    is_one.then(|| Exceptions::new(array.as_list().clone()))
}
