//! The table of one stream: made on first sight, grown and widened as the stream's schema does, never narrowed.

use tidemark_engine::{
    Digest, Error, ErrorKind,
    schema::{Field, StreamName, StreamSchema},
    write::WriteMode,
};
use tokio_postgres::{Client, error::SqlState};

use super::{
    adopt,
    claim::{Claim, removed},
    failure::{Failure, Result},
    key,
    place::Place,
    relation::{Existing, Relation},
    terms::{Terms, check_schema},
    widen,
    writer::Writer,
};
use crate::{
    metadata,
    postgres::{
        identifier::{TableId, quoted},
        types::{Catalog, Target},
    },
};

/// How a table whose content cannot go on is filled from the beginning.
pub(super) const START_ANEW: &str =
    "give the destination a new name and `table`: it is filled anew from the staging log";

/// The metadata columns of `append`, as they are declared. Positions sort as the changes came.
const APPEND_COLUMNS: &[(&str, &str)] = &[
    (metadata::POSITION, "text COLLATE \"C\""),
    (metadata::OP, "text NOT NULL"),
    (metadata::SOURCE_TIME, "timestamp with time zone"),
    (metadata::UNCHANGED, "text"),
];

/// Those of `history`: each row is a version of a record.
const HISTORY_COLUMNS: &[(&str, &str)] = &[
    (metadata::POSITION, "text COLLATE \"C\""),
    (metadata::VALID_FROM, "timestamp with time zone NOT NULL"),
    (metadata::VALID_TO, "timestamp with time zone"),
];

/// A table that is ready for the changes of one schema.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) stream: StreamName,
    pub(super) id: TableId,
    /// The schema it is ready for.
    pub(super) schema: Digest,
    /// Whether we made it.
    pub(super) made: bool,
    /// For each field of the schema, its column.
    pub(super) fields: Vec<StoredField>,
    /// The fields that tell records apart; none in `append`.
    pub(super) key: Vec<usize>,
    /// Whether keys that differ to us differ to PostgreSQL.
    pub(super) is_exact: bool,
    /// The names as SQL of all columns that take values, those of others included.
    pub(super) columns: Vec<String>,
    /// Every column with its type.
    types: String,
}

/// The column of a field.
#[derive(Debug)]
pub(super) struct StoredField {
    pub(super) plain: String,
    /// The name as SQL.
    pub(super) name: String,
    pub(super) target: Target,
}

impl StoredField {
    pub(super) fn new(name: &str, target: Target) -> Self {
        Self { plain: name.to_owned(), name: quoted(name), target }
    }
}

impl Table {
    /// Makes the table of `schema` ready for it, inside a transaction, and tells the newest commit of the log it has seen.
    pub(super) async fn prepare(
        writer: &Writer,
        terms: &Terms,
        schema: &StreamSchema,
    ) -> Result<(Self, Option<u64>)> {
        let (client, stream) = (writer.client(), schema.stream());
        let id = terms.table_of(stream)?;
        check_schema(&terms.writing, schema)?;
        let relation = Relation::find(client, &id).await?;
        if let Some(relation) = &relation {
            relation.check_kind(&id)?;
        }
        let place = Place::find(client, terms, stream).await?;
        let (holder, mode) = (&terms.tenure.holder, terms.writing.mode);
        let claim = Claim::of(client, terms, holder, &id, stream, relation.as_ref()).await?;
        let made = claim.is_made();
        let owner = claim.take(client, terms, &terms.tenure, &id, stream).await?;
        let applied = owner.and_then(|owner| owner.applied);
        let fields = match (made, relation) {
            (true, None) => create(client, terms, &id, schema, place.as_ref()).await?,
            (true, Some(relation)) => adapt(client, terms, &id, relation, schema, place.as_ref()).await?,
            (false, Some(relation)) => {
                adopt::check_mode(&id, &relation, mode)?;
                adopt::check(client, terms, &id, &relation, schema).await?
            }
            (false, None) => return Err(removed(&id).into()),
        };
        let columns = Relation::find(client, &id).await?.map(|relation| relation.columns).unwrap_or_default();
        let types = columns.iter().map(|column| format!("{} {}", quoted(&column.name), column.declared));
        let types = types.collect::<Vec<_>>().join(", ");
        let columns =
            columns.iter().filter(|column| !column.is_generated).map(|column| quoted(&column.name)).collect();
        let key = if mode == WriteMode::Append { Vec::new() } else { schema.key().to_vec() };
        let is_exact =
            |index: &usize| key::is_exact(&schema.fields()[*index].kind, fields[*index].target.declared());
        let is_exact = made && key.iter().all(is_exact);
        Ok((
            Self {
                stream: stream.clone(),
                id,
                schema: schema.digest(),
                made,
                fields,
                key,
                is_exact,
                columns,
                types,
            },
            applied,
        ))
    }

