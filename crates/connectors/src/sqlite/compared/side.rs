//! Rows of a table, read and hashed.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, ToSql, types::Value as SqlValue};
use tidemark_engine::{Error, Result, change::Cell};

use super::{Database, Outcome};
use crate::{
    comparing::{Gathering, Key, Order, Part, Row, Seen, Side, Sums, Terms, Wanted, hexadecimal},
    sqlite::storage::Storage,
};

/// Keys that are looked for in one statement: SQLite has 32,766 parameters, and a depth of 1,000.
const KEYS: usize = 200;

/// A table whose rows are read.
pub(super) struct SqliteSide {
    database: Database,
    table: Arc<Described>,
    terms: Arc<Terms>,
}

/// What to read.
#[derive(Debug)]
struct Described {
    /// The table's name as SQL.
    name: String,
    /// The compared columns' names as SQL, and how each stores its values.
    columns: Vec<(String, Storage)>,
    /// What holds for rows that the source should have too.
    condition: Option<String>,
}

/// A condition with its parameters.
type Condition = (String, Vec<SqlValue>);

impl SqliteSide {
    pub(super) fn new(
        database: Database,
        name: String,
        columns: Vec<(String, Storage)>,
        condition: Option<String>,
        terms: Arc<Terms>,
    ) -> Self {
        Self { database, table: Arc::new(Described { name, columns, condition }), terms }
    }

    /// Reads the rows that meet `condition`.
    async fn gather(&self, wanted: Wanted, condition: Option<Condition>) -> Result<Gathering> {
        let (table, terms) = (self.table.clone(), self.terms.clone());
        let gathering = Gathering::new(terms.clone(), wanted);
        let read = move |connection: &Connection| gather(connection, &table, &terms, condition, gathering);
        self.database.read(read).await
    }

    /// The condition that rows in the range of `part` meet.
    fn range(&self, part: &Part) -> Result<Option<Condition>> {
        let (Some(&first), Some(order)) = (self.terms.key.first(), self.terms.order) else { return Ok(None) };
        let (name, _) = &self.table.columns[first];
        // A table that was there before us may compare texts in another way.
        let name = match order {
            Order::Uuid | Order::Text => format!("{name} COLLATE BINARY"),
            Order::Number | Order::Bytes => name.clone(),
        };
        let (mut parts, mut values) = (Vec::new(), Vec::new());
        if let Some(from) = &part.from {
            // A NULL is in the last range.
            parts.push(match part.until {
                None => format!("({name} >= ? OR {name} IS NULL)"),
                Some(_) => format!("{name} >= ?"),
            });
            values.push(bound(order, from)?);
        }
        if let Some(until) = &part.until {
            parts.push(format!("{name} < ?"));
            values.push(bound(order, until)?);
        }
        Ok((!parts.is_empty()).then(|| (parts.join(" AND "), values)))
    }

    /// The condition that rows with one of `keys` meet.
    fn keys(&self, keys: &[Key]) -> Condition {
        let mut values = Vec::new();
        let alternatives = keys.iter().map(|key| {
            let parts = key.iter().zip(&self.terms.key).map(|(text, &index)| {
                let (name, storage) = &self.table.columns[index];
                values.push(stored(*storage, text.as_deref()));
                format!("{name} IS ?")
            });
            format!("({})", parts.collect::<Vec<_>>().join(" AND "))
        });
        let alternatives = alternatives.collect::<Vec<_>>().join(" OR ");
        (alternatives, values)
    }
}

fn gather(
    connection: &Connection,
    table: &Described,
    terms: &Terms,
    condition: Option<Condition>,
    mut gathering: Gathering,
) -> Outcome<Gathering> {
    let names: Vec<_> = table.columns.iter().map(|(name, _)| name.as_str()).collect();
    let (condition, values) = condition.unzip();
    let conditions: Vec<_> =
        table.condition.iter().chain(&condition).map(|condition| format!("({condition})")).collect();
    let clause =
        if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
    let sql = format!("SELECT {} FROM {}{clause}", names.join(", "), table.name);
    let mut statement = connection.prepare(&sql)?;
    let values = values.unwrap_or_default();
    let values: Vec<&dyn ToSql> = values.iter().map(|value| value as &dyn ToSql).collect();
    let mut rows = statement.query(values.as_slice())?;
    let mut texts = vec![String::new(); names.len()];
    while let Some(row) = rows.next()? {
        let mut present = vec![false; texts.len()];
        for (index, text) in texts.iter_mut().enumerate() {
            let (_, storage) = table.columns[index];
            let spelling = terms.columns[index].spelling;
            if let Some((value, kind)) = storage.value(row.get_ref(index)?) {
                present[index] = spelling.spell(&Cell::Value(value), &kind, text);
            }
        }
        let cells: Vec<_> =
            texts.iter().zip(present).map(|(text, is_there)| is_there.then_some(text.as_str())).collect();
        gathering.add(&cells);
    }
    Ok(gathering)
}

/// A bound as it compares with what is stored.
fn bound(order: Order, text: &str) -> Result<SqlValue> {
    let unsound = || Error::internal("a part of a table has an unsound bound");
    Ok(match order {
        Order::Number => SqlValue::Integer(text.parse().map_err(|_| unsound())?),
        Order::Bytes => SqlValue::Blob(text.strip_prefix("\\x").and_then(hexadecimal).ok_or_else(unsound)?),
        Order::Uuid | Order::Text => SqlValue::Text(text.to_owned()),
    })
}

/// What `storage` keeps for the value that is spelled `text`.
fn stored(storage: Storage, text: Option<&str>) -> SqlValue {
    let Some(text) = text else { return SqlValue::Null };
    let integer = || text.parse().ok().map(SqlValue::Integer);
    let real = || text.parse().ok().map(SqlValue::Real);
    let value = match storage {
        Storage::Boolean => match text {
            "true" => Some(SqlValue::Integer(1)),
            "false" => Some(SqlValue::Integer(0)),
            _ => None,
        },
        Storage::Integer => integer(),
        // The text of a NaN is its text here too.
        Storage::Float if text != "NaN" => {
            text.parse::<f32>().ok().map(|float| SqlValue::Real(f64::from(float)))
        }
        Storage::Double if text != "NaN" => real(),
        Storage::Mixed if text != "NaN" => integer().or_else(|| {
            // Digits beyond 64 bits are kept as text.
            if text.bytes().all(|byte| byte.is_ascii_digit()) { None } else { real() }
        }),
        Storage::Blob => text.strip_prefix("\\x").and_then(hexadecimal).map(SqlValue::Blob),
        _ => None,
    };
    value.unwrap_or_else(|| SqlValue::Text(text.to_owned()))
}

#[async_trait]
impl Side for SqliteSide {
    async fn sums(&mut self, part: &Part) -> Result<Sums> {
        Ok(self.gather(Wanted::Sums(part.clone()), self.range(part)?).await?.sums)
    }

    async fn rows(&mut self, part: &Part, bytes: &[u8]) -> Result<Vec<Row>> {
        Ok(self.gather(Wanted::Rows(part.clone(), bytes.to_vec()), self.range(part)?).await?.rows)
    }

    async fn look(&mut self, keys: &[Key], closely: bool) -> Result<Vec<Seen>> {
        let mut seen = Vec::with_capacity(keys.len());
        for some in keys.chunks(KEYS) {
            let condition = self.keys(some);
            seen.extend(self.gather(Wanted::keys(some, closely), Some(condition)).await?.seen);
        }
        Ok(seen)
    }
}
