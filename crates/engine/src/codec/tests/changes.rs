//! Changes of any schema, with any values.

use std::{collections::HashSet, sync::Arc};

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray, Float32Array,
    Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, ListArray, StringArray,
    Time64MicrosecondArray, TimestampMicrosecondArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use arrow_buffer::{BooleanBuffer, OffsetBuffer};
use arrow_schema::Field as ArrowField;
use proptest::{collection::vec, option, prelude::*};

use crate::{
    change::{Before, Bitmap, BitmapBuilder, ChangeBatch, Columns, Exceptions, ExceptionsBuilder, Op},
    schema::{Field, Kind, RESERVED_PREFIX, StreamName, StreamSchema},
};

/// A batch of up to 12 changes in up to 8 columns.
pub(super) fn any() -> impl Strategy<Value = ChangeBatch> {
    (fields(), 0..12usize).prop_flat_map(|(fields, rows)| batch(fields, rows))
}

fn fields() -> impl Strategy<Value = Vec<Field>> {
    vec((name(), kind()), 1..8).prop_map(|fields| {
        let mut seen = HashSet::new();
        let distinct = fields.into_iter().filter(|(name, _)| seen.insert(name.clone()));
        distinct.map(|(name, kind)| Field::new(name, kind)).collect()
    })
}

fn name() -> impl Strategy<Value = String> {
    let name = prop_oneof!["[a-z]{1,6}", "(_|x|0|a|xml|item|change|\"|\\\\|<|&|\\PC|\\p{Cc}){0,6}"];
    name.prop_filter("it is reserved", |name| !name.starts_with(RESERVED_PREFIX))
}

fn kind() -> impl Strategy<Value = Kind> {
    let plain = prop_oneof![
        Just(Kind::Bool),
        Just(Kind::Int8),
        Just(Kind::Int16),
        Just(Kind::Int32),
        Just(Kind::Int64),
        Just(Kind::UInt8),
        Just(Kind::UInt16),
        Just(Kind::UInt32),
        Just(Kind::UInt64),
        Just(Kind::Float32),
        Just(Kind::Float64),
        (1..=38u8)
            .prop_flat_map(|precision| (Just(precision), 0..=precision as i8))
            .prop_map(|(precision, scale)| Kind::Decimal { precision, scale }),
        Just(Kind::Number),
        Just(Kind::Text),
        Just(Kind::Json),
        Just(Kind::Bytes),
        Just(Kind::Date),
        Just(Kind::Time),
        Just(Kind::Timestamp),
        Just(Kind::TimestampTz),
        Just(Kind::Uuid),
        Just(Kind::Other { name: "inet".into() }),
    ];
    plain.prop_recursive(3, 3, 1, |of| of.prop_map(|of| Kind::List { of: Box::new(of) }))
}

fn batch(fields: Vec<Field>, rows: usize) -> impl Strategy<Value = ChangeBatch> {
    let width = fields.len();
    let ops =
        vec(prop::sample::select(vec![Op::Read, Op::Create, Op::Update, Op::Delete, Op::Truncate]), rows);
    let values = || fields.iter().map(|field| array(&field.kind, rows)).collect::<Vec<_>>();
    let source = (
        option::of(vec(option::of(vec(any_byte(), 0..5)), rows)),
        option::of(vec(option::of(any_i64()), rows)),
        option::of(vec(option::of(text()), rows)),
    );
    let before = option::of((vec(proptest::bool::ANY, rows), bitmap(width, rows), values()));
    let absent = (bitmap(width, rows), exceptions(width, rows));
    let ordinals = vec(proptest::num::u64::ANY, rows);
    (ops, source, absent, before, values(), ordinals).prop_map(
        move |(ops, (positions, times, transactions), (unchanged, exceptions), before, values, ordinals)| {
            let columns = Columns {
                ops: ops.into_iter().map(Op::letter).collect::<Vec<_>>().into(),
                source_positions: positions.map(|positions| positions.iter().map(Option::as_deref).collect()),
                source_times: times.map(Into::into),
                transactions: transactions.map(Into::into),
                unchanged,
                exceptions,
                values,
                before: before.map(|(present, unknown, values)| Before {
                    present: BooleanBuffer::from(present),
                    unknown,
                    values,
                }),
            };
            let schema = StreamSchema::new(StreamName::new("any"), fields.clone(), vec![]).unwrap();
            ChangeBatch::new(schema, columns).unwrap().with_ordinals(ordinals.into())
        },
    )
}

fn bitmap(width: usize, rows: usize) -> impl Strategy<Value = Option<Bitmap>> {
    vec(vec(proptest::bool::weighted(0.3), width), rows).prop_map(move |sets| {
        let mut bitmap = BitmapBuilder::new(width);
        for set in sets {
            set.iter().enumerate().filter(|(_, is_in)| **is_in).for_each(|(column, _)| bitmap.set(column));
            bitmap.end_row();
        }
        bitmap.finish()
    })
}

fn exceptions(width: usize, rows: usize) -> impl Strategy<Value = Option<Exceptions>> {
    vec(vec((0..2 * width, text()), 0..2), rows).prop_map(|rows| {
        let mut exceptions = ExceptionsBuilder::new();
        for row in rows {
            row.iter().for_each(|(column, text)| exceptions.add(*column, text));
            exceptions.end_row();
        }
        exceptions.finish()
    })
}

