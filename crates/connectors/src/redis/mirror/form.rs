//! Records as Redis holds them: the text of each value, and what stands under a key.
//!
//! | Value | In a hash | In a JSON object |
//! |---|---|---|
//! | NULL | no field | `null` |
//! | booleans, integers | text | literals |
//! | floats | the shortest digits that read back to the same bits | literals; NaN and infinities are strings |
//! | decimals and numbers | text, every digit | strings, every digit |
//! | times | text: RFC 3339, without `Z` where the source has no zone | strings |
//! | bytes | Base64 | strings of Base64 |
//! | JSON | itself, to the letter | itself, to the letter |
//! | lists | JSON arrays | arrays |
//! | everything else | the canonical text | strings |

use std::{collections::BTreeMap, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use redis::{Cmd, FromRedisValue, Value as Answer, cmd};
use serde_json::value::RawValue;
use tidemark_engine::{
    Error, Result,
    arrow_array::{Array, ArrayRef},
    change::{Cell, Column, Value, write_json},
    schema::Kind,
};

use super::record::Record;
use crate::redis::RecordForm;

impl RecordForm {
    /// As a person knows it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Hash => "hash",
            Self::Json => "JSON object",
        }
    }

    /// What is kept of a cell of `kind` that is carried; `None`: NULL.
    pub(super) fn text(self, cell: &Cell<'_>, kind: &Kind) -> Option<String> {
        match (self, cell) {
            (_, Cell::Unchanged | Cell::Null) => None,
            (Self::Hash, Cell::Exception(text)) => Some((*text).to_owned()),
            (Self::Hash, Cell::Value(value)) => Some(plain(value)),
            (Self::Json, cell) => {
                let mut out = String::new();
                json(cell, kind, &mut out);
                Some(out)
            }
        }
    }

    /// Asks for the record under `key`.
    pub(super) fn ask(self, key: &str) -> Cmd {
        let mut ask = cmd(match self {
            Self::Hash => "HGETALL",
            Self::Json => "GET",
        });
        ask.arg(key);
        ask
    }

    /// The record that was answered; `None` where there is none.
    ///
    /// Fails where something else stands there.
    pub(super) fn read(self, answer: Answer, key: &str) -> Result<Option<Record>> {
        let foreign = || self.foreign(key);
        if answer == Answer::Nil {
            return Ok(None);
        }
        let fields: BTreeMap<String, Option<String>> = match self {
            Self::Hash => {
                let fields = BTreeMap::<String, String>::from_redis_value(answer);
                let fields = fields.map_err(|error| foreign().source(error))?;
                fields.into_iter().map(|(name, value)| (name, Some(value))).collect()
            }
            Self::Json => {
                let text = String::from_redis_value(answer).map_err(|error| foreign().source(error))?;
                let fields: BTreeMap<String, Box<RawValue>> =
                    serde_json::from_str(&text).map_err(|_| foreign())?;
                let value = |value: &RawValue| (value.get() != "null").then(|| value.get().to_owned());
                fields.iter().map(|(name, raw)| (name.clone(), value(raw))).collect()
            }
        };
        let (names, values): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
        Ok((!names.is_empty()).then(|| Record { names: Arc::new(names), values }))
    }

    /// That something else stands under `key`. What comes behind its first colon may be a record's, and is not told.
    pub(super) fn foreign(self, key: &str) -> Error {
        let beginning = key.split_once(':').map_or("", |(stream, _)| stream);
        Error::config(format!(
            "what stands under a key that begins with `{beginning}:` is no {} of ours",
            self.name()
        ))
        .hint("delete what is there, or choose another `key`")
    }

    /// What puts `record` under `key`, in the place of what is there.
    pub(super) fn put(self, key: &str, record: &Record) -> Vec<Cmd> {
        let fields = record.names.iter().zip(&record.values);
        match self {
            Self::Hash => {
                let (mut clear, mut set) = (cmd("UNLINK"), cmd("HSET"));
                clear.arg(key);
                set.arg(key);
                for (name, value) in fields {
                    if let Some(value) = value {
                        set.arg(name).arg(value);
                    }
                }
                vec![clear, set]
            }
            Self::Json => {
                let mut out = String::from("{");
                for (name, value) in fields {
                    if out.len() > 1 {
                        out.push(',');
                    }
                    out.push_str(&string(name));
                    out.push(':');
                    out.push_str(value.as_deref().unwrap_or("null"));
                }
                out.push('}');
                let mut set = cmd("SET");
                set.arg(key).arg(out);
                vec![set]
            }
        }
    }

    /// The bytes of the largest value that `record` becomes.
    pub(super) fn largest(self, record: &Record) -> usize {
        let values = record.values.iter().map(|value| value.as_ref().map_or(4, String::len));
        match self {
            Self::Hash => values.max().unwrap_or(0),
            Self::Json => {
                values.sum::<usize>()
                    + record.names.iter().map(|name| string(name).len() + 2).sum::<usize>()
                    + 1
            }
        }
    }
}

/// A value as text: what a field of a hash holds, and what keys are made of.
pub(super) fn plain(value: &Value<'_>) -> String {
    match value {
        Value::Bytes(bytes) => STANDARD.encode(bytes),
        Value::List(elements, of) => {
            let mut out = String::new();
            list(elements, of, &mut out);
            out
        }
        other => other.to_string(),
    }
}

fn json(cell: &Cell<'_>, kind: &Kind, out: &mut String) {
    match cell {
        Cell::Unchanged | Cell::Null => out.push_str("null"),
        Cell::Exception(text) => out.push_str(&string(text)),
        Cell::Value(Value::List(elements, of)) => list(elements, of, out),
        Cell::Value(value @ (Value::Bytes(_) | Value::Decimal(..))) => out.push_str(&string(&plain(value))),
        Cell::Value(Value::Text(text)) if *kind == Kind::Number => out.push_str(&string(text)),
        Cell::Value(value) => write_json(value, kind, out),
    }
}

fn list(elements: &ArrayRef, of: &Kind, out: &mut String) {
    let column = Column::elements(elements, of);
    out.push('[');
    for index in 0..elements.len() {
        if index > 0 {
            out.push(',');
        }
        json(&column.cell(index), of, out);
    }
    out.push(']');
}

/// A JSON string literal.
fn string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
