//! Blobs that have been cut, changed or made up.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, LargeStringArray, RecordBatch, TimestampMicrosecondArray, TimestampNanosecondArray,
};
use bytes::Bytes;
use proptest::prelude::*;

use super::{changes, read};
use crate::{
    ErrorKind,
    codec::{Format, encode_all},
    contract::samples,
};

fn blob(format: Format) -> Bytes {
    let record = samples::everything().to_record_batch().unwrap();
    encode_all(format, record.schema_ref(), std::slice::from_ref(&record)).unwrap()
}

#[test]
fn a_blob_that_is_cut_anywhere_is_refused() {
    for format in Format::ALL {
        let whole = blob(format);
        for length in 0..whole.len() {
            let error = read(format, whole.slice(..length)).expect_err("a part of it was read");
            assert_eq!(error.kind(), ErrorKind::Conflict, "{format:?}, {length} of {}: {error}", whole.len());
        }
    }
}

#[test]
fn columns_that_no_changes_have_are_refused() {
    let times = || TimestampMicrosecondArray::from(vec![0]);
    let strange: [ArrayRef; 5] = [
        Arc::new(times().with_timezone("")),
        Arc::new(times().with_timezone("+01:00")),
        Arc::new(times().with_timezone("Europe/Zurich")),
        Arc::new(TimestampNanosecondArray::from(vec![0])),
        Arc::new(LargeStringArray::from(vec!["a"])),
    ];
    for format in Format::ALL {
        for column in &strange {
            let batch = RecordBatch::try_from_iter([("c", column.clone())]).unwrap();
            let kind = column.data_type();
            assert!(encode_all(format, &batch.schema(), &[batch]).is_err(), "{format:?} takes {kind}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// A blob is verified before it is decoded, so what it gives then is nobody's business; but it ends.
    #[test]
    fn a_blob_that_was_changed_is_read_or_refused(
        batch in changes::any(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1..=255u8), 1..4),
    ) {
        let record = batch.to_record_batch().unwrap();
        for format in Format::ALL {
            let whole = encode_all(format, record.schema_ref(), std::slice::from_ref(&record)).unwrap();
            let mut damaged = whole.to_vec();
            for (at, flip) in &flips {
                let at = at.index(damaged.len());
                damaged[at] ^= flip;
            }
            if let Err(error) = read(format, damaged.into()) {
                prop_assert_eq!(error.kind(), ErrorKind::Conflict);
            }
        }
    }
}