/// `rows` values of `kind`, some of them NULL.
fn array(kind: &Kind, rows: usize) -> BoxedStrategy<ArrayRef> {
    fn of<T: std::fmt::Debug, A: From<Vec<Option<T>>> + arrow_array::Array + 'static>(
        value: impl Strategy<Value = T> + 'static,
        rows: usize,
    ) -> BoxedStrategy<ArrayRef> {
        vec(option::weighted(0.7, value), rows)
            .prop_map(|values| Arc::new(A::from(values)) as ArrayRef)
            .boxed()
    }
    match kind {
        Kind::Bool => of::<_, BooleanArray>(proptest::bool::ANY, rows),
        Kind::Int8 => of::<_, Int8Array>(proptest::num::i8::ANY, rows),
        Kind::Int16 => of::<_, Int16Array>(proptest::num::i16::ANY, rows),
        Kind::Int32 => of::<_, Int32Array>(proptest::num::i32::ANY, rows),
        Kind::Int64 => of::<_, Int64Array>(any_i64(), rows),
        Kind::UInt8 => of::<_, UInt8Array>(any_byte(), rows),
        Kind::UInt16 => of::<_, UInt16Array>(proptest::num::u16::ANY, rows),
        Kind::UInt32 => of::<_, UInt32Array>(proptest::num::u32::ANY, rows),
        Kind::UInt64 => of::<_, UInt64Array>(proptest::num::u64::ANY, rows),
        Kind::Float32 => of::<_, Float32Array>(single(), rows),
        Kind::Float64 => of::<_, Float64Array>(float(), rows),
        Kind::Decimal { precision, scale } => decimals(*precision, *scale, rows),
        Kind::Bytes => vec(option::of(vec(any_byte(), 0..8)), rows)
            .prop_map(|values| {
                Arc::new(values.iter().map(Option::as_deref).collect::<BinaryArray>()) as ArrayRef
            })
            .boxed(),
        Kind::Date => of::<_, Date32Array>(proptest::num::i32::ANY, rows),
        Kind::Time => of::<_, Time64MicrosecondArray>(prop_oneof![0..=86_400_000_000i64, any_i64()], rows),
        Kind::Timestamp => of::<_, TimestampMicrosecondArray>(moment(), rows),
        Kind::TimestampTz => vec(option::of(moment()), rows)
            .prop_map(|values| {
                Arc::new(TimestampMicrosecondArray::from(values).with_timezone("UTC")) as ArrayRef
            })
            .boxed(),
        Kind::Uuid => vec(option::of(proptest::array::uniform16(any_byte())), rows)
            .prop_map(|values| {
                let ids = FixedSizeBinaryArray::try_from_sparse_iter_with_size(values.into_iter(), 16);
                Arc::new(ids.unwrap()) as ArrayRef
            })
            .boxed(),
        Kind::List { of } => lists(of.as_ref().clone(), rows),
        _ => of::<_, StringArray>(text(), rows),
    }
}

fn decimals(precision: u8, scale: i8, rows: usize) -> BoxedStrategy<ArrayRef> {
    let limit = 10i128.pow(u32::from(precision));
    vec(option::of(prop_oneof![-limit + 1..limit, -9..10i128].prop_map(move |value| value % limit)), rows)
        .prop_map(move |values| {
            let decimals = Decimal128Array::from(values).with_precision_and_scale(precision, scale);
            Arc::new(decimals.unwrap()) as ArrayRef
        })
        .boxed()
}

fn lists(of: Kind, rows: usize) -> BoxedStrategy<ArrayRef> {
    vec(option::of(0..4usize), rows)
        .prop_flat_map(move |lengths| {
            let elements = array(&of, lengths.iter().flatten().sum());
            let field = Arc::new(ArrowField::new("item", of.arrow(), true));
            elements.prop_map(move |elements| {
                let offsets = OffsetBuffer::from_lengths(lengths.iter().map(|length| length.unwrap_or(0)));
                let present = lengths.iter().map(Option::is_some).collect::<Vec<_>>();
                Arc::new(ListArray::new(field.clone(), offsets, elements, Some(present.into()))) as ArrayRef
            })
        })
        .boxed()
}

/// What is hard on a format: quotes, control characters, what looks like an escape, spaces at the ends.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "(_x|0041_|\\\\|\"|'|<|>|&amp;|]]>|\\PC|\\p{Cc}|\r\n|\u{2028}|\u{fffe}|\u{ffff}| |null){0,8}",
        1 => ".{0,20}",
    ]
}

fn moment() -> impl Strategy<Value = i64> {
    prop_oneof![-4_000_000_000_000_000..4_000_000_000_000_000i64, any_i64()]
}

/// Bits, not numbers: NaN has more than one pattern.
fn float() -> impl Strategy<Value = f64> {
    let special = [-0.0, 0.1, f64::INFINITY, f64::NEG_INFINITY, 5e-324, f64::MAX].map(f64::to_bits);
    let nan = [f64::NAN.to_bits(), u64::MAX, 0x7FF0_0000_0000_0001, 0xFFF8_0000_0000_0000];
    let bits = prop::sample::select([&special[..], &nan].concat());
    prop_oneof![bits, proptest::num::u64::ANY].prop_map(f64::from_bits)
}

fn single() -> impl Strategy<Value = f32> {
    let special =
        [-0.0, 0.1, f32::INFINITY, f32::NEG_INFINITY, f32::MIN_POSITIVE, f32::MAX].map(f32::to_bits);
    let nan = [f32::NAN.to_bits(), u32::MAX, 0x7F80_0001, 0xFFC0_0000];
    let bits = prop::sample::select([&special[..], &nan].concat());
    prop_oneof![bits, proptest::num::u32::ANY].prop_map(f32::from_bits)
}

fn any_byte() -> impl Strategy<Value = u8> {
    proptest::num::u8::ANY
}

fn any_i64() -> impl Strategy<Value = i64> {
    prop_oneof![Just(i64::MIN), Just(i64::MAX), proptest::num::i64::ANY]
}
