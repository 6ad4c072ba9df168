//! Batches from plain texts.

use std::sync::Arc;

use tidemark_engine::{
    arrow_array::{ArrayRef, Float64Array, Int32Array, Int64Array, StringArray, UInt8Array, UInt64Array},
    arrow_buffer::BooleanBuffer,
    change::{Before, BitmapBuilder, ChangeBatch, Columns, Op},
    schema::{Field, Kind, StreamName, StreamSchema},
};

/// What a change says of a column.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Said {
    Unchanged,
    Null,
    Text(String),
}

/// One change; the first columns are the key.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) op: Op,
    pub(super) old_key: Option<Vec<Said>>,
    pub(super) values: Vec<Said>,
}

impl Change {
    pub(super) fn create(values: impl Into<Vec<Said>>) -> Self {
        Self { op: Op::Create, old_key: None, values: values.into() }
    }

    pub(super) fn read(values: impl Into<Vec<Said>>) -> Self {
        Self { op: Op::Read, ..Self::create(values) }
    }

    pub(super) fn update(values: impl Into<Vec<Said>>) -> Self {
        Self { op: Op::Update, ..Self::create(values) }
    }

    pub(super) fn moved(from: impl ToString, values: impl Into<Vec<Said>>) -> Self {
        Self { old_key: Some(vec![text(from)]), ..Self::update(values) }
    }

    pub(super) fn delete(values: impl Into<Vec<Said>>) -> Self {
        Self { op: Op::Delete, ..Self::create(values) }
    }

    pub(super) fn truncate(width: usize) -> Self {
        Self { op: Op::Truncate, ..Self::create(vec![Said::Null; width]) }
    }
}

pub(super) fn text(text: impl ToString) -> Said {
    Said::Text(text.to_string())
}

pub(super) fn schema(stream: &str, fields: &[(&str, Kind)], key: &[&str]) -> Arc<StreamSchema> {
    let fields = fields.iter().map(|(name, kind)| Field::new(*name, kind.clone())).collect();
    StreamSchema::new(StreamName::new(stream), fields, key.iter().map(|name| name.to_string()).collect())
        .unwrap()
}

/// `id bigint, a text, b text` with key `id`.
pub(super) fn plain(stream: &str) -> Arc<StreamSchema> {
    schema(stream, &[("id", Kind::Int64), ("a", Kind::Text), ("b", Kind::Text)], &["id"])
}

pub(super) fn batch(schema: &Arc<StreamSchema>, changes: &[Change], first: u64) -> ChangeBatch {
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
    let values =
        columns(schema, |index| changes.iter().map(move |change| change.values.get(index)).collect());
    let present = changes.iter().map(|change| change.old_key.is_some()).collect::<Vec<_>>();
    let before = present.iter().any(|present| *present).then(|| {
        let mut unknown = BitmapBuilder::new(width);
        for _ in changes {
            (schema.key().len()..width).for_each(|index| unknown.set(index));
            unknown.end_row();
        }
        let values = columns(schema, |index| {
            changes.iter().map(|change| change.old_key.as_ref()?.get(index)).collect()
        });
        Before { present: BooleanBuffer::from(present), unknown: unknown.finish(), values }
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

fn columns<'a>(schema: &StreamSchema, column: impl Fn(usize) -> Vec<Option<&'a Said>>) -> Vec<ArrayRef> {
    let fields = schema.fields().iter().enumerate();
    let arrays = fields.map(|(index, field)| {
        let said = column(index);
        let texts = said.iter().map(|said| match said {
            Some(Said::Text(text)) => Some(text.as_str()),
            _ => None,
        });
        array(&field.kind, texts)
    });
    arrays.collect()
}

fn array<'a>(kind: &Kind, texts: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    match kind {
        Kind::Int64 => Arc::new(texts.map(|text| Some(text?.parse().unwrap())).collect::<Int64Array>()),
        Kind::Int32 => Arc::new(texts.map(|text| Some(text?.parse().unwrap())).collect::<Int32Array>()),
        Kind::Float64 => Arc::new(texts.map(|text| Some(text?.parse().unwrap())).collect::<Float64Array>()),
        _ => Arc::new(texts.collect::<StringArray>()),
    }
}
