//! What the pipeline file says of a stream's columns.

use std::collections::{BTreeMap, BTreeSet};

use tidemark_engine::{
    Error, Result,
    schema::{Kind, StreamName},
};

/// A stream as far as it is known before its first record.
#[derive(Debug, Clone)]
pub(crate) struct Outline {
    pub(crate) name: StreamName,
    /// The columns that tell records apart.
    pub(crate) key: Vec<String>,
    /// Columns that are left out.
    pub(crate) exclude: BTreeSet<String>,
    /// Kinds that were declared, by column.
    pub(crate) kinds: BTreeMap<String, Kind>,
}

impl Outline {
    /// A stream of which nothing is said.
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: StreamName::new(name),
            key: Vec::new(),
            exclude: BTreeSet::new(),
            kinds: BTreeMap::new(),
        }
    }

    /// As the pipeline file says, which has been validated; `types` are kinds by column, as text.
    pub(crate) fn configured(
        name: &str,
        key: &[String],
        exclude: &[String],
        types: &BTreeMap<String, String>,
    ) -> Result<Self> {
        let kind = |(column, kind): (&String, &String)| {
            let kind =
                Kind::parse(kind).ok_or_else(|| Error::config(format!("`{kind}` is no kind of column")))?;
            Ok((column.clone(), kind))
        };
        Ok(Self {
            name: StreamName::new(name),
            key: key.to_vec(),
            exclude: exclude.iter().cloned().collect(),
            kinds: types.iter().map(kind).collect::<Result<_>>()?,
        })
    }

    /// The same stream read as if it had no key.
    pub(crate) fn without_key(&self) -> Self {
        Self { key: Vec::new(), ..self.clone() }
    }
}
