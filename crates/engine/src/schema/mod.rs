//! Streams and their schemas: names, kinds, keys. A schema is kept in the log apart from the data, under the hash
//! of its own content, so that a change of schema is simply a new document.

mod difference;
mod kind;
mod order;
mod widen;

use std::{collections::HashSet, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

pub use difference::{Difference, differences};
pub use kind::Kind;
pub use order::{is_ordered, ordered};
pub use widen::widen;

use crate::{Digest, Error, Result};

/// Column names that begin so belong to Tidemark.
pub const RESERVED_PREFIX: &str = "_tidemark_";

/// The name of a stream: one table, list, endpoint or topic of a source (`public.orders`, `flights`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StreamName(Arc<str>);

impl StreamName {
    /// A stream called `name`. Any text will do; it is encoded where it becomes part of a path.
    pub fn new(name: impl AsRef<str>) -> Self {
        Self(name.as_ref().into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Field {
    /// Its name at the source.
    pub name: String,
    /// What it holds.
    #[serde(flatten)]
    pub kind: Kind,
    /// Whether the source allows NULL.
    pub nullable: bool,
    /// How the source declares it (`numeric(12,2)`, `varchar(20)`), where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_type: Option<String>,
}

impl Field {
    /// A nullable column.
    pub fn new(name: impl Into<String>, kind: Kind) -> Self {
        Self { name: name.into(), kind, nullable: true, source_type: None }
    }

    /// The same column, NOT NULL at the source.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.nullable = false;
        self
    }
}

/// The schema of a stream at one time. Immutable; its identity is the [`Digest`] of its canonical JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSchema {
    document: Document,
    key: Vec<usize>,
    digest: Digest,
}

/// The schema as it is kept in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Document {
    stream: StreamName,
    fields: Vec<Field>,
    key: Vec<String>,
}

impl StreamSchema {
    /// A schema with `fields` in order and `key` naming some of them (empty: the stream has no key).
    ///
    /// Fails with [`crate::ErrorKind::Data`] when two columns share a name, a name begins with
    /// [`RESERVED_PREFIX`], or there is no column at all; with [`crate::ErrorKind::Config`] when the key names a column that is
    /// not there.
    pub fn new(stream: StreamName, fields: Vec<Field>, key: Vec<String>) -> Result<Arc<Self>> {
        Self::from_document(Document { stream, fields, key }).map(Arc::new)
    }

    /// Reads a schema back from its canonical JSON.
    pub fn from_json(json: &[u8]) -> Result<Arc<Self>> {
        let document = serde_json::from_slice(json)
            .map_err(|error| Error::conflict("a schema document cannot be read").source(error))?;
        Self::from_document(document).map(Arc::new)
    }

    fn from_document(document: Document) -> Result<Self> {
        let Document { stream, fields, key } = &document;
        if fields.is_empty() {
            return Err(Error::data(format!("stream `{stream}` has no columns")));
        }
        let mut seen = HashSet::new();
        for Field { name, .. } in fields {
            if !seen.insert(name.as_str()) {
                return Err(Error::data(format!("stream `{stream}` has two columns named `{name}`"))
                    .hint("rename one of them at the source"));
            }
            if name.starts_with(RESERVED_PREFIX) {
                return Err(Error::data(format!("column `{name}` of stream `{stream}` has a reserved name"))
                    .hint(format!(
                        "rename it: names that begin with `{RESERVED_PREFIX}` belong to Tidemark"
                    )));
            }
        }
        let index = |name: &String| fields.iter().position(|field| &field.name == name);
        let key =
            key.iter()
                .map(|name| {
                    index(name).ok_or_else(|| {
                        Error::config(format!("key column `{name}` does not exist in stream `{stream}`"))
                            .hint(format!(
                                "choose from: {}",
                                fields.iter().map(|field| field.name.as_str()).collect::<Vec<_>>().join(", ")
                            ))
                    })
                })
                .collect::<Result<Vec<_>>>()?;
        let digest = Digest::of(&to_json(&document)?);
        Ok(Self { document, key, digest })
    }

    /// The same schema with one column of our own at the end. Its name may begin with [`RESERVED_PREFIX`].
    pub(crate) fn with_own_field(&self, field: Field) -> Result<Arc<Self>> {
        let mut document = self.document.clone();
        document.fields.push(field);
        let digest = Digest::of(&to_json(&document)?);
        Ok(Arc::new(Self { document, key: self.key.clone(), digest }))
    }

    /// The canonical JSON that [`StreamSchema::digest`] is taken of.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        to_json(&self.document)
    }

    /// The stream it describes.
    pub fn stream(&self) -> &StreamName {
        &self.document.stream
    }

    /// Its columns, in order.
    pub fn fields(&self) -> &[Field] {
        &self.document.fields
    }

    /// Indices of the key columns, in key order; empty when the stream has no key.
    pub fn key(&self) -> &[usize] {
        &self.key
    }

    /// Names of the key columns, in key order.
    pub fn key_names(&self) -> &[String] {
        &self.document.key
    }

    /// The hash of its content, which names it.
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

fn to_json(document: &Document) -> Result<Vec<u8>> {
    serde_json::to_vec(document).map_err(|error| Error::internal("a schema cannot be written").source(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(names: &[&str]) -> Vec<Field> {
        names.iter().map(|name| Field::new(*name, Kind::Int64)).collect()
    }

    #[test]
    fn a_schema_survives_its_json() {
        let kinds = [
            Kind::Decimal { precision: 12, scale: 2 },
            Kind::Enum { labels: vec!["a".into(), "b".into()] },
            Kind::List { of: Box::new(Kind::Other { name: "inet".into() }) },
            Kind::Json,
            Kind::Other { name: "inet".into() },
        ];
        let fields = kinds
            .into_iter()
            .enumerate()
            .map(|(i, kind)| Field::new(format!("c{i}"), kind))
            .collect::<Vec<_>>();
        let schema = StreamSchema::new(StreamName::new("s"), fields, vec!["c0".into()]).unwrap();
        assert_eq!(StreamSchema::from_json(&schema.to_json().unwrap()).unwrap(), schema);
    }

    #[test]
    fn unsound_schemas_are_refused_by_name() {
        let build = |names: &[&str], key: &[&str]| {
            let key = key.iter().map(|name| name.to_string()).collect();
            StreamSchema::new(StreamName::new("s"), fields(names), key).unwrap_err().to_string()
        };
        assert_eq!(build(&["a", "a"], &[]), "stream `s` has two columns named `a`");
        assert_eq!(build(&["_tidemark_op"], &[]), "column `_tidemark_op` of stream `s` has a reserved name");
        assert_eq!(build(&["a"], &["b"]), "key column `b` does not exist in stream `s`");
        assert_eq!(build(&[], &[]), "stream `s` has no columns");
    }
}
