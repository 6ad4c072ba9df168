//! Tables as the database declares them.

use rusqlite::{Connection, OptionalExtension};

use crate::sqlite::{failure::Result, identifier::fold};

/// A column as the database declares it.
#[derive(Debug, Clone)]
pub(super) struct Declared {
    pub(super) name: String,
    /// Its type.
    pub(super) declared: String,
    /// What stands behind the type, where it is no part of the key.
    pub(super) constraints: String,
    /// Its place in the primary key, from 1; 0 when it is not part of it.
    pub(super) key: i64,
}

impl Declared {
    /// A column that takes NULL.
    pub(super) fn new(name: &str, declared: &str) -> Self {
        let (name, declared) = (name.to_owned(), declared.to_owned());
        Self { name, declared, constraints: String::new(), key: 0 }
    }

    /// Its declaration, without its name.
    pub(super) fn definition(&self) -> String {
        format!("{}{}", self.declared, self.constraints)
    }
}

/// The columns of `table`, in order, without generated ones; none when there is no such table.
pub(super) fn declared(connection: &Connection, table: &str) -> Result<Vec<Declared>> {
    let sql = "SELECT name, type, pk, \"notnull\", dflt_value FROM pragma_table_xinfo(?1) WHERE hidden = 0 ORDER BY cid";
    let mut statement = connection.prepare_cached(sql)?;
    let columns = statement.query_map([table], |row| {
        let (key, not_null): (i64, bool) = (row.get(2)?, row.get(3)?);
        let default = row.get::<_, Option<String>>(4)?.map(|value| format!(" DEFAULT ({value})"));
        let not_null = if not_null && key == 0 { " NOT NULL" } else { "" };
        let constraints = format!("{not_null}{}", default.unwrap_or_default());
        Ok(Declared { name: row.get(0)?, declared: row.get(1)?, constraints, key })
    })?;
    Ok(columns.collect::<Result<_, _>>()?)
}

/// The names of the primary key's columns, in its order.
pub(super) fn key_columns(columns: &[Declared]) -> Vec<String> {
    let mut key = columns.iter().filter(|column| column.key > 0).collect::<Vec<_>>();
    key.sort_by_key(|column| column.key);
    key.into_iter().map(|column| column.name.clone()).collect()
}

/// What stands beside `name` among `named`; names that SQLite takes for one another are the same.
pub(super) fn find<'a, T>(named: impl IntoIterator<Item = (&'a str, T)>, name: &str) -> Option<T> {
    named.into_iter().find(|(other, _)| fold(other) == fold(name)).map(|(_, found)| found)
}

/// What kind of thing `name` is in the database: `table`, `view`, `index`.
pub(super) fn object_type(connection: &Connection, name: &str) -> Result<Option<String>> {
    let sql = "SELECT type FROM sqlite_schema WHERE name = ?1 COLLATE NOCASE AND type <> 'trigger'";
    Ok(connection.query_row(sql, [name], |row| row.get(0)).optional()?)
}
