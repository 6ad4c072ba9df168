//! Batches that have something of everything.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray, Float32Array,
    Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, ListArray, StringArray,
    Time64MicrosecondArray, TimestampMicrosecondArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
    types::Int32Type,
};
use arrow_buffer::BooleanBuffer;

use crate::{
    change::{Before, BitmapBuilder, ChangeBatch, Columns, ExceptionsBuilder, Op},
    schema::{Field, Kind, StreamName, StreamSchema},
};

/// A batch of four changes (`r`, `c`, `u`, `d`) whose schema has every [`Kind`], with extreme values, NULLs, unchanged
/// columns, exceptions, values before, positions, times and transactions; numbered from 0.
pub fn everything() -> ChangeBatch {
    let columns: Vec<(&str, Kind, ArrayRef)> = vec![
        ("id", Kind::Int64, Arc::new(Int64Array::from(vec![i64::MIN, -1, 0, i64::MAX]))),
        ("bool", Kind::Bool, Arc::new(BooleanArray::from(vec![Some(true), Some(false), None, None]))),
        ("int8", Kind::Int8, Arc::new(Int8Array::from(vec![Some(i8::MIN), Some(i8::MAX), None, None]))),
        ("int16", Kind::Int16, Arc::new(Int16Array::from(vec![Some(i16::MIN), Some(i16::MAX), None, None]))),
        ("int32", Kind::Int32, Arc::new(Int32Array::from(vec![Some(i32::MIN), Some(i32::MAX), None, None]))),
        ("uint8", Kind::UInt8, Arc::new(UInt8Array::from(vec![Some(0), Some(u8::MAX), None, None]))),
        ("uint16", Kind::UInt16, Arc::new(UInt16Array::from(vec![Some(0), Some(u16::MAX), None, None]))),
        ("uint32", Kind::UInt32, Arc::new(UInt32Array::from(vec![Some(0), Some(u32::MAX), None, None]))),
        ("uint64", Kind::UInt64, Arc::new(UInt64Array::from(vec![Some(0), Some(u64::MAX), None, None]))),
        (
            "float32",
            Kind::Float32,
            Arc::new(Float32Array::from(vec![Some(f32::NAN), Some(-0.0), None, Some(0.1)])),
        ),
        (
            "float64",
            Kind::Float64,
            Arc::new(Float64Array::from(vec![
                Some(f64::NEG_INFINITY),
                Some(f64::MIN_POSITIVE),
                None,
                Some(0.1),
            ])),
        ),
        (
            "decimal",
            Kind::Decimal { precision: 38, scale: 2 },
            Arc::new(
                Decimal128Array::from(vec![Some(10i128.pow(38) - 1), Some(-5), None, None])
                    .with_precision_and_scale(38, 2)
                    .expect("38 digits fit"),
            ),
        ),
        (
            "number",
            Kind::Number,
            Arc::new(StringArray::from(vec![
                Some("1.10"),
                Some("-123456789012345678901234567890.5"),
                None,
                None,
            ])),
        ),
        (
            "text",
            Kind::Text,
            Arc::new(StringArray::from(vec![Some(""), Some("naïve\n\u{1F30A}\0"), None, None])),
        ),
        (
            "bytes",
            Kind::Bytes,
            Arc::new(BinaryArray::from(vec![Some(&b""[..]), Some(b"\0\xff"), None, None])),
        ),
        (
            "date",
            Kind::Date,
            Arc::new(Date32Array::from(vec![Some(-719_528), Some(0), None, Some(2_932_896)])),
        ),
        (
            "time",
            Kind::Time,
            Arc::new(Time64MicrosecondArray::from(vec![Some(0), Some(86_399_999_999), None, None])),
        ),
        (
            "timestamp",
            Kind::Timestamp,
            Arc::new(TimestampMicrosecondArray::from(vec![
                Some(-1),
                Some(253_402_300_799_999_999),
                None,
                None,
            ])),
        ),
        (
            "timestamptz",
            Kind::TimestampTz,
            Arc::new(
                TimestampMicrosecondArray::from(vec![Some(0), Some(1_357_016_400_000_000), None, None])
                    .with_timezone("UTC"),
            ),
        ),
        (
            "interval",
            Kind::Interval,
            Arc::new(StringArray::from(vec![Some("P14M3DT-0.5S"), None, None, None])),
        ),
        (
            "uuid",
            Kind::Uuid,
            Arc::new(
                FixedSizeBinaryArray::try_from_sparse_iter_with_size(
                    [Some([0x11; 16]), Some([0xff; 16]), None, None].into_iter(),
                    16,
                )
                .expect("16 bytes each"),
            ),
        ),
        (
            "json",
            Kind::Json,
            Arc::new(StringArray::from(vec![Some("{\"b\": 1.0, \"a\" :[null]}"), Some("null"), None, None])),
        ),
        (
            "enum",
            Kind::Enum { labels: vec!["low".into(), "high".into()] },
            Arc::new(StringArray::from(vec![Some("low"), Some("high"), None, None])),
        ),
        (
            "list",
            Kind::List { of: Box::new(Kind::Int32) },
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(vec![
                Some(vec![Some(1), None]),
                Some(vec![]),
                None,
                None,
            ])),
        ),
        (
            "inet",
            Kind::Other { name: "inet".into() },
            Arc::new(StringArray::from(vec![Some("10.0.0.0/8"), Some("::1"), None, None])),
        ),
    ];
    let fields = columns.iter().map(|(name, kind, _)| Field::new(*name, kind.clone())).collect::<Vec<_>>();
    let width = fields.len();
    let schema = StreamSchema::new(StreamName::new("every/thing"), fields, vec!["id".into()]);
    let values: Vec<ArrayRef> = columns.into_iter().map(|(_, _, array)| array).collect();

    // Row 2, the update, leaves `text` unchanged, has an infinite date, and had NaN as its decimal before.
    let (mut unchanged, mut unknown) = (BitmapBuilder::new(width), BitmapBuilder::new(width));
    let mut exceptions = ExceptionsBuilder::new();
    for row in 0..4 {
        if row == 2 {
            unchanged.set(13);
            exceptions.add(15, "infinity");
            exceptions.add(width + 11, "NaN");
            unknown.set(14);
        }
        unchanged.end_row();
        unknown.end_row();
        exceptions.end_row();
    }
    let columns = Columns {
        ops: UInt8Array::from_iter_values([Op::Read, Op::Create, Op::Update, Op::Delete].map(Op::letter)),
        source_positions: Some(BinaryArray::from(vec![Some(&[1][..]), Some(&[2]), Some(&[2, 0]), None])),
        source_times: Some(TimestampMicrosecondArray::from(vec![None, Some(1), Some(2), Some(3)])),
        transactions: Some(StringArray::from(vec![None, Some("7"), Some("7"), Some("8")])),
        unchanged: unchanged.finish(),
        exceptions: exceptions.finish(),
        before: Some(Before {
            present: BooleanBuffer::from(vec![false, false, true, false]),
            unknown: unknown.finish(),
            values: values.clone(),
        }),
        values,
    };
    ChangeBatch::new(schema.expect("the schema is sound"), columns)
        .expect("the batch is sound")
        .numbered_from(0)
}

