//! `mask`: the end of a value, or nothing of it.

use std::sync::Arc;

use tidemark_engine::{
    Error, Result,
    schema::{Kind, StreamSchema},
};

use super::{Names, Work, replacing::Replace, replacing::to_text};
use crate::{columns::New, transforms::Place};

/// How much is to be seen, and what stands in place of the rest.
#[derive(Debug, Clone)]
pub(crate) struct Masking {
    pub(crate) keep: usize,
    pub(crate) with: String,
}

pub(super) fn work(
    names: &Names,
    masking: &Masking,
    schema: &Arc<StreamSchema>,
    place: Place,
) -> Result<Box<dyn Work>> {
    let masked = names.of(schema)?;
    if let Some(index) = schema.key().iter().find(|index| masked.contains(index) && place.needs_key()) {
        let (name, stream) = (&schema.fields()[*index].name, schema.stream());
        return Err(Error::config(format!(
            "`mask` would make one of records that column `{name}` of stream `{stream}` tells apart"
        ))
        .hint("`hash` or `encrypt` it instead")
        .of_stream(stream));
    }
    to_text(names, masking, schema, place)
}

impl Replace for Masking {
    /// A value that is no longer than what is kept would be seen whole, and is masked whole.
    fn replaced(&self, text: &str, _from: &Kind) -> Result<New, &'static str> {
        let length = text.chars().count();
        let hidden = if length <= self.keep { length } else { length - self.keep };
        let kept: String = text.chars().skip(hidden).collect();
        Ok(New::Text(format!("{}{kept}", self.with.repeat(hidden))))
    }

    fn name(&self) -> String {
        "`mask`".to_owned()
    }
}
