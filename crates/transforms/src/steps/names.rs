//! Columns as a step names them.

use tidemark_engine::{Error, Result, schema::StreamSchema};

/// Names of columns. One that ends in `?` names a column that a stream may be without.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    names: Vec<String>,
    verb: &'static str,
}

impl Names {
    pub(crate) fn new(names: Vec<String>, verb: &'static str) -> Self {
        Self { names, verb }
    }

    /// The columns of `schema` that are meant, in the order of the names.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Config`] where the stream has no such column: a name that is misspelt would leave
    /// alone what it should hide.
    pub(crate) fn of(&self, schema: &StreamSchema) -> Result<Vec<usize>> {
        let mut found = Vec::new();
        for name in &self.names {
            let find = |name: &str| schema.fields().iter().position(|field| field.name == name);
            match (find(name), name.strip_suffix('?')) {
                (Some(index), _) => found.push(index),
                (None, Some(name)) => found.extend(find(name)),
                (None, None) => return Err(self.unknown(name, schema)),
            }
        }
        found.dedup();
        Ok(found)
    }

    fn unknown(&self, name: &str, schema: &StreamSchema) -> Error {
        let (verb, stream) = (self.verb, schema.stream());
        let names = schema.fields().iter().map(|field| field.name.as_str()).collect::<Vec<_>>().join(", ");
        Error::config(format!("`{verb}` names column `{name}`, which stream `{stream}` does not have"))
            .hint(format!(
                "choose from: {names}; write `{name}?` where a stream may be without it, or say with `streams` which streams the step is for"
            ))
            .of_stream(stream)
    }
}
