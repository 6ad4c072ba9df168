//! What a stream asks for, and what the database says of it.

use rusqlite::{Connection, Statement};
use tidemark_engine::{Error, Result};

use super::database::Database;
use crate::{
    queries::{Asked, QueryStream, Terms},
    sqlite::identifier::quote,
};

/// A stream's SELECT, without what one sweep adds to it.
#[derive(Debug, Clone)]
pub(super) struct Query {
    pub(super) stream: String,
    /// What stands behind FROM: the user's query in brackets, or a table.
    from: String,
    pub(super) terms: Terms,
    /// Whether the watermark's column turns numbers into text before it compares them.
    is_text_mark: bool,
}

impl Query {
    /// Asks the database what the stream `name` is like.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Config`] where it cannot be read, or would not only be read.
    pub(super) fn describe(
        connection: &Connection,
        database: &Database,
        name: &str,
        stream: &QueryStream,
    ) -> Result<Self> {
        let refused = |error| database.refusal(name, error);
        let (from, primary_key) = match stream.asked(name) {
            Asked::Table(table) => (quote(table)?, primary_key(connection, table).map_err(refused)?),
            Asked::Query(query) => {
                // Two columns of one name are told apart inside another query, so it is looked at by itself too.
                let statement = connection.prepare(query).map_err(refused)?;
                require_reading(name, &statement)?;
                // A line of its own, for the query may end in a comment.
                (format!("({query}\n)"), Vec::new())
            }
        };
        let statement = connection.prepare(&format!("SELECT * FROM {from}")).map_err(refused)?;
        require_reading(name, &statement)?;
        let columns = match stream.asked(name) {
            Asked::Table(_) => names(&statement),
            Asked::Query(query) => names(&connection.prepare(query).map_err(refused)?),
        };
        let is_text = |declared: &str| {
            let declared = declared.to_ascii_uppercase();
            // The order of the rules is SQLite's: <https://sqlite.org/datatype3.html#determination_of_column_affinity>
            !declared.contains("INT") && ["CHAR", "CLOB", "TEXT"].iter().any(|word| declared.contains(word))
        };
        let mark = statement.columns();
        let mark = mark.into_iter().find(|column| Some(column.name()) == stream.watermark.as_deref());
        let is_text_mark = mark.is_some_and(|column| column.decl_type().is_some_and(is_text));
        Ok(Self { stream: name.to_owned(), from, terms: Terms { columns, primary_key }, is_text_mark })
    }

    /// The watermark's `column`, in a form that is compared with a number as what it holds.
    pub(super) fn mark(&self, column: &str) -> Result<String> {
        let quoted = quote(column)?;
        // A plus sign takes a column's affinity away, and with it the use of an index.
        Ok(if self.is_text_mark { format!("+{quoted}") } else { quoted })
    }

    /// The SELECT of `columns` of the records that meet `condition`, in the order of `key`.
    pub(super) fn sql(&self, columns: &[String], condition: Option<&str>, key: &[String]) -> Result<String> {
        let columns = columns.iter().map(|name| quote(name)).collect::<Result<Vec<_>>>()?.join(", ");
        let condition = condition.map_or(String::new(), |condition| format!(" WHERE {condition}"));
        let order = key.iter().map(|name| Ok(format!("{} COLLATE BINARY", quote(name)?)));
        let order = order.collect::<Result<Vec<_>>>()?.join(", ");
        let order = if order.is_empty() { order } else { format!(" ORDER BY {order}") };
        Ok(format!("SELECT {columns} FROM {}{condition}{order}", self.from))
    }
}

/// Refuses what would change the database, or gives no records.
fn require_reading(stream: &str, statement: &Statement<'_>) -> Result<()> {
    if statement.readonly() && statement.column_count() > 0 {
        return Ok(());
    }
    Err(Error::config(format!("the `query` of stream `{stream}` does not only read"))
        .hint("write one SELECT, which may begin with WITH"))
}

fn names(statement: &Statement<'_>) -> Vec<String> {
    statement.column_names().map(str::to_owned).collect()
}

/// The columns of the primary key of `table`, in its order; none of a view.
fn primary_key(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement =
        connection.prepare("SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk")?;
    let names = statement.query_map([table], |row| row.get(0))?;
    names.collect()
}
