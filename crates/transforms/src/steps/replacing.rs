//! Columns that take the place of others under the same name.

use std::{fmt, sync::Arc};

use tidemark_engine::{
    Error, Result,
    change::Refused,
    schema::{Field, Kind, StreamSchema},
};

use super::{Names, Work, schema_of};
use crate::{
    columns::{Made, New, Output, rebuilt},
    passing::Passing,
    transforms::Place,
};

/// What makes one value of another.
pub(super) trait Replace: fmt::Debug + Send + Sync {
    /// What takes the place of the value with this canonical text, which is of kind `from`; why nothing does.
    fn replaced(&self, text: &str, from: &Kind) -> Result<New, &'static str>;

    /// What it does, for messages: "`cast` to int64".
    fn name(&self) -> String;
}

/// Columns that are replaced, each by something.
#[derive(Debug)]
pub(super) struct Replacing<R> {
    schema: Arc<StreamSchema>,
    /// By their numbers.
    columns: Vec<(usize, R)>,
}

impl<R: Replace + 'static> Replacing<R> {
    /// `columns` of `schema` replaced by columns of other kinds.
    pub(super) fn work(
        columns: Vec<(usize, R, Kind)>,
        schema: &Arc<StreamSchema>,
        place: Place,
    ) -> Result<Box<dyn Work>> {
        // What an initial sync has read is known by ranges of the source's own keys.
        let is_key =
            |(index, ..): &&(usize, R, Kind)| place == Place::Staging && schema.key().contains(index);
        if let Some((index, by, _)) = columns.iter().find(is_key) {
            let (name, stream) = (&schema.fields()[*index].name, schema.stream());
            return Err(Error::config(format!(
                "{} changes column `{name}`, which tells records of stream `{stream}` apart, before staging",
                by.name()
            ))
            .hint("do it in the `transforms` of each destination")
            .of_stream(stream));
        }
        let mut fields = schema.fields().to_vec();
        let mut replaced = Vec::new();
        for (index, by, kind) in columns {
            let Field { name, nullable, .. } = fields[index].clone();
            fields[index] = Field { name, kind, nullable, source_type: None };
            replaced.push((index, by));
        }
        let schema = schema_of(schema, fields, schema.key_names().to_vec())?;
        Ok(Box::new(Self { schema, columns: replaced }))
    }
}

impl<R: Replace> Work for Replacing<R> {
    fn schema(&self) -> &Arc<StreamSchema> {
        &self.schema
    }

    fn apply(&self, passing: Passing) -> Result<Passing, Refused> {
        let former = passing.batch.schema().clone();
        let mut outputs: Vec<_> = (0..former.fields().len()).map(Output::Kept).collect();
        for (index, by) in &self.columns {
            let (from, to) = (&former.fields()[*index], &self.schema.fields()[*index]);
            let error = |what: &str| {
                Error::data(format!("{} fails for column `{}`: {what}", by.name(), from.name))
                    .hint("keep the column as it is, or correct its values at the source")
            };
            let cell = |row: usize, text: &str| {
                by.replaced(text, &from.kind).map_err(|what| passing.refuse(row, error(what)))
            };
            let unfit = || error("a value does not fit exactly");
            outputs[*index] = Output::Made(Made::of(&passing, *index, &to.kind, cell, unfit)?);
        }
        let batch = rebuilt(&passing.batch, &self.schema, &outputs)?;
        Ok(passing.with(batch))
    }
}

/// The columns `names` replaced by texts.
pub(super) fn to_text<R: Replace + Clone + 'static>(
    names: &Names,
    by: &R,
    schema: &Arc<StreamSchema>,
    place: Place,
) -> Result<Box<dyn Work>> {
    let columns = names.of(schema)?.into_iter().map(|index| (index, by.clone(), Kind::Text)).collect();
    Replacing::work(columns, schema, place)
}
