//! Truncates on their way to a destination.

use arrow_array::BooleanArray;

use super::{Delivery, OnTruncate};
use crate::{Error, Result, change::Op, read::Phase};

/// What a destination is given of `delivery`. The truncate with which an initial sync begins anew is always among it.
pub(super) fn treated(delivery: Delivery, on_truncate: OnTruncate) -> Result<Option<Delivery>> {
    let ops = delivery.changes.columns().ops.values();
    let truncate = Op::Truncate.letter();
    let as_it_is = on_truncate == OnTruncate::Apply || delivery.phase == Phase::InitialSync;
    if as_it_is || !ops.contains(&truncate) {
        return Ok(Some(delivery));
    }
    if on_truncate == OnTruncate::Stop {
        let stream = delivery.changes.schema().stream();
        return Err(Error::conflict(format!("stream `{stream}` was truncated at its source"))
            .hint("set `on_truncate` to `apply`, to empty it here too, or to `ignore`, to keep its records, and run again")
            .of_stream(stream));
    }
    let others: BooleanArray = ops.iter().map(|op| Some(*op != truncate)).collect();
    let changes = delivery.changes.filter(&others)?;
    Ok((changes.rows() > 0).then_some(Delivery { changes, ..delivery }))
}

#[cfg(test)]
mod tests {
    use arrow_array::UInt8Array;

    use super::*;
    use crate::{
        ErrorKind,
        change::{ChangeBatch, Columns},
        contract::{samples::numbered_rows, write::delivery},
    };

    fn truncated(phase: Phase) -> Delivery {
        let rows = numbered_rows("a", 0, 3).numbered_from(0);
        let ops = UInt8Array::from_iter_values([Op::Create, Op::Truncate, Op::Create].map(Op::letter));
        let columns = Columns { ops, ..rows.columns().clone() };
        let changes = ChangeBatch::new(rows.schema().clone(), columns).unwrap().numbered_from(0);
        Delivery { phase, ..delivery(1, changes) }
    }

    fn rows(delivery: Delivery, on_truncate: OnTruncate) -> usize {
        treated(delivery, on_truncate).unwrap().map_or(0, |delivery| delivery.changes.rows())
    }

    #[test]
    fn a_truncate_is_applied_ignored_or_held() {
        assert_eq!(rows(truncated(Phase::Changes), OnTruncate::Apply), 3);
        assert_eq!(rows(truncated(Phase::Changes), OnTruncate::Ignore), 2);
        let error = treated(truncated(Phase::Changes), OnTruncate::Stop).unwrap_err();
        assert_eq!((error.kind(), error.stream().is_some()), (ErrorKind::Conflict, true));
        for on_truncate in [OnTruncate::Apply, OnTruncate::Ignore, OnTruncate::Stop] {
            assert_eq!(rows(truncated(Phase::InitialSync), on_truncate), 3, "an initial sync begins anew");
        }
    }
}
