//! Doors for the fuzz targets, built for them alone: types without a server that knows them, and values of them.

use tidemark_engine::{
    change::{Cell, ChangeBatch},
    schema::Kind,
};

use super::{calendar, column_type::ColumnType, format::Format, interval::Interval, numeric, text};

/// Oids of types whose binary format is known, and one of a type that is known by its text alone (`inet`).
const TYPES: [u32; 19] =
    [16, 17, 20, 21, 23, 25, 26, 114, 700, 701, 869, 1082, 1083, 1114, 1184, 1186, 1700, 2950, 3802];

impl ColumnType {
    /// The type that a relation message calls `oid`: an array of it, where `modifier` is odd. Every oid makes one.
    pub(in crate::postgres) fn invented(oid: u32, modifier: i32) -> Self {
        let oid = if TYPES.contains(&oid) { oid } else { TYPES[oid as usize % TYPES.len()] };
        let (kind, format) = match Format::of_builtin(oid) {
            None => (Kind::Other { name: "inet".to_owned() }, Format::Opaque),
            Some(format) => (kind_of(&format, modifier), format),
        };
        let (kind, format) = if modifier != -1 && modifier & 1 == 1 {
            (Kind::List { of: Box::new(kind) }, Format::Array { of: Box::new(format), delimiter: ',' })
        } else {
            (kind, format)
        };
        Self { kind, declared: format!("{oid} {modifier}"), format, oid, modifier, output: String::new() }
    }
}

fn kind_of(format: &Format, modifier: i32) -> Kind {
    match format {
        Format::Bool => Kind::Bool,
        Format::Int2 => Kind::Int16,
        Format::Int4 => Kind::Int32,
        Format::Int8 => Kind::Int64,
        Format::Oid => Kind::UInt32,
        Format::Float4 => Kind::Float32,
        Format::Float8 => Kind::Float64,
        Format::Numeric if modifier == -1 => Kind::Number,
        Format::Numeric => Kind::Decimal { precision: 12, scale: 2 },
        Format::Json | Format::Jsonb => Kind::Json,
        Format::Bytea => Kind::Bytes,
        Format::Date => Kind::Date,
        Format::Time => Kind::Time,
        Format::Timestamp => Kind::Timestamp,
        Format::TimestampTz => Kind::TimestampTz,
        Format::Interval => Kind::Interval,
        Format::Uuid => Kind::Uuid,
        Format::Text | Format::Array { .. } | Format::Opaque => Kind::Text,
    }
}

/// Reads `text` in every way that a text of the server is read: what is read is written so that it is read again.
pub fn value(text: &str) {
    if let Some(days) = calendar::parse_date(text) {
        let mut written = String::new();
        calendar::write_date(days, &mut written);
        assert_eq!(calendar::parse_date(&written), Some(days), "{text} {written}");
    }
    if let Some(micros) = calendar::parse_time(text) {
        let mut written = String::new();
        calendar::write_time(micros, &mut written);
        assert_eq!(calendar::parse_time(&written), Some(micros), "{text} {written}");
    }
    for zone in ["", "+00"] {
        if let Some(micros) = calendar::parse_timestamp(text, zone) {
            let mut written = String::new();
            calendar::write_timestamp(micros, zone, &mut written);
            assert_eq!(calendar::parse_timestamp(&written, zone), Some(micros), "{text} {written}");
        }
    }
    if let Some(interval) = Interval::parse(text) {
        let (mut canonical, mut literal) = (String::new(), String::new());
        interval.write_canonical(&mut canonical);
        interval.write_literal(&mut literal);
        assert_eq!(Interval::parse(&canonical), Some(interval), "{text} {canonical}");
        assert_eq!(Interval::parse(&literal), Some(interval), "{text} {literal}");
    }
    let mut encoded = bytes::BytesMut::new();
    if numeric::encode_text(text, &mut encoded) {
        let number = numeric::Numeric::read(&encoded).expect("what is encoded is read");
        let mut written = String::new();
        number.write_text(&mut written);
        let mut again = bytes::BytesMut::new();
        assert!(numeric::encode_text(&written, &mut again), "{text} {written}");
        assert_eq!(encoded, again, "{text} {written}");
        for scale in [0, 2, 38] {
            assert_eq!(
                numeric::parse_unscaled(text, scale),
                number.unscaled(scale),
                "{text} at scale {scale}"
            );
        }
    }
    let mut scratch = text::Scratch::default();
    for oid in TYPES {
        for modifier in [-1, 0] {
            let column = ColumnType::invented(oid, modifier);
            drop(text::read(&column.format, &column.kind, text, &mut scratch));
        }
    }
}

/// A change that came as text and the same in binary are one; see `copy`.
pub(in crate::postgres) fn texts(batch: &ChangeBatch) -> Vec<Vec<String>> {
    let text = |cell: Cell<'_>| match cell {
        Cell::Value(value) => value.to_string(),
        other => format!("{other:?}"),
    };
    let row =
        |row| (0..batch.schema().fields().len()).map(|field| text(batch.column(field).cell(row))).collect();
    (0..batch.rows()).map(row).collect()
}
