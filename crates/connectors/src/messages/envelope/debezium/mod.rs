//! Debezium's envelope: `before`, `after`, `source`, `op`, `ts_ms`, as its connectors write it with the JSON converter.
//!
//! An update that gives a record another key becomes a delete of the one and a create of the other, as there.

mod number;
mod value;

use tidemark_engine::{
    Result,
    change::{Cell, Column, Op},
    schema::Field,
};

use super::{Content, Debezium};
use crate::messages::changes::{Change, Changes, string};

const PLACES: &str = "{\"type\":\"string\",\"optional\":false,\"field\":\"version\"},{\"type\":\"string\",\"optional\":false,\"field\":\"connector\"},\
    {\"type\":\"string\",\"optional\":false,\"field\":\"name\"},{\"type\":\"int64\",\"optional\":false,\"field\":\"ts_ms\"},\
    {\"type\":\"string\",\"optional\":true,\"name\":\"io.debezium.data.Enum\",\"version\":1,\"parameters\":{\"allowed\":\"true,last,false,incremental\"},\"default\":\"false\",\"field\":\"snapshot\"},\
    {\"type\":\"string\",\"optional\":false,\"field\":\"db\"},{\"type\":\"string\",\"optional\":true,\"field\":\"sequence\"},\
    {\"type\":\"string\",\"optional\":false,\"field\":\"schema\"},{\"type\":\"string\",\"optional\":false,\"field\":\"table\"}";
const BLOCK: &str = "{\"type\":\"struct\",\"fields\":[{\"type\":\"string\",\"optional\":false,\"field\":\"id\"},\
    {\"type\":\"int64\",\"optional\":false,\"field\":\"total_order\"},{\"type\":\"int64\",\"optional\":false,\"field\":\"data_collection_order\"}],\
    \"optional\":true,\"name\":\"event.block\",\"version\":1,\"field\":\"transaction\"}";

/// The schemas of the messages of one batch.
pub(super) struct Schemas {
    key: String,
    value: String,
}

impl Schemas {
    pub(super) fn of(config: &Debezium, changes: &Changes<'_>) -> Self {
        let (fields, prefix) = (changes.fields(), format!("{}.{}", config.name, changes.stream()));
        let list = |fields: &mut dyn Iterator<Item = &Field>| {
            fields.map(|field| value::schema(field, config.decimals)).collect::<Vec<_>>().join(",")
        };
        let key = list(&mut changes.key().iter().map(|index| &fields[*index]));
        let columns = list(&mut fields.iter());
        let named = |what: &str| string(&format!("{prefix}.{what}"));
        let row = |field: &str| {
            format!(
                "{{\"type\":\"struct\",\"fields\":[{columns}],\"optional\":true,\"name\":{},\"field\":\"{field}\"}}",
                named("Value")
            )
        };
        let envelope = format!(
            "{{\"type\":\"struct\",\"fields\":[{},{},{{\"type\":\"struct\",\"fields\":[{PLACES}],\"optional\":false,\
             \"name\":\"io.debezium.connector.tidemark.Source\",\"field\":\"source\"}},{BLOCK},\
             {{\"type\":\"string\",\"optional\":false,\"field\":\"op\"}},{{\"type\":\"int64\",\"optional\":true,\"field\":\"ts_ms\"}}],\
             \"optional\":false,\"name\":{},\"version\":2}}",
            row("before"),
            row("after"),
            named("Envelope"),
        );
        let key = format!(
            "{{\"type\":\"struct\",\"fields\":[{key}],\"optional\":false,\"name\":{}}}",
            named("Key")
        );
        Self { key, value: envelope }
    }
}

pub(super) fn contents(
    config: &Debezium,
    schemas: Option<&Schemas>,
    change: &Change<'_>,
) -> Result<Vec<Content>> {
    let writer = Writer { config, schemas, change };
    if change.is_move() {
        let (deleted, created) = (writer.content(Op::Delete, "-old")?, writer.content(Op::Create, "-new")?);
        return Ok(vec![deleted, created]);
    }
    Ok(vec![writer.content(change.op(), "")?])
}

