//! The verbs, one file each: what a step does to changes of one schema.

mod add;
mod cast;
mod encrypt;
mod filter;
mod flatten;
mod hash;
mod mask;
mod names;
mod quality;
mod replacing;
mod selection;

use std::{fmt, sync::Arc};

use tidemark_engine::{
    Result,
    change::Refused,
    schema::{Field, StreamSchema},
};

pub(crate) use add::Add;
pub(crate) use cast::Cast;
pub(crate) use encrypt::Cipher;
pub(crate) use filter::Filter;
pub(crate) use flatten::Flatten;
pub(crate) use hash::Hasher;
pub(crate) use mask::Masking;
pub(crate) use names::Names;
pub(crate) use quality::Quality;

use crate::{passing::Passing, transforms::Place};

/// What a step says, once it is read.
#[derive(Debug)]
pub(crate) enum Verb {
    Filter(Filter),
    Select(Names),
    Drop(Names),
    Rename(Vec<(Names, String)>),
    Cast(Vec<(Names, Cast)>),
    Add(Add),
    Mask(Names, Masking),
    Hash(Names, Hasher),
    Encrypt(Names, Cipher),
    Flatten(Flatten),
    Quality(Quality),
}

/// A verb for changes of one schema.
pub(crate) trait Work: fmt::Debug + Send + Sync {
    /// The schema that they have afterwards.
    fn schema(&self) -> &Arc<StreamSchema>;

    /// What becomes of them.
    fn apply(&self, passing: Passing) -> Result<Passing, Refused>;
}

impl Verb {
    /// What it does to changes under `schema`, at `place`.
    pub(crate) fn work(&self, schema: &Arc<StreamSchema>, place: Place) -> Result<Box<dyn Work>> {
        match self {
            Self::Filter(filter) => filter.work(schema, place),
            Self::Select(names) => selection::select(names, schema, place),
            Self::Drop(names) => selection::drop_columns(names, schema, place),
            Self::Rename(names) => selection::rename(names, schema),
            Self::Cast(casts) => cast::work(casts, schema, place),
            Self::Add(add) => add.work(schema),
            Self::Mask(names, masking) => mask::work(names, masking, schema, place),
            Self::Hash(names, hasher) => replacing::to_text(names, hasher, schema, place),
            Self::Encrypt(names, cipher) => replacing::to_text(names, cipher, schema, place),
            Self::Flatten(flatten) => flatten.work(schema),
            Self::Quality(quality) => quality.work(schema),
        }
    }
}

/// The same stream with `fields`. What goes wrong is of the stream alone.
fn schema_of(schema: &StreamSchema, fields: Vec<Field>, key: Vec<String>) -> Result<Arc<StreamSchema>> {
    let stream = schema.stream();
    StreamSchema::new(stream.clone(), fields, key).map_err(|error| error.of_stream(stream))
}