    /// The field that says when a record was deleted, in `soft-delete`.
    pub(super) fn deleted_at(&self) -> Option<usize> {
        self.fields.iter().position(|field| field.plain == metadata::DELETED_AT)
    }

    /// The names of all columns as SQL, each after `qualifier`.
    pub(super) fn column_list(&self, qualifier: &str) -> String {
        let names = self.columns.iter().map(|name| format!("{qualifier}{name}"));
        names.collect::<Vec<_>>().join(", ")
    }

    /// What temporary tables are made by: the fields, and every column with its type.
    pub(super) fn shape(&self) -> String {
        format!("{}; {}", self.field_list(), self.types)
    }

    /// The names of the fields' columns as SQL.
    pub(super) fn field_list(&self) -> String {
        self.fields.iter().map(|field| field.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// The names of the key's columns as SQL.
    pub(super) fn key_list(&self) -> String {
        self.key.iter().map(|&index| self.fields[index].name.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// The condition that the row `table` of the table has the key in `work`: the fields' columns (`c`) or the old key's (`o`).
    pub(super) fn key_equals(&self, table: &str, work: &str, column: char) -> String {
        let parts = self.key.iter().enumerate().map(|(part, &index)| {
            let number = if column == 'c' { index } else { part };
            format!("{table}.{} = {work}.{column}{number}", self.fields[index].name)
        });
        parts.collect::<Vec<_>>().join(" AND ")
    }

    /// The statement that sets every field of the rows of `query`, new or not.
    pub(super) fn upsert_sql(&self, query: &str) -> String {
        let others = self.fields.iter().enumerate().filter(|(index, _)| !self.key.contains(index));
        let sets = others.map(|(_, field)| format!("{0} = excluded.{0}", field.name)).collect::<Vec<_>>();
        let action =
            if sets.is_empty() { "NOTHING".to_owned() } else { format!("UPDATE SET {}", sets.join(", ")) };
        format!(
            "INSERT INTO {} ({}) {query} ON CONFLICT ({}) DO {action}",
            self.id.sql(),
            self.field_list(),
            self.key_list()
        )
    }
}

/// The columns that identify a row, in order.
pub(super) fn key_of(mode: WriteMode, schema: &StreamSchema) -> Vec<String> {
    match mode {
        WriteMode::Append | WriteMode::History => vec![metadata::POSITION.to_owned()],
        _ => schema.key_names().to_vec(),
    }
}

/// The metadata columns of `mode` and their declarations.
pub(super) fn metadata_of(mode: WriteMode) -> &'static [(&'static str, &'static str)] {
    match mode {
        WriteMode::Append => APPEND_COLUMNS,
        WriteMode::History => HISTORY_COLUMNS,
        WriteMode::Mirror | WriteMode::SoftDelete | WriteMode::Replace => &[],
    }
}

/// How `field` is written into a column that is there.
///
/// Fails with [`tidemark_engine::ErrorKind::Config`] where that would alter values.
async fn fitting(client: &Client, field: &Field, column: &Existing) -> Result<Target> {
    let types = Catalog::default().resolve(client, &[(column.type_oid, column.typmod)]).await?;
    let found = types.first().ok_or_else(|| Error::internal("a column has no type"))?;
    Ok(Target::existing(field, found)?)
}

/// Makes the table; where it is a shadow, with the types and collations of the columns whose place its own will take.
async fn create(
    client: &Client,
    terms: &Terms,
    id: &TableId,
    schema: &StreamSchema,
    place: Option<&Place>,
) -> Result<Vec<StoredField>> {
    let mode = terms.writing.mode;
    make_schema(client, &id.schema, &terms.user).await?;
    let targets = targets(client, terms, schema, place).await?;
    let there = |name: &str| place.and_then(|place| place.relation.column(name));
    let metadata = metadata_of(mode).iter().map(|&(name, declared)| (name, declared, there(name).is_some()));
    let fields = schema.fields().iter().zip(&targets).map(|(field, target)| {
        let declared = target.declared();
        let is_alike = there(&field.name).is_some_and(|column| column.declared == declared);
        (field.name.as_str(), declared, is_alike)
    });
    let (mut alike, mut own) = (Vec::new(), Vec::new());
    for (name, declared, is_alike) in metadata.chain(fields) {
        match is_alike {
            true => alike.push(quoted(name)),
            false => own.push(format!("{} {declared}", quoted(name))),
        }
    }
    let (table, keys) = (id.sql(), keys_sql(id, mode, schema));
    let (alike, own) = (alike.join(", "), own.iter().map(|column| format!("ADD {column}")));
    let from = place.map(|place| place.id.sql()).unwrap_or_default();
    let create = match alike.is_empty() {
        true => format!("CREATE TABLE {table} ()"),
        false => format!("CREATE TABLE {table} AS SELECT {alike} FROM {from} WITH NO DATA"),
    };
    let own = own.collect::<Vec<_>>().join(", ");
    let add = if own.is_empty() { String::new() } else { format!("ALTER TABLE {table} {own};") };
    let create = client.batch_execute(&format!("{create}; {add} {keys}")).await;
    let fields = schema.fields().iter().zip(targets);
    let fields = fields.map(|(field, target)| StoredField::new(&field.name, target)).collect();
    match create {
        Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
            Err(Error::denied(format!("table `{id}` may not be made"))
                .hint(format!(
                    "run: GRANT CREATE ON SCHEMA {} TO {}",
                    quoted(&id.schema),
                    quoted(&terms.user)
                ))
                .into())
        }
        created => Ok(created.map(|()| fields)?),
    }
}

/// The statements that give a table its keys: what identifies its rows, and in `history` that a record has one version which is
/// valid now.
pub(super) fn keys_sql(id: &TableId, mode: WriteMode, schema: &StreamSchema) -> String {
    let list = |names: &[String]| names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
    let mut statements = String::new();
    let key = key_of(mode, schema);
    if !key.is_empty() {
        statements += &format!("ALTER TABLE {} ADD PRIMARY KEY ({});", id.sql(), list(&key));
    }
    if mode == WriteMode::History {
        let (key, valid_to) = (list(schema.key_names()), quoted(metadata::VALID_TO));
        statements += &format!("CREATE UNIQUE INDEX ON {} ({key}) WHERE {valid_to} IS NULL;", id.sql());
    }
    statements
}

/// How each field is stored in a new table: in a shadow as in the table whose place it will take, as far as that can hold it.
async fn targets(
    client: &Client,
    terms: &Terms,
    schema: &StreamSchema,
    place: Option<&Place>,
) -> Result<Vec<Target>> {
    if let Some(place) = place.filter(|place| !place.made) {
        let fields = adopt::check(client, terms, &place.id, &place.relation, schema).await?;
        return Ok(fields.into_iter().map(|field| field.target).collect());
    }
    let mut targets = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        targets.push(target(client, terms, field, place).await?);
    }
    Ok(targets)
}

async fn target(client: &Client, terms: &Terms, field: &Field, place: Option<&Place>) -> Result<Target> {
    let Some(column) = place.and_then(|place| place.relation.column(&field.name)) else {
        return Ok(terms.target(field));
    };
    match fitting(client, field, column).await {
        Err(Failure::Known(error)) if error.kind() == ErrorKind::Config => Ok(terms.target(field)),
        fits => fits,
    }
}

pub(super) async fn make_schema(client: &Client, schema: &str, user: &str) -> Result<()> {
    let exists = "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)";
    if client.query_one(exists, &[&schema]).await?.get(0) {
        return Ok(());
    }
    let name = quoted(schema);
    match client.batch_execute(&format!("CREATE SCHEMA {name}")).await {
        Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
            Err(Error::denied(format!("schema `{schema}` may not be made"))
                .hint(format!(
                    "run: CREATE SCHEMA {name} AUTHORIZATION {}; or choose another with `schema`",
                    quoted(user)
                ))
                .into())
        }
        made => Ok(made?),
    }
}

