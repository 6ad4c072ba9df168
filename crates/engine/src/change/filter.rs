//! Some changes of a batch.

use arrow_array::{Array, ArrayRef, BooleanArray};
use arrow_schema::ArrowError;
use arrow_select::filter::{FilterBuilder, FilterPredicate};

use super::{Before, Bitmap, ChangeBatch, Columns, Exceptions};
use crate::{Error, Result};

impl ChangeBatch {
    /// The changes whose row is `true` in `wanted`, in order, with the ordinals they have.
    ///
    /// Fails with [`crate::ErrorKind::Internal`] when `wanted` has another length.
    pub fn filter(&self, wanted: &BooleanArray) -> Result<Self> {
        let unsound = |error| Error::internal("changes cannot be picked out of a batch").source(error);
        if wanted.len() != self.rows() {
            return Err(Error::internal("changes cannot be picked out of a batch of another length"));
        }
        let picker = Picker(FilterBuilder::new(wanted).optimize().build());
        let columns = picker.columns(self.columns()).map_err(unsound)?;
        let ordinals = self.ordinals().map(|ordinals| picker.pick(ordinals)).transpose().map_err(unsound)?;
        let picked = Self::new(self.schema().clone(), columns)?;
        Ok(match ordinals {
            Some(ordinals) => picked.with_ordinals(ordinals),
            None => picked,
        })
    }
}

type Picked<T> = std::result::Result<T, ArrowError>;

/// Picks rows out of whole batches.
struct Picker(FilterPredicate);

impl Picker {
    fn columns(&self, columns: &Columns) -> Picked<Columns> {
        Ok(Columns {
            ops: self.pick(&columns.ops)?,
            source_positions: self.pick_some(columns.source_positions.as_ref())?,
            source_times: self.pick_some(columns.source_times.as_ref())?,
            transactions: self.pick_some(columns.transactions.as_ref())?,
            unchanged: self.bitmap(columns.unchanged.as_ref())?,
            exceptions: columns
                .exceptions
                .as_ref()
                .map(|exceptions| self.pick(exceptions.array().as_ref()).map(Exceptions::new))
                .transpose()?,
            values: self.all(&columns.values)?,
            before: columns.before.as_ref().map(|before| self.before(before)).transpose()?,
        })
    }

    fn before(&self, before: &Before) -> Picked<Before> {
        let present = BooleanArray::new(before.present.clone(), None);
        Ok(Before {
            present: self.pick(&present)?.values().clone(),
            unknown: self.bitmap(before.unknown.as_ref())?,
            values: self.all(&before.values)?,
        })
    }

    fn bitmap(&self, bitmap: Option<&Bitmap>) -> Picked<Option<Bitmap>> {
        bitmap.map(|bitmap| self.pick(bitmap.array().as_ref()).map(Bitmap::new)).transpose()
    }

    fn all(&self, arrays: &[ArrayRef]) -> Picked<Vec<ArrayRef>> {
        arrays.iter().map(|array| self.0.filter(array)).collect()
    }

    fn pick_some<A: Array + Clone + 'static>(&self, array: Option<&A>) -> Picked<Option<A>> {
        array.map(|array| self.pick(array)).transpose()
    }

    fn pick<A: Array + Clone + 'static>(&self, array: &A) -> Picked<A> {
        let picked = self.0.filter(array)?;
        let other = || ArrowError::ComputeError("a filter changed the type of an array".into());
        picked.as_any().downcast_ref::<A>().cloned().ok_or_else(other)
    }
}
