//! What a change costs in each format: figures to choose by, not to be judged by.
#![expect(clippy::disallowed_methods, reason = "it measures")]

use std::{hint::black_box, sync::Arc, time::Instant};

use arrow_array::{ArrayRef, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};

use super::{Format, encode_all, read};
use crate::{
    change::{ChangeBatch, Op},
    schema::{Field, Kind, StreamName, StreamSchema},
};

const ROWS: i64 = 200_000;

/// `cargo test --release -p tidemark-engine --lib speed -- --ignored --nocapture`
#[test]
#[ignore = "it measures"]
fn of_each_format() {
    let schema = StreamSchema::new(StreamName::new("flights"), fields(), vec!["c0".into()]).unwrap();
    let batch = ChangeBatch::uniform(schema, Op::Create, values()).unwrap().numbered_from(0);
    let whole = batch.to_record_batch().unwrap();
    let pieces: Vec<_> =
        (0..ROWS as usize).step_by(8_192).map(|at| whole.slice(at, 8_192.min(ROWS as usize - at))).collect();
    for format in Format::ALL {
        let begun = Instant::now();
        let blob = encode_all(format, whole.schema_ref(), &pieces).unwrap();
        let (encoded, begun) = (begun.elapsed(), Instant::now());
        let bytes = blob.len();
        black_box(read(format, blob).unwrap());
        let decoded = begun.elapsed();
        let each = |time: std::time::Duration| time.as_secs_f64() * 1e6 / ROWS as f64;
        println!(
            "{format:?}: {:.2} us to write, {:.2} us to read, {} bytes",
            each(encoded),
            each(decoded),
            bytes as i64 / ROWS
        );
    }
}

/// As flights have: whole numbers, a few texts, floats, a moment; something is NULL now and then.
fn fields() -> Vec<Field> {
    let kinds = [vec![Kind::Int64; 10], vec![Kind::Text; 5], vec![Kind::Float64; 3], vec![Kind::TimestampTz]]
        .concat();
    kinds.into_iter().enumerate().map(|(index, kind)| Field::new(format!("c{index}"), kind)).collect()
}

fn values() -> Vec<ArrayRef> {
    let value = |row: i64, column: i64| row.wrapping_mul(6_364_136_223_846_793_005 + column) >> 48;
    let present = |row: i64, column: i64| (value(row, column) % 50 != 0).then(|| value(row, column));
    fields()
        .iter()
        .zip(0..)
        .map(|(field, column)| -> ArrayRef {
            let rows = (0..ROWS).map(|row| if column == 0 { Some(row) } else { present(row, column) });
            match field.kind {
                Kind::Int64 => Arc::new(rows.collect::<Int64Array>()),
                Kind::Text => {
                    Arc::new(rows.map(|n| n.map(|n| format!("N{:05}UA", n % 900))).collect::<StringArray>())
                }
                Kind::Float64 => {
                    Arc::new(rows.map(|n| n.map(|n| n as f64 / 100.0)).collect::<Float64Array>())
                }
                _ => {
                    let micros = rows.map(|n| n.map(|n| 1_357_000_000_000_000 + n * 3_600_000_000));
                    Arc::new(micros.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
                }
            }
        })
        .collect()
}
