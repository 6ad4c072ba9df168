//! Rows read back from SQLite and from Parquet files, as canonical texts.

use std::{collections::BTreeMap, fs::File, path::Path};

use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::{Field, Row},
};
use rusqlite::{Connection, types::ValueRef};
use serde_json::Value as Json;

use super::{
    canonical::{Cell, Class, date, float32, float64, json, time, timestamp},
    columns::{Column, names},
};
use crate::rows::files_below;

/// The rows of a table in a SQLite database, in the order of their ids.
pub(super) fn of_sqlite(database: &Path, table: &str, columns: &[Column]) -> Vec<Vec<Cell>> {
    let connection = Connection::open(database).unwrap();
    let names = names(columns).join(", ");
    let mut statement = connection.prepare(&format!("SELECT id, {names} FROM {table} ORDER BY id")).unwrap();
    let rows = statement.query_map([], |row| {
        let cells = columns
            .iter()
            .enumerate()
            .map(|(index, (_, class, _))| Ok(sqlite_text(row.get_ref(index + 1)?, *class)));
        [Ok(Some(row.get::<_, i64>(0)?.to_string()))].into_iter().chain(cells).collect()
    });
    rows.unwrap().map(Result::unwrap).collect()
}

fn sqlite_text(value: ValueRef<'_>, class: Class) -> Cell {
    Some(match (value, class) {
        (ValueRef::Null, _) => return None,
        (ValueRef::Integer(value), Class::Bool) => (value == 1).to_string(),
        (ValueRef::Integer(value), Class::Same) => value.to_string(),
        (ValueRef::Real(value), Class::Float32) => float32(value as f32),
        (ValueRef::Real(value), Class::Float64) => float64(value),
        (ValueRef::Blob(bytes), Class::Bytes) => hex(bytes),
        (ValueRef::Text(text), class) if class.is_list() => json(utf8(text)),
        (ValueRef::Text(text), class) if !matches!(class, Class::Bool | Class::Bytes) => {
            utf8(text).to_owned()
        }
        (value, class) => panic!("{value:?} is no value of {class:?}"),
    })
}

/// What Parquet files tell of a stream: each change with its operation, in order.
pub(super) struct History(Vec<(String, String, Vec<Cell>)>);

impl History {
    /// Every change in the files below `folder`.
    pub(super) fn of_parquet(folder: &Path, columns: &[Column]) -> Self {
        let mut changes = Vec::new();
        for file in files_below(folder, "parquet") {
            let reader = SerializedFileReader::new(File::open(file).unwrap()).unwrap();
            changes.extend(reader.get_row_iter(None).unwrap().map(|row| change(&row.unwrap(), columns)));
        }
        changes.sort_unstable();
        let positions = changes.len();
        changes.dedup_by(|one, other| one.0 == other.0);
        assert_eq!(changes.len(), positions, "a change is there twice");
        Self(changes)
    }

    /// The rows that the initial sync read.
    pub(super) fn read(&self) -> Vec<Vec<Cell>> {
        let rows = self.0.iter().filter(|(_, op, _)| op == "r").map(|(.., row)| (id(row), row.clone()));
        rows.collect::<BTreeMap<_, _>>().into_values().collect()
    }

    /// What there is after all changes.
    pub(super) fn at_the_end(&self) -> Vec<Vec<Cell>> {
        let mut rows = BTreeMap::new();
        for (_, op, row) in &self.0 {
            match op.as_str() {
                "d" => rows.remove(&id(row)),
                _ => rows.insert(id(row), row.clone()),
            };
        }
        rows.into_values().collect()
    }
}

fn id(row: &[Cell]) -> i64 {
    row[0].as_deref().unwrap().parse().unwrap()
}

fn change(row: &Row, columns: &[Column]) -> (String, String, Vec<Cell>) {
    let fields: BTreeMap<&str, &Field> =
        row.get_column_iter().map(|(name, field)| (name.as_str(), field)).collect();
    let text = |name: &str| match fields[name] {
        Field::Str(text) => Some(text.clone()),
        _ => None,
    };
    let op = text("_tidemark_op").unwrap();
    assert!(
        op == "d" || text("_tidemark_unchanged").is_none(),
        "nothing here is large enough to be left out"
    );
    let exceptions: BTreeMap<String, String> =
        text("_tidemark_exceptions").map_or_else(BTreeMap::new, |text| serde_json::from_str(&text).unwrap());
    let cells = names(columns).into_iter().zip(columns).map(|(name, (_, class, _))| {
        match (fields[name.as_str()], exceptions.get(&name)) {
            (Field::Null, Some(text)) if class.is_list() => Some(Json::from(text.as_str()).to_string()),
            (Field::Null, exception) => exception.cloned(),
            (field, None) => Some(parquet_text(field, *class)),
            (field, Some(text)) => panic!("`{name}` is both {field} and {text}"),
        }
    });
    let cells = [Some(fields["id"].to_string())].into_iter().chain(cells).collect();
    (text("_tidemark_position").unwrap(), op, cells)
}

fn parquet_text(field: &Field, class: Class) -> String {
    match field {
        Field::Str(text) => text.clone(),
        Field::Bytes(bytes) if class == Class::Bytes => hex(bytes.data()),
        Field::Bytes(bytes) => uuid(bytes.data()),
        Field::Float(value) => float32(*value),
        Field::Double(value) => float64(*value),
        Field::Date(days) => date(*days),
        Field::TimestampMicros(micros) if class == Class::TimestampTz => timestamp(*micros) + "Z",
        Field::TimestampMicros(micros) => timestamp(*micros),
        Field::TimeMicros(micros) => {
            let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
            let clock = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
            let fraction = format!(".{fraction:06}");
            time((clock + &fraction).trim_end_matches('0').trim_end_matches('.'))
        }
        Field::ListInternal(list) => {
            Json::from_iter(list.elements().iter().map(|field| element(field, class))).to_string()
        }
        Field::Bool(_) | Field::Short(_) | Field::Int(_) | Field::Long(_) | Field::UInt(_) => {
            field.to_string()
        }
        // The library's own text refuses numbers below 1 with as many digits as they may have.
        Field::Decimal(number) => decimal(number.data(), number.scale()),
        other => panic!("{other:?} is no value of {class:?}"),
    }
}

/// An element of a list, as JSON.
fn element(field: &Field, class: Class) -> Json {
    match field {
        Field::Null => Json::Null,
        Field::Bool(value) => Json::from(*value),
        Field::Int(value) => Json::from(*value),
        Field::Long(value) => Json::from(*value),
        Field::Double(value) if value.is_finite() => Json::from(*value),
        // A number of any precision is text.
        Field::Str(text) if class == Class::Numbers => {
            serde_json::from_str(text).unwrap_or(text.as_str().into())
        }
        _ => Json::from(parquet_text(field, Class::Same)),
    }
}

fn decimal(bytes: &[u8], scale: i32) -> String {
    let mut whole = [if bytes[0] < 128 { 0 } else { 255 }; 16];
    whole[16 - bytes.len()..].copy_from_slice(bytes);
    let (digits, scale) = (i128::from_be_bytes(whole), scale as usize);
    let text = format!("{:0width$}", digits.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = text.split_at(text.len() - scale);
    let (sign, point) = (if digits < 0 { "-" } else { "" }, if scale > 0 { "." } else { "" });
    format!("{sign}{whole}{point}{fraction}")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("\\x".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

fn uuid(bytes: &[u8]) -> String {
    let text = hex(bytes);
    [&text[2..10], &text[10..14], &text[14..18], &text[18..22], &text[22..]].join("-")
}

fn utf8(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}
