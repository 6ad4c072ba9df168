//! `cast`: the same values in another kind. Whatever would not stay the same value is refused.

use std::sync::Arc;

use tidemark_engine::{
    Result,
    schema::{Kind, StreamSchema},
};

use super::{Names, Work, replacing::Replace, replacing::Replacing};
use crate::{cells::respelled, columns::New, transforms::Place};

/// Another kind for a column.
#[derive(Debug, Clone)]
pub(crate) struct Cast {
    kind: Kind,
    /// Whether texts that differ must stay different values.
    tells_apart: bool,
}

impl Cast {
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, tells_apart: false }
    }
}

pub(super) fn work(
    casts: &[(Names, Cast)],
    schema: &Arc<StreamSchema>,
    place: Place,
) -> Result<Box<dyn Work>> {
    let mut columns = Vec::new();
    for (names, cast) in casts {
        for index in names.of(schema)? {
            let tells_apart = place.needs_key() && schema.key().contains(&index);
            columns.push((index, Cast { tells_apart, ..cast.clone() }, cast.kind.clone()));
        }
    }
    Replacing::work(columns, schema, place)
}

/// Whether values of the kind are kept as the text that they were given as.
fn is_text(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Text | Kind::Number | Kind::Json | Kind::Interval | Kind::Enum { .. } | Kind::Other { .. }
    )
}

impl Replace for Cast {
    fn replaced(&self, text: &str, from: &Kind) -> Result<New, &'static str> {
        let spelled = respelled(text, from, &self.kind).ok_or("a value would become another")?;
        if self.tells_apart && is_text(from) && spelled != text {
            return Err("two records of different keys could become one");
        }
        Ok(New::Text(spelled))
    }

    fn name(&self) -> String {
        format!("`cast` to {}", self.kind.name())
    }
}
