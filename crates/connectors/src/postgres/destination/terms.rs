//! Whose tables these are, how they are called, and what the pipeline file says of them.

use std::{collections::HashSet, sync::Arc};

use tidemark_engine::{
    Error, LogId,
    schema::{Field, StreamName, StreamSchema},
};

use super::{
    failure::Result,
    ledger::{self, Tenure},
    shadow,
};
use crate::{
    config::Writing,
    postgres::{
        identifier::{LONGEST, TableId},
        types::Target,
    },
};

/// The schema of streams that have none in their name.
const DEFAULT_SCHEMA: &str = "public";

/// Whose tables these are and what the pipeline file says of them.
#[derive(Clone)]
pub(super) struct Terms {
    pub(super) writing: Writing,
    /// The schema of all tables, where one is named.
    pub(super) schema: Option<String>,
    pub(super) log: LogId,
    pub(super) tenure: Arc<Tenure>,
    /// Under whose name the tables are kept whose place these will take, where they are shadows.
    pub(super) shadows: Option<String>,
    /// Who we are at the server.
    pub(super) user: String,
    /// The types that the database has.
    pub(super) types: Arc<HashSet<String>>,
}

impl Terms {
    /// How a new column for `field` is declared.
    pub(super) fn target(&self, field: &Field) -> Target {
        Target::of(field, &|name| self.types.contains(name))
    }

    /// The same for the shadows of these tables.
    pub(super) fn of_shadows(&self) -> Self {
        let tenure = Arc::new(self.tenure.of(shadow::anew(&self.tenure.holder)));
        Self { tenure, shadows: Some(self.tenure.holder.clone()), ..self.clone() }
    }

    /// Where the changes of `stream` go.
    pub(super) fn table_of(&self, stream: &StreamName) -> Result<TableId> {
        self.table_of_holder(&self.tenure.holder, stream)
    }

    /// The table whose place that of `stream` will take, where it is a shadow, and under whose name that one is kept.
    pub(super) fn place_of(&self, stream: &StreamName) -> Result<Option<(TableId, &str)>> {
        let Some(holder) = &self.shadows else { return Ok(None) };
        Ok(Some((self.table_of_holder(holder, stream)?, holder)))
    }

    fn table_of_holder(&self, holder: &str, stream: &StreamName) -> Result<TableId> {
        if holder != self.writing.destination {
            return Ok(shadow::table(holder, stream));
        }
        let id = table_of(self.schema.as_deref(), &self.writing, stream);
        check_name("schema", &id.schema, "choose another with `schema`")?;
        check_name("table", &id.name, "choose another with `table`")?;
        if id.schema == ledger::SCHEMA || id.schema.starts_with("pg_") || id.schema == "information_schema" {
            return Err(Error::config(format!(
                "stream `{stream}` would be kept in schema `{}`, which is taken",
                id.schema
            ))
            .hint("choose another with `schema`")
            .into());
        }
        Ok(id)
    }
}

/// Where the changes of `stream` go, as far as the pipeline file says; `schema` is the one schema of all tables, if it names one.
pub(super) fn table_of(schema: Option<&str>, writing: &Writing, stream: &StreamName) -> TableId {
    let parts =
        stream.as_str().split_once('.').filter(|(schema, name)| !schema.is_empty() && !name.is_empty());
    let (own, name) = parts.unwrap_or((DEFAULT_SCHEMA, stream.as_str()));
    let schema = schema.unwrap_or(own).to_owned();
    TableId { schema, name: writing.table.of(&StreamName::new(name)) }
}

/// Refuses a schema that cannot be written in the destination's mode.
pub(super) fn check_schema(writing: &Writing, schema: &StreamSchema) -> Result<()> {
    let stream = schema.stream();
    if writing.mode.needs_key() && schema.key().is_empty() {
        let mode = writing.mode.as_str();
        return Err(Error::config(format!("stream `{stream}` has no key, which `write: {mode}` asks for"))
            .hint(format!(
                "name its key with `streams: {{{stream}: {{key: [...]}}}}`, or use `write: append`"
            ))
            .into());
    }
    schema
        .fields()
        .iter()
        .try_for_each(|field| check_name("column", &field.name, "rename it at the source, or exclude it"))
}

/// Refuses a name that PostgreSQL cannot keep as it is: it would cut it off, and could so make two names one.
fn check_name(what: &str, name: &str, hint: &str) -> Result<()> {
    let shown = name.replace('\0', "\u{2400}");
    if name.is_empty() {
        return Err(Error::config(format!("a {what} would have no name")).hint(hint).into());
    }
    if name.len() > LONGEST {
        return Err(Error::config(format!(
            "the name of {what} `{shown}` is {} bytes long, and PostgreSQL keeps {LONGEST}",
            name.len()
        ))
        .hint(hint)
        .into());
    }
    if name.contains('\0') {
        return Err(Error::config(format!(
            "the name of {what} `{shown}` holds a NUL, which PostgreSQL cannot keep"
        ))
        .hint(hint)
        .into());
    }
    Ok(())
}