/// `rows` creates of stream `name` with an `id` counted from `first` and a text; not numbered.
pub fn numbered_rows(name: &str, first: i64, rows: usize) -> ChangeBatch {
    let ids = first..first + i64::try_from(rows).expect("a sample is small");
    rows_of(name, ids.map(|id| (id, format!("row {id}"))).collect())
}

/// `rows` creates of stream `name` that all have the same `text`; not numbered.
pub fn repeated(name: &str, text: &str, rows: usize) -> ChangeBatch {
    rows_of(name, (0..).map(|id| (id, text.to_owned())).take(rows).collect())
}

/// `rows` creates of stream `name` whose texts do not compress; not numbered.
pub fn distinct(name: &str, rows: usize) -> ChangeBatch {
    let text = |id: i64| format!("{:016x}", id.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15));
    rows_of(name, (0..).map(|id| (id, text(id))).take(rows).collect())
}

/// `rows` creates of a table of orders with twelve typed columns, about 233 bytes each; numbered from 0. What is measured is
/// measured on them.
pub fn orders(rows: usize) -> ChangeBatch {
    let fields = vec![
        Field::new("id", Kind::Int64).required(),
        Field::new("reference", Kind::Uuid).required(),
        Field::new("total", Kind::Decimal { precision: 12, scale: 2 }).required(),
        Field::new("created", Kind::TimestampTz).required(),
        Field::new("due", Kind::Date).required(),
        Field::new("paid", Kind::Bool).required(),
        Field::new("quantity", Kind::Int32).required(),
        Field::new("weight", Kind::Float64).required(),
        Field::new("customer", Kind::Text).required(),
        Field { source_type: Some("jsonb".into()), ..Field::new("details", Kind::Json) }.required(),
        Field::new("signature", Kind::Bytes).required(),
        Field::new("note", Kind::Text),
    ];
    let schema = StreamSchema::new(StreamName::new("public.orders"), fields, vec!["id".into()])
        .expect("the schema is sound");
    let ids = || 1..=i64::try_from(rows).expect("a sample is small");
    let hash = |id: i64| blake3::hash(&id.to_le_bytes());
    let references = ids().map(|id| hash(id).as_bytes()[..16].to_vec());
    let channel = |id: i64| ["web", "shop", "phone"][id.unsigned_abs() as usize % 3];
    let details = |id: i64| {
        format!("{{\"channel\": \"{}\", \"items\": {}, \"priority\": {}}}", channel(id), id % 9, id % 7 == 0)
    };
    let note =
        |id: i64| (id % 2 == 0).then(|| format!("Please ring twice, then leave it at number {}", id % 1_000));
    let values: Vec<ArrayRef> = vec![
        Arc::new(ids().collect::<Int64Array>()),
        Arc::new(FixedSizeBinaryArray::try_from_iter(references).expect("each has 16 bytes")),
        Arc::new(
            ids()
                .map(|id| i128::from(id * 7_919 % 100_000_000))
                .collect::<Decimal128Array>()
                .with_precision_and_scale(12, 2)
                .expect("twelve digits fit"),
        ),
        Arc::new(
            ids()
                .map(|id| Some(1_767_225_600_000_000 + id * 1_250_000))
                .collect::<TimestampMicrosecondArray>()
                .with_timezone("UTC"),
        ),
        Arc::new(ids().map(|id| Some(20_454 + (id % 365) as i32)).collect::<Date32Array>()),
        Arc::new(ids().map(|id| Some(id % 3 == 0)).collect::<BooleanArray>()),
        Arc::new(ids().map(|id| (id % 100) as i32).collect::<Int32Array>()),
        Arc::new(ids().map(|id| id as f64 * 0.37).collect::<Float64Array>()),
        Arc::new(StringArray::from_iter_values(
            ids().map(|id| format!("Customer {}", &hash(id % 10_000).to_hex()[..32])),
        )),
        Arc::new(StringArray::from_iter_values(ids().map(details))),
        Arc::new(BinaryArray::from_iter_values(ids().map(|id| *hash(id).as_bytes()))),
        Arc::new(ids().map(note).collect::<StringArray>()),
    ];
    ChangeBatch::uniform(schema, Op::Create, values).expect("the batch is sound").numbered_from(0)
}

/// `rows` creates of stream `name` under a schema with one column more; not numbered.
pub fn widened(name: &str, rows: usize) -> ChangeBatch {
    let narrow = repeated(name, "wide", rows);
    let mut fields = narrow.schema().fields().to_vec();
    fields.push(Field::new("more", Kind::Bool));
    let schema =
        StreamSchema::new(StreamName::new(name), fields, vec!["id".into()]).expect("the schema is sound");
    let mut values = narrow.columns().values.clone();
    values.push(Arc::new(BooleanArray::from(vec![true; rows])));
    ChangeBatch::uniform(schema, Op::Create, values).expect("the batch is sound")
}

fn rows_of(name: &str, rows: Vec<(i64, String)>) -> ChangeBatch {
    let fields = vec![Field::new("id", Kind::Int64).required(), Field::new("text", Kind::Text)];
    let schema =
        StreamSchema::new(StreamName::new(name), fields, vec!["id".into()]).expect("the schema is sound");
    let (ids, texts): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
    let values: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(ids)), Arc::new(StringArray::from(texts))];
    ChangeBatch::uniform(schema, Op::Create, values).expect("the batch is sound")
}
