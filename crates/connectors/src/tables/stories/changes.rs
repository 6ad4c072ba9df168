//! Batches from plain texts.

use std::sync::Arc;

use tidemark_engine::{
    arrow_array::{ArrayRef, Float64Array, Int64Array, StringArray, UInt8Array, UInt64Array},
    arrow_buffer::BooleanBuffer,
    change::{Before, BitmapBuilder, ChangeBatch, Columns, Op},
    schema::{Field, Kind, StreamName, StreamSchema},
};

/// What a change says of a column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Said {
    Unchanged,
    Null,
    Text(String),
}

/// One change; the first column is the key.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) op: Op,
    pub(crate) old_key: Option<i64>,
    pub(crate) values: Vec<Said>,
}

pub(crate) fn text(text: impl ToString) -> Said {
    Said::Text(text.to_string())
}

pub(crate) fn schema(stream: &str, fields: &[(&str, Kind)], key: &[&str]) -> Arc<StreamSchema> {
    let fields = fields.iter().map(|(name, kind)| Field::new(*name, kind.clone())).collect();
    StreamSchema::new(StreamName::new(stream), fields, key.iter().map(|name| name.to_string()).collect())
        .unwrap()
}

pub(crate) fn batch(schema: &Arc<StreamSchema>, changes: &[Change], first: u64) -> ChangeBatch {
    let width = schema.fields().len();
    let mut unchanged = BitmapBuilder::new(width);
    for change in changes {
        for (index, value) in change.values.iter().enumerate() {
            if *value == Said::Unchanged {
                unchanged.set(index);
            }
        }
        unchanged.end_row();
    }
    let column = |index: usize| changes.iter().map(move |change| change.values.get(index));
    let values = schema.fields().iter().enumerate().map(|(index, field)| {
        let texts = column(index).map(|said| match said {
            Some(Said::Text(text)) => Some(text.as_str()),
            _ => None,
        });
        array(&field.kind, texts)
    });
    let values = values.collect::<Vec<_>>();
    let present = changes.iter().map(|change| change.old_key.is_some()).collect::<Vec<_>>();
    let before = present.iter().any(|present| *present).then(|| {
        let mut unknown = BitmapBuilder::new(width);
        for _ in changes {
            (1..width).for_each(|index| unknown.set(index));
            unknown.end_row();
        }
        let keys = changes.iter().map(|change| change.old_key.map(|key| key.to_string())).collect::<Vec<_>>();
        let values = schema.fields().iter().enumerate().map(|(index, field)| {
            let texts = keys.iter().map(|key| key.as_deref().filter(|_| index == 0));
            array(&field.kind, texts)
        });
        Before { present: BooleanBuffer::from(present), unknown: unknown.finish(), values: values.collect() }
    });
    let columns = Columns {
        ops: UInt8Array::from_iter_values(changes.iter().map(|change| change.op.letter())),
        source_positions: None,
        source_times: None,
        transactions: None,
        unchanged: unchanged.finish(),
        exceptions: None,
        values,
        before,
    };
    let ordinals = UInt64Array::from_iter_values(first..first + changes.len() as u64);
    ChangeBatch::new(schema.clone(), columns).unwrap().with_ordinals(ordinals)
}

fn array<'a>(kind: &Kind, texts: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    match kind {
        Kind::Int64 => Arc::new(texts.map(|text| Some(text?.parse().unwrap())).collect::<Int64Array>()),
        Kind::Float64 => Arc::new(texts.map(|text| Some(text?.parse().unwrap())).collect::<Float64Array>()),
        _ => Arc::new(texts.collect::<StringArray>()),
    }
}
