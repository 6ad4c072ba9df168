//! How much memory arrays take.

use arrow_array::{Array, cast::AsArray};
use arrow_schema::DataType;

/// About how many bytes of memory `array` takes: of a slice, its own part. (What the library says of a slice of lists counts the elements
/// of all lists that it was cut from.)
pub(crate) fn slice_bytes(array: &dyn Array) -> usize {
    let nulls = array.nulls().map_or(0, |_| array.len().div_ceil(8));
    match array.data_type() {
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let offsets = list.value_offsets();
            let (first, last) = (offsets.first().copied().unwrap_or(0), offsets.last().copied().unwrap_or(0));
            let elements = list.values().slice(first as usize, (last - first) as usize);
            size_of_val(offsets) + nulls + slice_bytes(elements.as_ref())
        }
        DataType::Struct(_) => {
            let columns = array.as_struct().columns().iter();
            nulls + columns.map(|column| slice_bytes(column.as_ref())).sum::<usize>()
        }
        _ => array.to_data().get_slice_memory_size().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, ListArray, StructArray, types::Int32Type};
    use arrow_schema::Field;

    use super::*;

    #[test]
    fn a_slice_takes_what_its_own_lists_take() {
        let rows = (0..1_000).map(|_| Some(vec![Some(7); 100]));
        let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(rows));
        let field = Arc::new(Field::new("lists", lists.data_type().clone(), true));
        let nested: ArrayRef = Arc::new(StructArray::from(vec![(field, lists.clone())]));
        for array in [lists, nested] {
            let (whole, one) = (slice_bytes(array.as_ref()), slice_bytes(array.slice(500, 1).as_ref()));
            assert!((400_000..500_000).contains(&whole), "{whole}");
            assert!((400..500).contains(&one), "{one}");
        }
    }
}
