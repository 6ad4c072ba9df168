//! The destination's side of a comparison.

use std::sync::Arc;

use async_trait::async_trait;
use tidemark_engine::{Error, Result, schema::StreamName, write::Standing};
use tokio::sync::OnceCell;

use super::{
    Destination,
    failure::{Failure, Result as Outcome},
    ledger,
    relation::{Existing, Relation},
};
use crate::{
    comparing::{Replica, Table, ended_by},
    config::Writing,
    postgres::{
        DestinationConfig,
        compared::{self, ComparedTable},
        connection::{Server, Session},
        identifier::{TableId, quoted},
        source::table::{Column, Shape, Table as ShapedTable},
        types::Catalog,
    },
};

impl Destination {
    /// The destination that `config` describes, to be compared with its source. Connects when it is first asked.
    pub fn compared(config: &DestinationConfig, writing: Writing) -> Result<impl Replica + use<>> {
        Ok(Compared { server: Server::parse(config.url.expose())?, writing, session: OnceCell::new() })
    }
}

struct Compared {
    server: Server,
    writing: Writing,
    session: OnceCell<Arc<Session>>,
}

impl Compared {
    async fn session(&self) -> Result<&Arc<Session>> {
        self.session.get_or_try_init(|| compared::connect(&self.server)).await
    }

    fn explain(&self, failure: Failure) -> Error {
        failure.explain(format_args!("cannot look at `{}`", self.server.place()))
    }
}

#[async_trait]
impl Replica for Compared {
    async fn standing(&self) -> Result<Option<Standing>> {
        let standing = standing(self.session().await?, &self.writing.destination).await;
        standing.map_err(|failure| self.explain(failure))
    }

    async fn hold_still(&self) -> Result<Option<Standing>> {
        let begun =
            self.session().await?.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await;
        begun.map_err(|error| self.explain(error.into()))?;
        self.standing().await
    }

    async fn table(&self, stream: &StreamName) -> Result<Option<Box<dyn Table>>> {
        let session = self.session().await?;
        let shape = shape(session, &self.writing, stream).await.map_err(|failure| self.explain(failure))?;
        Ok(shape.map(|shape| Box::new(ComparedTable::new(session.clone(), shape)) as Box<dyn Table>))
    }
}

/// Where `destination` stands, for one who only looks.
async fn standing(session: &Session, destination: &str) -> Outcome<Option<Standing>> {
    if !ledger::exists(session).await? {
        return Ok(None);
    }
    let sql = "SELECT epoch, log, sequence, hash, notes FROM _tidemark.positions WHERE destination = $1";
    match session.query_opt(sql, &[&destination]).await? {
        Some(row) => ledger::standing(destination, &row),
        None => Ok(None),
    }
}

/// The table of `stream`, without the columns that are ours, and of its rows those that the source should have too.
async fn shape(session: &Session, writing: &Writing, stream: &StreamName) -> Outcome<Option<Shape>> {
    if !ledger::exists(session).await? {
        return Ok(None);
    }
    let sql = "SELECT schema, name FROM _tidemark.tables WHERE destination = $1 AND stream = $2";
    let row = session.query_opt(sql, &[&writing.destination, &stream.as_str()]).await?;
    let Some(id) = row.map(|row| TableId { schema: row.get(0), name: row.get(1) }) else { return Ok(None) };
    let Some(relation) = Relation::find(session, &id).await? else { return Ok(None) };
    let is_own = |column: &&Existing| !column.name.starts_with(tidemark_engine::schema::RESERVED_PREFIX);
    let columns: Vec<_> = relation.columns.iter().filter(is_own).collect();
    let wanted: Vec<_> = columns.iter().map(|column| (column.type_oid, column.typmod)).collect();
    let types = Catalog::default().resolve(session, &wanted).await?;
    let columns = columns.into_iter().map(|column| Column {
        name: column.name.clone(),
        type_oid: column.type_oid,
        modifier: column.typmod,
        // A NULL in a key is looked for, whatever the table says of its columns.
        not_null: false,
    });
    let condition = ended_by(writing.mode).map(|column| format!("{} IS NULL", quoted(column)));
    let table = table(session, id, columns.collect(), condition).await?;
    let names = table.columns.iter().map(|column| column.name.as_str());
    let schema = table.schema(names.zip(&types))?;
    Ok(Some(Shape { table: Arc::new(table), schema, types }))
}

async fn table(
    session: &Session,
    id: TableId,
    columns: Vec<Column>,
    condition: Option<String>,
) -> Outcome<ShapedTable> {
    let row = session.query_one("SELECT $1::text::regclass::oid", &[&id.sql()]).await?;
    Ok(ShapedTable {
        id,
        oid: row.get(0),
        published: None,
        // Whatever else is kept with it belongs to it.
        partitioned: true,
        columns,
        key: Vec::new(),
        excluded: Vec::new(),
        condition,
        layout: String::new(),
    })
}
