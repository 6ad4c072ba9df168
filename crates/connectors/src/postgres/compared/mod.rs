//! A table of a PostgreSQL database, compared with another of whatever system.
//!
//! | Question | Module |
//! |---|---|
//! | How does a server hash its own rows? | `servers` |
//! | How are they read to be hashed here? | `here` |
//! | Which rows are meant? | `condition`, `key_literal` |

mod condition;
mod here;
mod key_literal;
mod servers;

use std::sync::Arc;

use async_trait::async_trait;
use tidemark_engine::{Error, Result, schema::Kind};
use tokio_postgres::error::SqlState;

use super::{
    connection::{Server, Session, failure},
    source::{
        sync::plan,
        table::{Shape, Table as PostgresTable},
    },
};
use crate::comparing::{Described, Order, Place, Side, Table, Terms};

/// Ranges are not kept anywhere, so there may be many.
const MOST_RANGES: i64 = 16_384;

/// Nothing is written, and what is hidden from us is an error, not a difference.
const SETTINGS: &str = "SET default_transaction_read_only = on; SET row_security = off";

/// A session that compares.
pub(super) async fn connect(server: &Server) -> Result<Arc<Session>> {
    let session = server.connect("verify").await?;
    let set = session.batch_execute(SETTINGS).await;
    set.map_err(|error| failure("cannot set up a session", error))?;
    Ok(Arc::new(session))
}

/// A table and the columns of it that can be compared.
pub(super) struct ComparedTable {
    session: Arc<Session>,
    shape: Shape,
    columns: Vec<Described>,
}

impl ComparedTable {
    pub(super) fn new(session: Arc<Session>, shape: Shape) -> Self {
        let columns = shape.table.columns.iter().zip(&shape.types).map(|(column, column_type)| Described {
            name: column.name.clone(),
            kind: column_type.kind.clone(),
            place: Place::Postgres,
            server_text: Some(column_type.text_form()),
        });
        let columns = columns.collect();
        Self { session, shape, columns }
    }

    /// The columns that are compared, in the order of `terms`.
    fn narrowed(&self, terms: &Terms) -> Result<Shape> {
        let Shape { table, types, .. } = &self.shape;
        let (mut columns, mut chosen) = (Vec::new(), Vec::new());
        for wanted in &terms.columns {
            let exact = table.columns.iter().position(|column| column.name == wanted.name);
            // The other side may not tell upper case from lower case.
            let alike = || table.columns.iter().position(|it| it.name.eq_ignore_ascii_case(&wanted.name));
            let index = exact
                .or_else(alike)
                .ok_or_else(|| Error::internal("a column is compared that is not there"))?;
            columns.push(table.columns[index].clone());
            chosen.push(types[index].clone());
        }
        let table = PostgresTable { columns, key: Vec::new(), ..table.as_ref().clone() };
        let names = table.columns.iter().map(|column| column.name.as_str());
        let schema = table.schema(names.zip(&chosen))?;
        Ok(Shape { table: Arc::new(table), schema, types: chosen })
    }
}

#[async_trait]
impl Table for ComparedTable {
    fn columns(&self) -> &[Described] {
        &self.columns
    }

    fn key(&self) -> &[String] {
        &self.shape.table.key
    }

    async fn order(&self, column: &str) -> Result<Option<Order>> {
        let Some(described) = self.columns.iter().find(|described| described.name == column) else {
            return Ok(None);
        };
        Ok(match described.kind {
            Kind::Int16 | Kind::Int32 | Kind::Int64 | Kind::UInt32 => Some(Order::Number),
            Kind::Uuid => Some(Order::Uuid),
            Kind::Bytes => Some(Order::Bytes),
            Kind::Text => {
                plan::is_bytewise(&self.session, &self.shape.table, column).await?.then_some(Order::Text)
            }
            _ => None,
        })
    }

    async fn bounds(&self, column: &str) -> Result<Vec<String>> {
        plan::bounds(&self.session, &self.shape.table, column, MOST_RANGES).await
    }

    fn side(self: Box<Self>, terms: Arc<Terms>) -> Result<Box<dyn Side>> {
        let shape = self.narrowed(&terms)?;
        Ok(match terms.by_servers {
            true => Box::new(servers::ByServer::new(self.session, shape, &terms)),
            false => Box::new(here::Here::new(self.session, shape, terms)),
        })
    }
}

/// That something of a table could not be read. One that was altered meanwhile can be looked at again.
fn cannot_compare(shape: &Shape, error: tokio_postgres::Error) -> Error {
    let id = &shape.table.id;
    let changed = [SqlState::UNDEFINED_COLUMN, SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_FUNCTION];
    if error.code().is_some_and(|code| changed.contains(code)) {
        return Error::unavailable(format!("table `{id}` was altered while it was being compared"));
    }
    failure(format!("cannot compare table `{id}`"), error)
}
