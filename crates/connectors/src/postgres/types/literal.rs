//! A value as PostgreSQL writes it and reads it back: what its type's input function takes.

use std::fmt::Write;

use tidemark_engine::{
    Error, Result,
    arrow_array::Array,
    change::{Cell, Column, Value},
    schema::Kind,
};

use super::{
    array::write_element,
    calendar::{FIRST_DAY, LAST_DAY, MICROS_A_DAY, write_date, write_time, write_timestamp},
    interval::Interval,
};

/// Appends `value`, of a column of `kind`.
///
/// Fails with [`tidemark_engine::ErrorKind::Data`] when PostgreSQL has no such value.
pub(super) fn write(value: &Value<'_>, kind: &Kind, out: &mut String) -> Result<()> {
    match value {
        Value::Bool(value) => out.push_str(if *value { "t" } else { "f" }),
        Value::Date(days) => write_date(checked_date(*days)?, out),
        Value::Time(micros) => write_time(checked_time(*micros)?, out),
        Value::Timestamp(micros) => write_timestamp(i128::from(checked_timestamp(*micros)?), "", out),
        Value::TimestampTz(micros) => write_timestamp(i128::from(checked_timestamp(*micros)?), "+00", out),
        Value::Text(text) if *kind == Kind::Interval => match Interval::parse(text) {
            Some(interval) => interval.write_literal(out),
            None => out.push_str(text),
        },
        Value::Text(text) => out.push_str(checked_text(text)?),
        Value::List(elements, of) => {
            let column = Column::elements(elements, of);
            out.push('{');
            let mut element = String::new();
            for row in 0..elements.len() {
                if row > 0 {
                    out.push(delimiter(of));
                }
                match column.cell(row) {
                    Cell::Value(value) => {
                        element.clear();
                        write(&value, of, &mut element)?;
                        write_element(&element, delimiter(of), out);
                    }
                    Cell::Null | Cell::Unchanged | Cell::Exception(_) => out.push_str("NULL"),
                }
            }
            out.push('}');
        }
        // Writing to a `String` cannot fail.
        _ => drop(write!(out, "{value}")),
    }
    Ok(())
}

/// What stands between the elements of an array of `of`: `box` alone, whose own text has commas, takes a semicolon.
pub(super) fn delimiter(of: &Kind) -> char {
    match of {
        Kind::Other { name } if name == "box" => ';',
        _ => ',',
    }
}

/// `text`, when PostgreSQL can hold it.
pub(super) fn checked_text(text: &str) -> Result<&str> {
    // Every byte is looked at, which the compiler does many at a time.
    if text.bytes().fold(false, |found, byte| found | (byte == 0)) {
        return Err(Error::data("a text has the character U+0000, which no text of PostgreSQL can hold")
            .hint("take it out by a transform, or store the column as bytes"));
    }
    Ok(text)
}

/// `days` since 1970, when PostgreSQL has such a day.
pub(super) fn checked_date(days: i32) -> Result<i32> {
    if (FIRST_DAY..=LAST_DAY).contains(&days) { Ok(days) } else { Err(out_of_range("date")) }
}

/// `micros` since midnight, when PostgreSQL has such a time.
pub(super) fn checked_time(micros: i64) -> Result<i64> {
    if (0..=MICROS_A_DAY).contains(&micros) { Ok(micros) } else { Err(out_of_range("time")) }
}

/// `micros` since 1970, when PostgreSQL has such a moment; 64 bits end before its last one.
pub(super) fn checked_timestamp(micros: i64) -> Result<i64> {
    if micros >= i64::from(FIRST_DAY) * MICROS_A_DAY { Ok(micros) } else { Err(out_of_range("timestamp")) }
}

fn out_of_range(what: &str) -> Error {
    Error::data(format!("a {what} is beyond the range of PostgreSQL's type `{what}`"))
}
