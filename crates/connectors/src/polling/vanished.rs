//! How many records a sweep may find gone.

use tidemark_engine::{Error, Result};

use super::plan::Plan;

/// A sweep may find so few records gone whatever their share: small streams come and go.
const FEW: u64 = 10;

/// Refuses to believe that most records are gone: far more often the system did not show them. `gone` of those that are `known` were not
/// seen.
pub(super) fn guard(plan: &Plan, gone: u64, known: u64) -> Result<()> {
    let (share, stream) = (u128::from(plan.max_deletes), &plan.outline.name);
    let is_believed = gone <= FEW || u128::from(gone) * 100 <= u128::from(known) * share;
    if is_believed || !plan.deletes_vanished() {
        return Ok(());
    }
    Err(Error::conflict(format!(
        "{gone} of {known} records of stream `{stream}` are gone, which is more than `max_deletes: {share}%` allows: nothing has been \
         deleted"
    ))
    .hint(format!(
        "look at the source: an account that sees less, or a filter, looks the same; if they are really gone, raise `max_deletes` for a \
         run, or read the stream anew: `tidemark resync FILE --stream {stream}`"
    ))
    .of_stream(stream))
}
