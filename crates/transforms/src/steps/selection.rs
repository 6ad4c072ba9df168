//! `select`, `drop` and `rename`: the columns as they are, fewer, in another order, under other names.

use std::sync::Arc;

use tidemark_engine::{
    Error, Result,
    change::Refused,
    schema::{Field, StreamSchema},
};

use super::{Names, Work, schema_of};
use crate::{
    columns::{Output, rebuilt},
    passing::Passing,
    transforms::Place,
};

/// Some of the columns, in some order.
#[derive(Debug)]
struct Selecting {
    schema: Arc<StreamSchema>,
    kept: Vec<usize>,
}

/// Only the columns `names`.
pub(super) fn select(names: &Names, schema: &Arc<StreamSchema>, place: Place) -> Result<Box<dyn Work>> {
    Selecting::work(names.of(schema)?, schema, place, "select")
}

/// All but the columns `names`.
pub(super) fn drop_columns(names: &Names, schema: &Arc<StreamSchema>, place: Place) -> Result<Box<dyn Work>> {
    let dropped = names.of(schema)?;
    let kept = (0..schema.fields().len()).filter(|index| !dropped.contains(index)).collect();
    Selecting::work(kept, schema, place, "drop")
}

/// All columns, some under other names.
pub(super) fn rename(names: &[(Names, String)], schema: &Arc<StreamSchema>) -> Result<Box<dyn Work>> {
    let mut fields = schema.fields().to_vec();
    for (former, new) in names {
        for index in former.of(schema)? {
            fields[index].name.clone_from(new);
        }
    }
    let key = schema.key().iter().map(|index| fields[*index].name.clone()).collect();
    let kept = (0..fields.len()).collect();
    Ok(Box::new(Selecting { schema: schema_of(schema, fields, key)?, kept }))
}

/// The key of `schema` when only the columns `kept` are left: all of it, or none where it is not needed.
fn kept_key(kept: &[usize], schema: &StreamSchema, place: Place, verb: &str) -> Result<Vec<String>> {
    let Some(lost) = schema.key().iter().find(|index| !kept.contains(index)) else {
        return Ok(schema.key_names().to_vec());
    };
    if !place.needs_key() {
        return Ok(Vec::new());
    }
    let (name, stream) = (&schema.fields()[*lost].name, schema.stream());
    Err(Error::config(format!(
        "`{verb}` takes away column `{name}`, which tells records of stream `{stream}` apart"
    ))
    .hint("keep the key; `hash` or `encrypt` it where it is not to be seen")
    .of_stream(stream))
}

impl Selecting {
    fn work(kept: Vec<usize>, schema: &Arc<StreamSchema>, place: Place, verb: &str) -> Result<Box<dyn Work>> {
        let key = kept_key(&kept, schema, place, verb)?;
        let fields: Vec<Field> = kept.iter().map(|index| schema.fields()[*index].clone()).collect();
        Ok(Box::new(Self { schema: schema_of(schema, fields, key)?, kept }))
    }
}

impl Work for Selecting {
    fn schema(&self) -> &Arc<StreamSchema> {
        &self.schema
    }

    fn apply(&self, passing: Passing) -> Result<Passing, Refused> {
        let outputs: Vec<_> = self.kept.iter().map(|index| Output::Kept(*index)).collect();
        let batch = rebuilt(&passing.batch, &self.schema, &outputs)?;
        Ok(passing.with(batch))
    }
}
