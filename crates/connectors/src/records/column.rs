//! One column of records as an Arrow array.

use std::sync::Arc;

use serde_json::value::RawValue;
use tidemark_engine::{
    arrow_array::{
        ArrayRef, ArrowPrimitiveType, BooleanArray, PrimitiveArray,
        builder::{BinaryBuilder, BooleanBuilder, FixedSizeBinaryBuilder, PrimitiveBuilder, StringBuilder},
        types::{
            Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
            Time64MicrosecondType, TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
        },
    },
    schema::Kind,
};

use super::{
    declared, infer,
    moment::{self, Moment},
    rows::{Cell, Rows, Shape},
};

/// The row whose value is not of the kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Misfit(pub(crate) usize);

/// The values of `column` of `rows` as an array of `kind`, from the canonical texts of values of that kind.
///
/// Fails with [`tidemark_engine::ErrorKind::Conflict`] when one is none.
pub(crate) fn declared_column<R: Rows>(
    rows: &R,
    column: usize,
    kind: &Kind,
) -> tidemark_engine::Result<ArrayRef> {
    build(rows, column, kind, true).map_err(|Misfit(_)| {
        tidemark_engine::Error::conflict(format!(
            "a value that was read before is no `{}` any more",
            kind.name()
        ))
        .hint("read the stream anew: `tidemark resync FILE --stream STREAM`")
    })
}

/// The values of `column` as an array of `kind`. A kind that was inferred takes only texts that would be inferred as
/// that kind or a narrower one; one that was `declared` takes what can be read as it without loss.
pub(crate) fn build<R: Rows>(
    rows: &R,
    column: usize,
    kind: &Kind,
    is_declared: bool,
) -> Result<ArrayRef, Misfit> {
    let cells = Cells { rows, column };
    if is_declared {
        return declared(cells, kind);
    }
    Ok(match kind {
        Kind::Bool => Arc::new(cells.bools(|text, shape| infer::bool(text).filter(|_| shape.is_bare()))?),
        Kind::Int64 => {
            Arc::new(cells.primitives::<Int64Type>(|text, shape| {
                bare(shape).and_then(|()| infer::canonical_int(text))
            })?)
        }
        Kind::Float64 => Arc::new(cells.primitives::<Float64Type>(|text, shape| match shape {
            Shape::Float => text.parse().ok(),
            _ => bare(shape).and_then(|()| infer::exact_float(text)),
        })?),
        Kind::Number => cells
            .texts(|value| (value.shape.is_bare() && infer::is_number(value.text)).then_some(value.text))?,
        Kind::Date => Arc::new(
            cells.primitives::<Date32Type>(|text, shape| guessed(shape).and_then(|()| moment::date(text)))?,
        ),
        Kind::Timestamp => Arc::new(cells.primitives::<TimestampMicrosecondType>(|text, shape| {
            guessed(shape).and_then(|()| local(text))
        })?),
        Kind::TimestampTz => Arc::new(
            cells
                .primitives::<TimestampMicrosecondType>(|text, shape| {
                    guessed(shape).and_then(|()| universal(text))
                })?
                .with_timezone("UTC"),
        ),
        Kind::Bytes => cells.bytes(|shape| matches!(shape, Shape::Bytes | Shape::Plain))?,
        Kind::Uuid => cells.uuids(|shape| shape == Shape::Uuid || shape.is_guessed())?,
        Kind::Json => cells.json()?,
        Kind::Text => cells.texts(|value| (value.shape != Shape::Nested).then_some(value.text))?,
        // Kinds that are never inferred from texts come from Parquet files.
        _ => return declared(cells, kind),
    })
}

fn declared<R: Rows>(cells: Cells<'_, R>, kind: &Kind) -> Result<ArrayRef, Misfit> {
    macro_rules! parsed {
        ($arrow:ty) => {
            Arc::new(cells.primitives::<$arrow>(|text, _| text.parse().ok())?)
        };
    }
    Ok(match kind {
        Kind::Bool => Arc::new(cells.bools(|text, _| declared::bool(text))?),
        Kind::Int8 => parsed!(Int8Type),
        Kind::Int16 => parsed!(Int16Type),
        Kind::Int32 => parsed!(Int32Type),
        Kind::Int64 => parsed!(Int64Type),
        Kind::UInt8 => parsed!(UInt8Type),
        Kind::UInt16 => parsed!(UInt16Type),
        Kind::UInt32 => parsed!(UInt32Type),
        Kind::UInt64 => parsed!(UInt64Type),
        Kind::Float32 => parsed!(Float32Type),
        Kind::Float64 => parsed!(Float64Type),
        Kind::Decimal { precision, scale } => {
            let array =
                cells.primitives::<Decimal128Type>(|text, _| declared::decimal(text, *precision, *scale))?;
            Arc::new(array.with_data_type(kind.arrow()))
        }
        Kind::Number => cells.texts(|value| declared::number(value.text))?,
        Kind::Bytes => cells.bytes(|_| true)?,
        Kind::Uuid => cells.uuids(|_| true)?,
        Kind::Date => Arc::new(cells.primitives::<Date32Type>(|text, _| moment::date(text))?),
        Kind::Time => Arc::new(cells.primitives::<Time64MicrosecondType>(|text, _| moment::time(text))?),
        Kind::Timestamp => Arc::new(cells.primitives::<TimestampMicrosecondType>(|text, _| local(text))?),
        Kind::TimestampTz => Arc::new(
            cells.primitives::<TimestampMicrosecondType>(|text, _| universal(text))?.with_timezone("UTC"),
        ),
        Kind::Json => cells.texts(|value| match value.shape {
            Shape::Plain | Shape::Text | Shape::Float => {
                serde_json::from_str::<&RawValue>(value.text).is_ok().then_some(value.text)
            }
            _ => Some(value.raw),
        })?,
        _ => cells.texts(|value| Some(value.text))?,
    })
}