/// Adds and widens columns of a table we made until it can hold the changes of `schema`.
async fn adapt(
    client: &Client,
    terms: &Terms,
    id: &TableId,
    relation: Relation,
    schema: &StreamSchema,
    place: Option<&Place>,
) -> Result<Vec<StoredField>> {
    let mode = terms.writing.mode;
    adopt::check_mode(id, &relation, mode)?;
    let adopted = place.filter(|place| !place.made);
    if let Some(place) = adopted {
        adopt::check(client, terms, &place.id, &place.relation, schema).await?;
    }
    let had = relation.key(client, mode).await?;
    let key = if mode == WriteMode::Append { key_of(mode, schema) } else { schema.key_names().to_vec() };
    if had != key {
        let (had, key) = (had.join("`, `"), key.join("`, `"));
        return Err(Error::conflict(format!(
            "table `{id}` has the key `{had}`, but its stream now asks for `{key}`"
        ))
        .hint(START_ANEW)
        .into());
    }
    let mut fields = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let target = match relation.column(&field.name) {
            None => {
                let target = target(client, terms, field, place).await?;
                let (table, column) = (id.sql(), quoted(&field.name));
                client
                    .batch_execute(&format!("ALTER TABLE {table} ADD COLUMN {column} {}", target.declared()))
                    .await?;
                target
            }
            Some(column) if adopted.is_some() => fitting(client, field, column).await?,
            Some(column) => hold(client, terms, id, column, field).await?,
        };
        fields.push(StoredField::new(&field.name, target));
    }
    Ok(fields)
}

