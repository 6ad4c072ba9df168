//! Every codec on changes of any schema: nothing changes on the way, and what has been damaged is no reason to panic.

mod changes;
mod damage;
mod dictionaries;
mod speed;

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use proptest::prelude::*;

use super::{Format, encode_all};
use crate::{ErrorKind, Result, change::ChangeBatch, contract};

/// The changes of `blob`, as they are stored.
fn read(format: Format, blob: bytes::Bytes) -> Result<Vec<RecordBatch>> {
    format.codec().decode(blob)?.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_is_read_is_what_was_written((batch, cuts) in (changes::any(), prop::collection::vec(any::<prop::sample::Index>(), 0..3))) {
        let schema = batch.schema().clone();
        let whole = batch.to_record_batch().unwrap();
        for format in Format::ALL {
            let blob = encode_all(format, whole.schema_ref(), &slices(&whole, &cuts)).unwrap();
            let records = read(format, blob).unwrap();

            // As Arrow has it, bit by bit.
            let joined = concat_batches(whole.schema_ref(), &records).unwrap();
            prop_assert_eq!(&joined, &whole, "{:?}", format);
            // As the loops read it.
            let changes = records.iter().map(|record| ChangeBatch::from_record_batch(schema.clone(), record).unwrap());
            contract::codec::assert_same(&changes.collect::<Vec<_>>(), std::slice::from_ref(&batch));
        }
    }
}

/// `whole` in pieces that share its memory.
fn slices(whole: &RecordBatch, cuts: &[prop::sample::Index]) -> Vec<RecordBatch> {
    let rows = whole.num_rows();
    let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(rows + 1)).chain([rows]).collect();
    ends.sort_unstable();
    let begins = std::iter::once(0).chain(ends.clone());
    begins.zip(ends).map(|(begin, end)| whole.slice(begin, end - begin)).collect()
}

#[test]
fn columns_that_text_cannot_say_are_refused() {
    use arrow_schema::{DataType, Field, Schema};
    for data_type in
        [DataType::Float16, DataType::LargeUtf8, DataType::FixedSizeBinary(3), DataType::Decimal128(4, -2)]
    {
        let schema = Arc::new(Schema::new(vec![Field::new("a", data_type, true)]));
        for format in [Format::Jsonl, Format::Xml] {
            let error = format.codec().encode(schema.clone()).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Data);
            let error = error.to_string();
            assert!(error.contains("column `a`") && error.contains("has no text"), "{error}");
        }
    }
}

#[test]
fn a_decimal_that_is_too_long_is_kept_or_refused() {
    use arrow_array::{ArrayRef, Decimal128Array};
    // Of 12 digits eight bytes are written, in which this one is 0.
    let decimals = Decimal128Array::from(vec![1 << 71]).with_precision_and_scale(12, 2).unwrap();
    let batch = RecordBatch::try_from_iter([("a", Arc::new(decimals) as ArrayRef)]).unwrap();
    for format in Format::ALL {
        match encode_all(format, batch.schema_ref(), std::slice::from_ref(&batch)) {
            Ok(blob) => assert_eq!(read(format, blob).unwrap(), std::slice::from_ref(&batch), "{format:?}"),
            Err(error) => {
                assert_eq!((format, error.kind()), (Format::Parquet, ErrorKind::Data));
                assert_eq!(error.message(), "column `a` has a decimal that is too long");
            }
        }
    }
}

#[test]
fn lists_are_as_deep_as_documented_and_no_deeper() {
    use arrow_schema::{DataType, Field, Schema};
    let nested = |depth: usize| {
        let list = |inner, _| DataType::new_list(inner, true);
        let column = Field::new("a", (0..depth).fold(DataType::Int32, list), true);
        let before = DataType::Struct(vec![column.clone()].into());
        Arc::new(Schema::new(vec![Field::new(crate::change::reserved::BEFORE, before, true), column]))
    };
    for format in [Format::Jsonl, Format::Xml] {
        assert!(format.codec().encode(nested(59)).is_ok());
        assert_eq!(format.codec().encode(nested(60)).err().unwrap().kind(), ErrorKind::Data);
    }
}
