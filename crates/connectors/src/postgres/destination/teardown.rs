//! What Tidemark has made in a database, listed and taken away. The tables of data stay: they are what it was for.

use tidemark_engine::Result as EngineResult;
use tokio_postgres::Client;

use super::{
    failure::Result,
    ledger::{self, SCHEMA},
};
use crate::postgres::connection::Server;

/// Everything that is kept for `destination`.
pub(super) async fn list(server: &Server, destination: &str) -> EngineResult<Vec<String>> {
    let session = server.connect("teardown").await?;
    let listed = kept(&session, destination).await;
    listed.map_err(|failure| failure.explain(format_args!("cannot list what is in `{}`", server.place())))
}

/// Removes everything that is kept for `destination`.
pub(super) async fn remove(server: &Server, destination: &str) -> EngineResult<Vec<String>> {
    let session = server.connect("teardown").await?;
    let removed = async {
        let kept = kept(&session, destination).await?;
        if !kept.is_empty() {
            forget(&session, destination).await?;
        }
        Ok(kept)
    };
    let removed: Result<_> = removed.await;
    removed.map_err(|failure| failure.explain(format_args!("cannot tidy up `{}`", server.place())))
}

async fn kept(client: &Client, destination: &str) -> Result<Vec<String>> {
    if !ledger::exists(client).await? {
        return Ok(Vec::new());
    }
    let sql = "SELECT EXISTS (SELECT FROM _tidemark.positions WHERE destination = $1),
                      (SELECT count(*) FROM _tidemark.tables WHERE destination = $1),
                      NOT EXISTS (SELECT FROM _tidemark.positions WHERE destination <> $1)
                      AND NOT EXISTS (SELECT FROM _tidemark.tables WHERE destination <> $1)";
    let row = client.query_one(sql, &[&destination]).await?;
    let mut kept = Vec::new();
    if row.get(0) {
        kept.push(format!("the position of destination `{destination}` in `{SCHEMA}.positions`"));
    }
    let tables: i64 = row.get(1);
    if tables > 0 {
        let tables = if tables == 1 { "1 table".to_owned() } else { format!("{tables} tables") };
        kept.push(format!("the note in `{SCHEMA}.tables` that it writes to {tables}"));
    }
    if row.get(2) {
        kept.push(format!("schema `{SCHEMA}`"));
    }
    Ok(kept)
}

async fn forget(client: &Client, destination: &str) -> Result<()> {
    client.batch_execute("BEGIN; LOCK TABLE _tidemark.positions IN ACCESS EXCLUSIVE MODE").await?;
    for table in ["positions", "tables", "loaded", "sessions"] {
        let sql = format!("DELETE FROM {SCHEMA}.{table} WHERE destination = $1");
        client.execute(&sql, &[&destination]).await?;
    }
    let sql = "SELECT EXISTS (SELECT FROM _tidemark.positions) OR EXISTS (SELECT FROM _tidemark.tables)";
    if !client.query_one(sql, &[]).await?.get::<_, bool>(0) {
        // Without CASCADE: what somebody else has put there keeps the schema.
        client
            .batch_execute(
                "DROP TABLE _tidemark.positions, _tidemark.tables, _tidemark.loaded, _tidemark.sessions;
                 DROP SCHEMA _tidemark",
            )
            .await?;
    }
    Ok(client.batch_execute("COMMIT").await?)
}
