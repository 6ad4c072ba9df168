//! The columns of a shadow beside those of the table whose place it takes.

use tidemark_engine::Error;
use tokio_postgres::Client;

use super::Place;
use crate::postgres::{
    destination::{
        failure::Result,
        relation::{Existing, Relation},
        table::{START_ANEW, is_altered},
        widen,
    },
    identifier::{TableId, quoted},
};

/// A column of the shadow: its name in both tables, and its value as the table has it.
pub(super) struct Column {
    /// As SQL.
    pub(super) name: String,
    pub(super) plain: String,
    /// What a row `s` of the shadow gives.
    pub(super) value: String,
}

/// Adds and widens columns of the table until it can hold what the shadow does, and tells how.
pub(super) async fn align(
    client: &Client,
    shadow: &TableId,
    filled: &Relation,
    place: &Place,
) -> Result<Vec<Column>> {
    let mut columns = Vec::with_capacity(filled.columns.len());
    for from in &filled.columns {
        let declared = match place.relation.column(&from.name) {
            Some(to) if to.declared == from.declared => to.declared.clone(),
            Some(to) if place.made => widen(client, &place.id, from, to).await?,
            Some(to) => to.declared.clone(),
            None if place.made => add(client, &place.id, from).await?,
            None => {
                let (table, name) = (place.id.sql(), quoted(&from.name));
                return Err(Error::config(format!(
                    "table `{}`, which Tidemark did not make, lacks columns",
                    place.id
                ))
                .hint(format!("run: ALTER TABLE {table} ADD {name} {}", from.declared))
                .into());
            }
        };
        let (name, plain) = (quoted(&from.name), from.name.clone());
        let value = convert(client, shadow, from, &declared, place).await?;
        columns.push(Column { name, plain, value });
    }
    Ok(columns)
}

async fn add(client: &Client, table: &TableId, from: &Existing) -> Result<String> {
    let (table, name, declared) = (table.sql(), quoted(&from.name), from.declared.clone());
    client.batch_execute(&format!("ALTER TABLE {table} ADD COLUMN {name} {declared}")).await?;
    Ok(declared)
}

/// Gives column `to` a type that holds what `from` does too.
async fn widen(client: &Client, table: &TableId, from: &Existing, to: &Existing) -> Result<String> {
    let name = quoted(&to.name);
    let mut wide = widen::widened(&to.declared, &from.declared);
    if wide != to.declared && is_altered(client, table, &name, &to.declared, &wide).await? {
        wide = widen::TEXT.to_owned();
        if is_altered(client, table, &name, &to.declared, &wide).await? {
            return Err(has_no_common_type(table, from, to).into());
        }
    }
    if wide != to.declared {
        let conversion = widen::conversion(&name, &to.declared, &wide);
        let table = table.sql();
        let alter = format!("ALTER TABLE {table} ALTER COLUMN {name} TYPE {wide} USING {conversion}");
        client.batch_execute(&alter).await?;
    }
    Ok(wide)
}

/// The value of the shadow's column `from` under the type `to`.
async fn convert(
    client: &Client,
    shadow: &TableId,
    from: &Existing,
    to: &str,
    place: &Place,
) -> Result<String> {
    let (name, value) = (quoted(&from.name), format!("s.{}", quoted(&from.name)));
    if from.declared == to {
        return Ok(value);
    }
    let fits = widen::widened(to, &from.declared) == to;
    if !fits || is_altered(client, shadow, &name, &from.declared, to).await? {
        let column = place.relation.column(&from.name).unwrap_or(from);
        return Err(has_no_common_type(&place.id, from, column).into());
    }
    Ok(widen::conversion(&value, &from.declared, to))
}

fn has_no_common_type(table: &TableId, from: &Existing, to: &Existing) -> Error {
    Error::config(format!(
        "column `{}` of table `{table}` has the type `{}`, which does not keep every value of the type `{}` as it is",
        to.name, to.declared, from.declared
    ))
    .hint(START_ANEW)
}
