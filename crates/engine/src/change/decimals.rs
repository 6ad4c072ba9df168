//! Decimals that are longer than their column's type says. Arrow stores them all the same; Parquet cuts them off without a word.

use arrow_array::Array;
use arrow_data::ArrayData;
use arrow_schema::DataType;

/// Whether the decimals of `array`, and those inside its values, have no more digits than their types say. Those of another width
/// than ours are no column's and never do.
pub fn decimals_fit(array: &dyn Array) -> bool {
    fit(&array.to_data())
}

fn fit(data: &ArrayData) -> bool {
    let own = match data.data_type() {
        DataType::Decimal128(precision, _) => {
            let digits = &data.buffer::<i128>(0)[..data.len()];
            let beyond = 10_u128.checked_pow(u32::from(*precision));
            let fits = |digits: &i128| beyond.is_none_or(|beyond| digits.unsigned_abs() < beyond);
            match data.nulls() {
                None => digits.iter().all(fits),
                Some(nulls) => nulls.valid_indices().all(|row| fits(&digits[row])),
            }
        }
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal256(..) => false,
        _ => true,
    };
    own && data.child_data().iter().all(fit)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Decimal64Array, Decimal128Array, Int32Array, ListArray, StructArray};
    use arrow_buffer::OffsetBuffer;
    use arrow_schema::Field;

    use super::*;

    fn decimals(precision: u8, digits: &[Option<i128>]) -> Decimal128Array {
        Decimal128Array::from(digits.to_vec()).with_precision_and_scale(precision, 2).unwrap()
    }

    #[test]
    fn a_decimal_has_the_digits_of_its_type_and_no_more() {
        for (precision, longest) in [(3, 999), (38, 10_i128.pow(38) - 1)] {
            let fits = |digits| decimals_fit(&decimals(precision, &[Some(0), None, Some(digits)]));
            assert!(fits(longest) && fits(-longest));
            assert!(!fits(longest + 1) && !fits(-longest - 1) && !fits(i128::MIN));
        }
        assert!(decimals_fit(&Int32Array::from(vec![i32::MAX])));
        assert!(!decimals_fit(&Decimal64Array::from(vec![1])));
    }

    #[test]
    fn what_is_not_there_is_not_looked_at() {
        let behind = decimals(3, &[Some(1), Some(1_000)]);
        assert!(decimals_fit(&behind.slice(0, 1)) && !decimals_fit(&behind.slice(1, 1)));
        let (_, values, _) = behind.into_parts();
        let null = Decimal128Array::new(values, Some(vec![true, false].into()));
        assert!(decimals_fit(&null.with_precision_and_scale(3, 2).unwrap()));
    }

    #[test]
    fn decimals_inside_of_values_are_looked_at() {
        for (digits, expected) in [(999, true), (1_000, false)] {
            let inner: ArrayRef = Arc::new(decimals(3, &[Some(digits)]));
            let item = Arc::new(Field::new("item", inner.data_type().clone(), true));
            let list = ListArray::new(item.clone(), OffsetBuffer::from_lengths([1]), inner.clone(), None);
            assert_eq!(decimals_fit(&list), expected);
            assert_eq!(decimals_fit(&StructArray::from(vec![(item, inner)])), expected);
        }
    }
}