fn bare(shape: Shape) -> Option<()> {
    shape.is_bare().then_some(())
}

fn guessed(shape: Shape) -> Option<()> {
    shape.is_guessed().then_some(())
}

/// A date counts as its midnight.
fn local(text: &str) -> Option<i64> {
    match moment::moment(text) {
        Some(Moment::Local(micros)) => Some(micros),
        Some(Moment::Universal(_)) => None,
        None => moment::date(text).map(|days| i64::from(days) * 86_400_000_000),
    }
}

fn universal(text: &str) -> Option<i64> {
    match moment::moment(text)? {
        Moment::Universal(micros) => Some(micros),
        Moment::Local(_) => None,
    }
}

struct Value<'a> {
    text: &'a str,
    raw: &'a str,
    shape: Shape,
}

struct Cells<'a, R> {
    rows: &'a R,
    column: usize,
}

impl<'a, R: Rows> Cells<'a, R> {
    /// Calls `append` with each value, or `None` where there is none, until it refuses one.
    fn each(&self, mut append: impl FnMut(Option<Value<'a>>) -> bool) -> Result<(), Misfit> {
        for row in 0..self.rows.len() {
            let value = match self.rows.cell(self.column, row) {
                Cell::Value { text, raw, shape } => Some(Value { text, raw, shape }),
                Cell::Missing | Cell::Null => None,
            };
            if !append(value) {
                return Err(Misfit(row));
            }
        }
        Ok(())
    }

    fn primitives<T: ArrowPrimitiveType>(
        &self,
        parse: impl Fn(&str, Shape) -> Option<T::Native>,
    ) -> Result<PrimitiveArray<T>, Misfit> {
        let mut array = PrimitiveBuilder::<T>::with_capacity(self.rows.len());
        self.each(|value| match value {
            None => {
                array.append_null();
                true
            }
            Some(value) => parse(value.text, value.shape).map(|value| array.append_value(value)).is_some(),
        })?;
        Ok(array.finish())
    }

    fn bools(&self, parse: impl Fn(&str, Shape) -> Option<bool>) -> Result<BooleanArray, Misfit> {
        let mut array = BooleanBuilder::with_capacity(self.rows.len());
        self.each(|value| match value {
            None => {
                array.append_null();
                true
            }
            Some(value) => parse(value.text, value.shape).map(|value| array.append_value(value)).is_some(),
        })?;
        Ok(array.finish())
    }

    fn texts(&self, read: impl Fn(Value<'a>) -> Option<&'a str>) -> Result<ArrayRef, Misfit> {
        let mut array = StringBuilder::with_capacity(self.rows.len(), self.rows.len() * 8);
        self.each(|value| match value {
            None => {
                array.append_null();
                true
            }
            Some(value) => read(value).map(|text| array.append_value(text)).is_some(),
        })?;
        Ok(Arc::new(array.finish()))
    }

    /// Values of JSON Lines to the letter; a CSV file's field among them is a string.
    fn json(&self) -> Result<ArrayRef, Misfit> {
        let mut array = StringBuilder::with_capacity(self.rows.len(), self.rows.len() * 16);
        self.each(|value| {
            match value {
                None => array.append_null(),
                Some(Value { text, shape, .. }) if shape == Shape::Plain || !shape.is_guessed() => {
                    array.append_value(serde_json::Value::from(text).to_string());
                }
                Some(Value { raw, .. }) => array.append_value(raw),
            }
            true
        })?;
        Ok(Arc::new(array.finish()))
    }

    fn bytes(&self, takes: impl Fn(Shape) -> bool) -> Result<ArrayRef, Misfit> {
        let mut array = BinaryBuilder::new();
        self.each(|value| match value {
            None => {
                array.append_null();
                true
            }
            Some(value) if !takes(value.shape) => false,
            Some(value) => declared::bytes(value.text).map(|bytes| array.append_value(bytes)).is_some(),
        })?;
        Ok(Arc::new(array.finish()))
    }

    fn uuids(&self, takes: impl Fn(Shape) -> bool) -> Result<ArrayRef, Misfit> {
        let mut array = FixedSizeBinaryBuilder::new(16);
        self.each(|value| match value {
            None => {
                array.append_null();
                true
            }
            Some(value) if !takes(value.shape) => false,
            Some(value) => declared::uuid(value.text).is_some_and(|bytes| array.append_value(bytes).is_ok()),
        })?;
        Ok(Arc::new(array.finish()))
    }
}
