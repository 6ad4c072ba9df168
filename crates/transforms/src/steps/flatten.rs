//! `flatten`: members of JSON objects as columns. Which, and of what kinds, is said in the pipeline file: the columns of a stream do not
//! depend on what its records happen to hold.

use std::{collections::HashMap, sync::Arc};

use serde_json::value::RawValue;
use tidemark_engine::{
    Error, Result,
    change::Refused,
    schema::{Field, Kind, StreamSchema},
};

use super::{Names, Work, schema_of};
use crate::{
    cells::respelled,
    columns::{Made, New, Output, rebuilt},
    passing::Passing,
};

/// Columns that hold objects, and the members that become columns.
#[derive(Debug)]
pub(crate) struct Flatten(Vec<(Names, Vec<(String, Kind)>)>);

#[derive(Debug)]
struct Flattening {
    schema: Arc<StreamSchema>,
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    /// The column that holds the object.
    of: usize,
    name: String,
    field: Field,
}

impl Flatten {
    pub(crate) fn new(columns: Vec<(Names, Vec<(String, Kind)>)>) -> Self {
        Self(columns)
    }

    pub(super) fn work(&self, schema: &Arc<StreamSchema>) -> Result<Box<dyn Work>> {
        let (mut fields, mut members) = (schema.fields().to_vec(), Vec::new());
        for (names, wanted) in &self.0 {
            for of in names.of(schema)? {
                let column = &schema.fields()[of];
                if !matches!(column.kind, Kind::Json | Kind::Text) {
                    let (name, kind, stream) = (&column.name, column.kind.name(), schema.stream());
                    return Err(Error::config(format!(
                        "column `{name}` of stream `{stream}` holds {kind}, and no JSON"
                    ))
                    .hint("`flatten` columns of kind json or text")
                    .of_stream(stream));
                }
                for (name, kind) in wanted {
                    let field = Field::new(format!("{}_{name}", column.name), kind.clone());
                    fields.push(field.clone());
                    members.push(Member { of, name: name.clone(), field });
                }
            }
        }
        let schema = schema_of(schema, fields, schema.key_names().to_vec())?;
        Ok(Box::new(Flattening { schema, members }))
    }
}

impl Member {
    /// What the member of the object in `text` is.
    fn of(&self, text: &str) -> Result<New, &'static str> {
        if text.trim() == "null" {
            return Ok(New::Null);
        }
        let object: HashMap<String, &RawValue> =
            serde_json::from_str(text).map_err(|_| "a value is no JSON object")?;
        let Some(member) = object.get(&self.name).map(|value| value.get()).filter(|text| *text != "null")
        else {
            return Ok(New::Null);
        };
        if self.field.kind == Kind::Json || !member.starts_with('"') {
            let spelled = respelled(member, &Kind::Text, &self.field.kind);
            return spelled.map(New::Text).ok_or("a number would become another");
        }
        let text: String = serde_json::from_str(member).map_err(|_| "a text in it cannot be read")?;
        respelled(&text, &Kind::Text, &self.field.kind).map(New::Text).ok_or("a number would become another")
    }
}

impl Work for Flattening {
    fn schema(&self) -> &Arc<StreamSchema> {
        &self.schema
    }

    fn apply(&self, passing: Passing) -> Result<Passing, Refused> {
        let former = passing.batch.schema().clone();
        let mut outputs: Vec<_> = (0..former.fields().len()).map(Output::Kept).collect();
        for member in &self.members {
            let column = &former.fields()[member.of].name;
            let error = |what: &str| {
                let name = &member.name;
                Error::data(format!("member `{name}` of column `{column}` cannot become a column: {what}"))
                    .hint("give the member another kind, or leave it out")
            };
            let cell =
                |row: usize, text: &str| member.of(text).map_err(|what| passing.refuse(row, error(what)));
            let unfit = || error(&format!("a value does not fit {} exactly", member.field.kind.name()));
            outputs.push(Output::Made(Made::of(&passing, member.of, &member.field.kind, cell, unfit)?));
        }
        let batch = rebuilt(&passing.batch, &self.schema, &outputs)?;
        Ok(passing.with(batch))
    }
}