/// Writes the messages of one change.
struct Writer<'a> {
    config: &'a Debezium,
    schemas: Option<&'a Schemas>,
    change: &'a Change<'a>,
}

impl Writer<'_> {
    fn content(&self, op: Op, part: &'static str) -> Result<Content> {
        let (columns, before) = (self.change.columns(), self.change.columns_before());
        let (old, new) = match op {
            Op::Delete => (Some(before.unwrap_or(columns)), None),
            Op::Update => (before, Some(columns)),
            Op::Read | Op::Create => (None, Some(columns)),
            Op::Truncate => (None, None),
        };
        let (old_row, new_row) = (self.row(old, true)?, self.row(new, false)?);
        let time = self.change.time()?.as_micros().div_euclid(1_000);
        let payload = format!(
            "{{\"before\":{old_row},\"after\":{new_row},\"source\":{},\"transaction\":null,\"op\":\"{}\",\"ts_ms\":{time}}}",
            self.source(op)?,
            op.as_str(),
        );
        let key = match op {
            Op::Delete => self.key(old)?,
            _ => self.key(new)?,
        };
        let with_schema =
            |schema: &String, payload: String| format!("{{\"schema\":{schema},\"payload\":{payload}}}");
        let (key, body) = match self.schemas {
            Some(Schemas { key: of_key, value }) => {
                (key.map(|key| with_schema(of_key, key)), with_schema(value, payload))
            }
            None => (key, payload),
        };
        Ok(Content {
            part,
            op,
            key,
            headers: Vec::new(),
            content_type: "application/json",
            body: Some(body.into()),
        })
    }

    /// A row as it was, where nobody knows what is missing, or as it is, where that has not changed.
    fn row(&self, columns: Option<&[Column<'_>]>, was: bool) -> Result<String> {
        let Some(columns) = columns else { return Ok("null".to_owned()) };
        let mut out = String::from("{");
        for (index, (field, column)) in self.change.fields().iter().zip(columns).enumerate() {
            if index > 0 {
                out.push(',');
            }
            out.push_str(&string(&field.name));
            out.push(':');
            match was && column.cell(self.change.row()) == Cell::Unchanged {
                true => out.push_str("null"),
                false => value::write(field, column, self.change.row(), self.config.decimals, &mut out)?,
            }
        }
        out.push('}');
        Ok(out)
    }

    /// What is not known of the old key has not changed.
    fn key(&self, columns: Option<&[Column<'_>]>) -> Result<Option<String>> {
        let (Some(columns), key) = (columns, self.change.key_columns()) else { return Ok(None) };
        if key.is_empty() {
            return Ok(None);
        }
        let mut out = String::from("{");
        for index in key {
            if out.len() > 1 {
                out.push(',');
            }
            let (field, row) = (&self.change.fields()[*index], self.change.row());
            let known = columns[*index].cell(row) != Cell::Unchanged;
            let column = if known { &columns[*index] } else { &self.change.columns()[*index] };
            out.push_str(&string(&field.name));
            out.push(':');
            value::write(field, column, row, self.config.decimals, &mut out)?;
        }
        out.push('}');
        Ok(Some(out))
    }

    fn source(&self, op: Op) -> Result<String> {
        let stream = self.change.stream().as_str();
        let (schema, table) = stream.split_once('.').unwrap_or(("", stream));
        let time = match self.change.source_time() {
            Some(time) => time,
            None => self.change.time()?,
        };
        Ok(format!(
            "{{\"version\":\"{}\",\"connector\":\"tidemark\",\"name\":{},\"ts_ms\":{},\"snapshot\":\"{}\",\"db\":\"\",\
             \"sequence\":{},\"schema\":{},\"table\":{}}}",
            env!("CARGO_PKG_VERSION"),
            string(&self.config.name),
            time.as_micros().div_euclid(1_000),
            op == Op::Read,
            string(&format!("[{}]", string(&self.change.id().to_string()))),
            string(schema),
            string(table),
        ))
    }
}
