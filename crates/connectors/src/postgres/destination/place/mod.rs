//! A shadow takes the place of a table.
//!
//! The table itself stays, with whatever depends on it: its content is brought to the shadow's, and only what differs is written.
//! It all happens in the transaction of the position, so a reader sees the one or the other.

mod columns;
mod contents;
mod key;

use tidemark_engine::{Error, Time, schema::StreamName, write::WriteMode};
use tokio_postgres::Client;

use super::{
    claim::Claim,
    failure::{Failure, Result},
    history,
    ledger::integer,
    literal::Literal,
    relation::Relation,
    table::make_schema,
    terms::Terms,
    writer::Writer,
};
use crate::{
    metadata,
    postgres::identifier::{TableId, literal, quoted},
};

/// The table whose place a shadow will take.
pub(super) struct Place {
    pub(super) id: TableId,
    pub(super) relation: Relation,
    /// Whether we made it.
    pub(super) made: bool,
}

impl Place {
    /// The table whose place that of `stream` will take, where there is one.
    pub(super) async fn find(client: &Client, terms: &Terms, stream: &StreamName) -> Result<Option<Self>> {
        let Some((id, holder)) = terms.place_of(stream)? else { return Ok(None) };
        let relation = Relation::find(client, &id).await?;
        if let Some(relation) = &relation {
            relation.check_kind(&id)?;
        }
        let claim = Claim::of(client, terms, holder, &id, stream, relation.as_ref()).await?;
        let made = claim.is_made();
        Ok(relation.map(|relation| Self { id, relation, made }))
    }
}

/// What a shadow is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// A new generation of a stream, which was complete at this time.
    Generation(Time),
    /// All that its table is to be.
    All,
}

/// Has the shadow of `stream`, which `terms` speak of, take its place. The shadow is gone then. `seen` is the last commit of which
/// it has the changes.
pub(super) async fn take(
    writer: &mut Writer,
    terms: &Terms,
    stream: &StreamName,
    of: Of,
    seen: u64,
) -> Result<()> {
    let taken = take_place(writer, terms, stream, of, seen).await;
    taken.map_err(|failure| {
        failure.of_stream(format_args!("cannot fill the table of stream `{stream}` anew"), stream)
    })
}

async fn take_place(
    writer: &mut Writer,
    terms: &Terms,
    stream: &StreamName,
    of: Of,
    seen: u64,
) -> Result<()> {
    let (shadow, mode) = (terms.table_of(stream)?, terms.writing.mode);
    let no_shadow = || Failure::Known(Error::internal("a table that is no shadow has no place to take"));
    let (id, holder) = terms.place_of(stream)?.ok_or_else(no_shadow)?;
    let filled = Relation::find(writer.client(), &shadow).await?;
    let there = Relation::find(writer.client(), &id).await?;
    if filled.is_none() && there.is_none() {
        return forget(writer, terms, stream).await;
    }
    let claim = Claim::of(writer.client(), terms, holder, &id, stream, there.as_ref()).await?;
    let made = claim.is_made();
    let tenure = terms.tenure.of(holder.to_owned());
    claim.take(writer.client(), terms, &tenure, &id, stream).await?;
    let relation = match (&filled, there) {
        (Some(_), None) => Some(make(writer, terms, &shadow, &id).await?),
        (_, there) => there,
    };
    match filled.zip(relation) {
        None => empty(writer, &id, mode, of).await?,
        Some((filled, relation)) => {
            relation.check_kind(&id)?;
            let place = Place { id: id.clone(), relation, made };
            let exchange = contents::Exchange::prepare(writer, terms, &shadow, &filled, place).await?;
            exchange.run(writer, of).await?;
        }
    }
    note_applied(writer, terms, &id, seen).await?;
    forget(writer, terms, stream).await
}

/// There is no shadow, for nothing was written to it: nothing is what the stream has.
async fn empty(writer: &Writer, id: &TableId, mode: WriteMode, of: Of) -> Result<()> {
    let table = id.sql();
    let sql = match (mode, of) {
        (WriteMode::Append, _) => return Ok(()),
        (WriteMode::SoftDelete, Of::Generation(time)) => {
            let (deleted, time) = (quoted(metadata::DELETED_AT), constant(time)?);
            format!("UPDATE {table} SET {deleted} = {time} WHERE {deleted} IS NULL")
        }
        (WriteMode::History, Of::Generation(time)) => {
            let (history::Columns { valid_from, valid_to, .. }, time) =
                (history::Columns::new(), constant(time)?);
            format!("UPDATE {table} SET {valid_to} = greatest({time}, {valid_from}) WHERE {valid_to} IS NULL")
        }
        _ => format!("DELETE FROM {table}"),
    };
    writer.run(&sql).await
}

/// There is no table yet: makes one that is like the shadow, and empty.
async fn make(writer: &Writer, terms: &Terms, shadow: &TableId, id: &TableId) -> Result<Relation> {
    make_schema(writer.client(), &id.schema, &terms.user).await?;
    let (table, shadow) = (id.sql(), shadow.sql());
    writer.run(&format!("CREATE TABLE {table} (LIKE {shadow} INCLUDING INDEXES)")).await?;
    let made = Relation::find(writer.client(), id).await?;
    Ok(made.ok_or_else(|| Error::internal(format!("table `{id}` is not there though it was made")))?)
}

/// Notes that table `id` is as of commit `seen` of the log: what comes after it is news, whatever there was before.
async fn note_applied(writer: &mut Writer, terms: &Terms, id: &TableId, seen: u64) -> Result<()> {
    // Nothing is taken away in `append`, so what has been seen has been seen.
    let applied = match terms.writing.mode {
        WriteMode::Append => "greatest($4, CASE WHEN log = $3 THEN applied END)",
        _ => "$4",
    };
    let sql =
        format!("UPDATE _tidemark.tables SET log = $3, applied = {applied} WHERE schema = $1 AND name = $2");
    let log = terms.log.as_str();
    writer.execute(&sql, &[&id.schema, &id.name, &log, &integer(seen)?]).await?;
    Ok(())
}

/// Removes the shadow of `stream`, and what is known of it.
pub(super) async fn forget(writer: &mut Writer, terms: &Terms, stream: &StreamName) -> Result<()> {
    let shadow = terms.table_of(stream)?;
    writer.run(&format!("DROP TABLE IF EXISTS {}", shadow.sql())).await?;
    writer.forget_statements();
    let (holder, stream) = (&terms.tenure.holder, stream.as_str());
    for table in ["tables", "loaded"] {
        let sql = format!("DELETE FROM _tidemark.{table} WHERE destination = $1 AND stream = $2");
        writer.execute(&sql, &[holder, &stream]).await?;
    }
    Ok(())
}

/// `time` as SQL.
fn constant(time: Time) -> Result<String> {
    Ok(format!("{}::timestamptz", literal(&Literal::time(time)?.0.unwrap_or_default())))
}