/// Makes an existing column hold `field`, by another type where its own would refuse some of the field's values.
async fn hold(
    client: &Client,
    terms: &Terms,
    id: &TableId,
    column: &Existing,
    field: &Field,
) -> Result<Target> {
    let wanted = terms.target(field);
    if wanted.declared() == column.declared {
        return Ok(wanted);
    }
    let from = &column.declared;
    let mut to = widen::widened(from, wanted.declared());
    if &to == from {
        match fitting(client, field, column).await {
            // Text holds everything.
            Err(Failure::Known(error)) if error.kind() == ErrorKind::Config => to = widen::TEXT.to_owned(),
            fits => return fits,
        }
    }
    let name = quoted(&field.name);
    if to != widen::TEXT && is_altered(client, id, &name, from, &to).await? {
        to = widen::TEXT.to_owned();
    }
    if to == widen::TEXT && is_altered(client, id, &name, from, &to).await? {
        return Err(Error::config(format!(
            "column `{}` of table `{id}` has the type `{from}`, and what it holds has no text that later values would have",
            field.name
        ))
        .hint(START_ANEW)
        .into());
    }
    let (table, conversion) = (id.sql(), widen::conversion(&name, from, &to));
    client
        .batch_execute(&format!("ALTER TABLE {table} ALTER COLUMN {name} TYPE {to} USING {conversion}"))
        .await?;
    match Relation::find(client, id).await?.as_ref().and_then(|relation| relation.column(&field.name)) {
        Some(column) => fitting(client, field, column).await,
        None => Err(Error::internal(format!("table `{id}` lacks a column it was given")).into()),
    }
}

/// Whether the column `name` of table `id` holds a value that would not be the same under the type `to`.
pub(super) async fn is_altered(
    client: &Client,
    id: &TableId,
    name: &str,
    from: &str,
    to: &str,
) -> Result<bool> {
    let Some(condition) = widen::is_altered(name, from, to) else { return Ok(false) };
    let sql = format!("SELECT EXISTS (SELECT FROM {} WHERE {condition})", id.sql());
    Ok(client.query_one(&sql, &[]).await?.get(0))
}
