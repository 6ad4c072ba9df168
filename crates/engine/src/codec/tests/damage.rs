//! Blobs that have been cut, changed or made up.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, TimestampMicrosecondArray};
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
fn times_of_another_zone_are_refused() {
    for format in Format::ALL {
        for zone in ["", "+01:00", "Europe/Zurich"] {
            let times = TimestampMicrosecondArray::from(vec![0]).with_timezone(zone);
            let batch = RecordBatch::try_from_iter([("at", Arc::new(times) as ArrayRef)]).unwrap();
            let error =
                encode_all(format, batch.schema_ref(), &[batch.clone()]).and_then(|blob| read(format, blob));
            assert!(error.is_err(), "{format:?} takes `{zone}`");
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
