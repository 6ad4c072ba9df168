//! One change as a person writes it, and what came of it.

use indexmap::IndexMap;
use serde_json::{Map, Value as Json};
use tidemark_engine::{
    Error, Result,
    arrow_array::UInt8Array,
    change::{Before, BitmapBuilder, ChangeBatch, Column, Columns, Op, Texts, write_object},
    schema::{Field, Kind, StreamName, StreamSchema},
};

use crate::cells::respelled;

/// The columns of a record and what they hold: `null`, truth values, numbers, texts.
pub type Record = Map<String, Json>;

/// One change of a stream of which nothing else is known.
#[derive(Debug, Clone)]
pub struct Example {
    /// The stream.
    pub stream: StreamName,
    /// The columns of its key.
    pub key: Vec<String>,
    /// Kinds by column, where what the column holds does not tell: whole numbers are int64, others float64.
    pub types: IndexMap<String, String>,
    /// What happened.
    pub op: Op,
    /// What is known of the record before. A delete tells nothing else.
    pub before: Option<Record>,
    /// What the change tells of the record after it; a column that is not there is unchanged.
    pub after: Option<Record>,
}

/// What came of a change.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// What happened.
    pub op: Op,
    /// What is known of the record before.
    pub before: Option<Record>,
    /// What is told of the record after it.
    pub after: Option<Record>,
}

impl Example {
    /// The change as the engine has it.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Config`] where a value is not of its column's kind.
    pub fn changes(&self) -> Result<ChangeBatch> {
        let empty = Record::new();
        let (values, was) = match self.op {
            Op::Delete => (self.before.as_ref(), None),
            Op::Truncate => (None, None),
            _ => (self.after.as_ref(), self.before.as_ref()),
        };
        let values = values.unwrap_or(&empty);
        let mut names: Vec<&String> = values.keys().chain(self.key.iter()).chain(self.types.keys()).collect();
        names.extend(was.into_iter().flat_map(Record::keys));
        let mut fields: Vec<Field> = Vec::new();
        for name in names {
            if fields.iter().all(|field| &field.name != name) {
                fields.push(Field::new(name, self.kind(name, [Some(values), was])?));
            }
        }
        let schema = StreamSchema::new(self.stream.clone(), fields, self.key.clone())?;
        let (after, unchanged) = columns(&schema, values, self.op == Op::Truncate)?;
        let before = was.map(|was| columns(&schema, was, false)).transpose()?;
        let before = before.map(|(values, unknown)| {
            let present = std::iter::once(true).collect();
            Before { present, unknown: unknown.finish(), values }
        });
        let ops = UInt8Array::from(vec![self.op.letter()]);
        let unchanged = unchanged.finish();
        ChangeBatch::new(schema, Columns { unchanged, before, ..Columns::new(ops, after) })
    }

    fn kind(&self, name: &str, records: [Option<&Record>; 2]) -> Result<Kind> {
        if let Some(kind) = self.types.get(name) {
            let unknown = || Error::config(format!("there is no kind `{kind}` for column `{name}`"));
            return Kind::parse(kind).ok_or_else(unknown);
        }
        let held = records
            .into_iter()
            .flatten()
            .filter_map(|record| record.get(name))
            .find(|value| !value.is_null());
        Ok(match held {
            Some(Json::Bool(_)) => Kind::Bool,
            Some(Json::Number(number)) if number.is_f64() => Kind::Float64,
            Some(Json::Number(_)) => Kind::Int64,
            Some(Json::Array(_) | Json::Object(_)) => Kind::Json,
            _ => Kind::Text,
        })
    }
}

/// The columns of one row, and which of them are not told.
fn columns(
    schema: &StreamSchema,
    record: &Record,
    is_empty: bool,
) -> Result<(Vec<tidemark_engine::arrow_array::ArrayRef>, BitmapBuilder)> {
    let mut missing = BitmapBuilder::new(schema.fields().len());
    let mut arrays = Vec::new();
    for (index, field) in schema.fields().iter().enumerate() {
        let mut texts = Texts::of(&field.kind)?;
        let text = match record.get(&field.name) {
            None => {
                if !is_empty {
                    missing.set(index);
                }
                None
            }
            Some(Json::Null) => None,
            Some(Json::String(text)) => Some(text.clone()),
            Some(other) => Some(other.to_string()),
        };
        let unfit = || {
            Error::config(format!(
                "the value of column `{}` is none of kind {}",
                field.name,
                field.kind.name()
            ))
            .hint("say under `types` what the column holds")
        };
        match text {
            None => texts.null(),
            Some(text) => {
                let text = respelled(&text, &Kind::Text, &field.kind).ok_or_else(unfit)?;
                if !texts.value(&text) {
                    return Err(unfit());
                }
            }
        }
        arrays.push(texts.finish()?);
    }
    missing.end_row();
    Ok((arrays, missing))
}

impl Shown {
    /// Every change of `changes`.
    pub fn all(changes: &ChangeBatch) -> Result<Vec<Self>> {
        let fields = changes.schema().fields();
        let after: Vec<_> = (0..fields.len()).map(|index| changes.column(index)).collect();
        let before: Option<Vec<_>> = (0..fields.len()).map(|index| changes.column_before(index)).collect();
        let record = |columns: &[Column<'_>], row: usize| {
            let mut text = String::new();
            write_object(fields.iter().zip(columns), row, &mut text);
            serde_json::from_str::<Record>(&text)
                .map_err(|error| Error::internal("a change cannot be shown").source(error))
        };
        let mut all = Vec::new();
        for row in 0..changes.rows() {
            let op = changes.op(row)?;
            let has_before =
                changes.columns().before.as_ref().is_some_and(|before| before.present.value(row));
            let was = before.as_ref().filter(|_| has_before).map(|before| record(before, row)).transpose()?;
            let is = Some(record(&after, row)?);
            all.push(match op {
                Op::Delete => Self { op, before: is, after: None },
                Op::Truncate => Self { op, before: None, after: None },
                Op::Read | Op::Create | Op::Update => Self { op, before: was, after: is },
            });
        }
        Ok(all)
    }
}
