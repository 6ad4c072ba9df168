//! Parquet's types and ours.

use std::sync::Arc;

use parquet::basic::LogicalType;
use tidemark_engine::{
    arrow_array::{
        Array, ArrayRef, BinaryArray, Decimal128Array, Decimal256Array, ListArray, StringArray,
        Time64MicrosecondArray, TimestampMicrosecondArray,
        cast::AsArray,
        types::{
            Decimal128Type, DecimalType, Float16Type, Float32Type, Time32MillisecondType,
            Time64NanosecondType, TimestampMicrosecondType, TimestampMillisecondType,
            TimestampNanosecondType,
        },
    },
    arrow_schema::{DataType, Field, TimeUnit},
    change::{Value, decimals_fit},
    schema::Kind,
};

/// The kind that holds every value of a Parquet column; `None` where there is none.
///
/// The Arrow types are those the `parquet` crate derives from a file's own schema.
pub(super) fn kind_of(data_type: &DataType, logical: Option<&LogicalType>) -> Option<Kind> {
    Some(match data_type {
        DataType::Boolean => Kind::Bool,
        DataType::Int8 => Kind::Int8,
        DataType::Int16 => Kind::Int16,
        DataType::Int32 => Kind::Int32,
        DataType::Int64 => Kind::Int64,
        DataType::UInt8 => Kind::UInt8,
        DataType::UInt16 => Kind::UInt16,
        DataType::UInt32 => Kind::UInt32,
        DataType::UInt64 => Kind::UInt64,
        DataType::Float16 | DataType::Float32 => Kind::Float32,
        DataType::Float64 => Kind::Float64,
        DataType::Decimal128(precision, scale @ 0..) => {
            Kind::Decimal { precision: *precision, scale: *scale }
        }
        DataType::Decimal256(_, _) => Kind::Number,
        DataType::Utf8 if matches!(logical, Some(LogicalType::Json)) => Kind::Json,
        DataType::Utf8 => Kind::Text,
        DataType::FixedSizeBinary(16) if matches!(logical, Some(LogicalType::Uuid)) => Kind::Uuid,
        DataType::Binary | DataType::FixedSizeBinary(_) => Kind::Bytes,
        DataType::Date32 => Kind::Date,
        DataType::Time32(TimeUnit::Millisecond)
        | DataType::Time64(TimeUnit::Microsecond | TimeUnit::Nanosecond) => Kind::Time,
        DataType::Timestamp(TimeUnit::Second, _) => return None,
        DataType::Timestamp(_, None) => Kind::Timestamp,
        DataType::Timestamp(_, Some(_)) => Kind::TimestampTz,
        DataType::List(element) => {
            let of = kind_of(element.data_type(), None)?;
            // An exception belongs to a whole value: a list of values that may need one has no place for it.
            let exact = of.arrow() == *element.data_type() && !matches!(of, Kind::List { .. });
            return exact.then(|| Kind::List { of: Box::new(of) });
        }
        _ => return None,
    })
}

/// `array` as the Arrow array of `kind`, which is its [`kind_of`]. Values finer than a microsecond or beyond its range,
/// and decimals with more digits than their type says, become texts in `exceptions`, with their rows. `None` when it is an array of
/// another type, or of lists with such decimals.
pub(super) fn convert(
    array: &ArrayRef,
    kind: &Kind,
    exceptions: &mut Vec<(usize, String)>,
) -> Option<ArrayRef> {
    if array.data_type() == &kind.arrow() && decimals_fit(array) {
        return Some(array.clone());
    }
    Some(match array.data_type() {
        DataType::Decimal128(precision, scale) => {
            let decimals = array.as_primitive::<Decimal128Type>();
            let fitting = decimals.iter().enumerate().map(|(row, digits)| {
                let digits = digits?;
                let fits = Decimal128Type::is_valid_decimal_precision(digits, *precision);
                if !fits {
                    exceptions.push((row, Value::Decimal(digits, *scale).to_string()));
                }
                fits.then_some(digits)
            });
            let fitting = fitting.collect::<Decimal128Array>();
            Arc::new(fitting.with_precision_and_scale(*precision, *scale).ok()?)
        }
        DataType::Float16 => {
            let halves = array.as_primitive::<Float16Type>();
            Arc::new(halves.unary::<_, Float32Type>(|half| half.to_f32()))
        }
        DataType::Decimal256(_, _) => {
            let decimals = array.as_any().downcast_ref::<Decimal256Array>()?;
            let text = |row| decimals.is_valid(row).then(|| decimals.value_as_string(row));
            Arc::new((0..decimals.len()).map(text).collect::<StringArray>())
        }
        DataType::FixedSizeBinary(_) => {
            let bytes = array.as_fixed_size_binary();
            Arc::new(bytes.iter().collect::<BinaryArray>())
        }
        DataType::Time32(TimeUnit::Millisecond) => {
            let millis = array.as_primitive::<Time32MillisecondType>();
            Arc::new(
                millis
                    .iter()
                    .map(|time| time.map(|time| i64::from(time) * 1_000))
                    .collect::<Time64MicrosecondArray>(),
            )
        }
        DataType::Time64(TimeUnit::Nanosecond) => {
            let nanos = array.as_primitive::<Time64NanosecondType>();
            let micros = whole_micros(nanos.iter(), exceptions, |nanos| {
                let (seconds, fraction) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
                let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
                format!("{hours:02}:{minutes:02}:{seconds:02}.{fraction:09}")
            });
            Arc::new(micros.into_iter().collect::<Time64MicrosecondArray>())
        }
        DataType::Timestamp(unit, zone) => {
            let micros: Vec<Option<i64>> = match unit {
                TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().iter().collect(),
                TimeUnit::Nanosecond => {
                    let nanos = array.as_primitive::<TimestampNanosecondType>();
                    whole_micros(nanos.iter(), exceptions, |nanos| {
                        let time = chrono::DateTime::from_timestamp_nanos(nanos);
                        let suffix = if zone.is_some() { "Z" } else { "" };
                        format!("{}{suffix}", time.format("%Y-%m-%dT%H:%M:%S%.9f"))
                    })
                }
                TimeUnit::Millisecond => {
                    let millis = array.as_primitive::<TimestampMillisecondType>();
                    let micros = millis.iter().enumerate().map(|(row, millis)| {
                        let micros = millis?.checked_mul(1_000);
                        if micros.is_none() {
                            exceptions.push((row, format!("{}ms", millis?)));
                        }
                        micros
                    });
                    micros.collect()
                }
                TimeUnit::Second => return None,
            };
            let micros = TimestampMicrosecondArray::from(micros);
            if zone.is_some() { Arc::new(micros.with_timezone("UTC")) } else { Arc::new(micros) }
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let DataType::List(item) = kind.arrow() else { return None };
            let (_, offsets, values, nulls) = list.clone().into_parts();
            if values.data_type() != Field::data_type(&item) || !decimals_fit(&values) {
                return None;
            }
            Arc::new(ListArray::try_new(item, offsets, values, nulls).ok()?)
        }
        _ => return None,
    })
}

fn whole_micros(
    nanos: impl Iterator<Item = Option<i64>>,
    exceptions: &mut Vec<(usize, String)>,
    text: impl Fn(i64) -> String,
) -> Vec<Option<i64>> {
    let micros = nanos.enumerate().map(|(row, nanos)| {
        let nanos = nanos?;
        if nanos % 1_000 == 0 {
            return Some(nanos / 1_000);
        }
        exceptions.push((row, text(nanos)));
        None
    });
    micros.collect()
}
