//! Some of the columns of a batch.

use super::{Before, Bitmap, BitmapBuilder, ChangeBatch, Columns};
use crate::{Result, schema::StreamSchema};

impl ChangeBatch {
    /// The same changes with these of their columns, in the order of the schema. The key's must be among them.
    pub fn with_columns(&self, kept: &[usize]) -> Result<Self> {
        let (schema, columns) = (self.schema(), self.columns());
        let fields = kept.iter().map(|&index| schema.fields()[index].clone()).collect();
        let schema = StreamSchema::new(schema.stream().clone(), fields, schema.key_names().to_vec())?;
        let width = self.schema().fields().len();
        let bitmap = |bitmap: Option<&Bitmap>| bitmap.and_then(|bitmap| picked(bitmap, self.rows(), kept));
        let pick =
            |arrays: &[arrow_array::ArrayRef]| kept.iter().map(|&index| arrays[index].clone()).collect();
        let place = |column: usize| {
            let at = kept.iter().position(|&index| index == column % width)?;
            Some(if column < width { at } else { kept.len() + at })
        };
        let projected = Columns {
            unchanged: bitmap(columns.unchanged.as_ref()),
            exceptions: columns.exceptions.as_ref().and_then(|them| them.renumbered(place)),
            values: pick(&columns.values),
            before: columns.before.as_ref().map(|before| Before {
                present: before.present.clone(),
                unknown: bitmap(before.unknown.as_ref()),
                values: pick(&before.values),
            }),
            ..columns.clone()
        };
        let projected = Self::new(schema, projected)?;
        Ok(match self.ordinals() {
            Some(ordinals) => projected.with_ordinals(ordinals.clone()),
            None => projected,
        })
    }
}

/// The bits of the columns that are kept.
fn picked(bitmap: &Bitmap, rows: usize, kept: &[usize]) -> Option<Bitmap> {
    let mut picked = BitmapBuilder::new(kept.len());
    for row in 0..rows {
        if !bitmap.is_empty(row) {
            let set = kept.iter().enumerate().filter(|(_, column)| bitmap.contains(row, **column));
            set.for_each(|(at, _)| picked.set(at));
        }
        picked.end_row();
    }
    picked.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::samples;

    #[test]
    fn what_is_kept_reads_as_before() {
        let batch = samples::everything();
        let (width, key) = (batch.schema().fields().len(), batch.schema().key().to_vec());
        for left_out in (0..width).filter(|index| !key.contains(index)) {
            let kept: Vec<_> = (0..width).filter(|index| *index != left_out).collect();
            if kept.is_empty() {
                continue;
            }
            let projected = batch.with_columns(&kept).unwrap();
            assert_eq!(projected.schema().key_names(), batch.schema().key_names());
            for row in 0..batch.rows() {
                for (at, &index) in kept.iter().enumerate() {
                    let show = |batch: &ChangeBatch, index| {
                        let before = batch.column_before(index).map(|it| format!("{:?}", it.cell(row)));
                        format!("{:?} {before:?}", batch.column(index).cell(row))
                    };
                    assert_eq!(show(&projected, at), show(&batch, index));
                }
            }
        }
    }

    #[test]
    fn marking_deletions_leaves_the_columns_alone() {
        let batch = samples::everything();
        let marked =
            batch.with_deletions_marked("_tidemark_deleted_at", |_| Ok(crate::Time::from_micros(1))).unwrap();
        for row in 0..batch.rows() {
            for index in 0..batch.schema().fields().len() {
                let show = |batch: &ChangeBatch| {
                    let before = batch.column_before(index).map(|it| format!("{:?}", it.cell(row)));
                    format!("{:?} {before:?}", batch.column(index).cell(row))
                };
                assert_eq!(show(&marked), show(&batch));
            }
        }
    }
}
