//! What tells the records of a shadow apart, and gives its table the same key.

use std::collections::BTreeSet;

use tidemark_engine::write::WriteMode;
use tokio_postgres::Client;

use super::Place;
use crate::{
    metadata,
    postgres::{
        destination::{adopt, failure::Result, history, relation::Relation},
        identifier::quoted,
    },
};

/// The columns that tell the records of `filled` apart; none where nothing does.
pub(super) async fn of(client: &Client, filled: &Relation, mode: WriteMode) -> Result<Vec<String>> {
    filled.key(client, mode).await
}

/// Whether the table tells its records apart by `key`.
///
/// Fails with [`tidemark_engine::ErrorKind::Config`] where one that we did not make cannot.
pub(super) async fn fits(client: &Client, place: &Place, key: &[String], mode: WriteMode) -> Result<bool> {
    if place.made {
        return Ok(place.relation.key(client, mode).await? == key);
    }
    let identity = match mode {
        WriteMode::Append | WriteMode::History => vec![metadata::POSITION.to_owned()],
        _ => key.to_vec(),
    };
    if !identity.is_empty() {
        adopt::check_key(client, &place.id, &place.relation, &identity).await?;
    }
    Ok(true)
}

/// Gives an empty table of ours the key `key`.
pub(super) async fn change(client: &Client, place: &Place, key: &[String], mode: WriteMode) -> Result<()> {
    let table = place.id.sql();
    let list = key.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
    // What waits for the end of the transaction would stand in the way.
    let mut sql = "SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED;".to_owned();
    if mode == WriteMode::History {
        for index in place.relation.indexes_of_valid(client).await? {
            sql += &format!("DROP INDEX {}.{};", quoted(&place.id.schema), quoted(&index));
        }
        let valid_to = history::Columns::new().valid_to;
        sql += &format!("CREATE UNIQUE INDEX ON {table} ({list}) WHERE {valid_to} IS NULL;");
        return Ok(client.batch_execute(&sql).await?);
    }
    if let Some(constraint) = place.relation.primary_key_name(client).await? {
        sql += &format!("ALTER TABLE {table} DROP CONSTRAINT {};", quoted(&constraint));
    }
    let kept = key.iter().collect::<BTreeSet<_>>();
    for name in place.relation.primary_key(client).await?.iter().filter(|name| !kept.contains(name)) {
        sql += &format!("ALTER TABLE {table} ALTER COLUMN {} DROP NOT NULL;", quoted(name));
    }
    if !key.is_empty() {
        sql += &format!("ALTER TABLE {table} ADD PRIMARY KEY ({list});");
    }
    Ok(client.batch_execute(&sql).await?)
}
