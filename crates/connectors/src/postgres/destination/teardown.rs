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
                      (SELECT count(*) FROM _tidemark.tables WHERE destination = $1 AND schema <> $2),
                      NOT EXISTS (SELECT FROM _tidemark.positions
                                  WHERE destination <> $1 AND NOT starts_with(destination, $1 || ':'))
                      AND NOT EXISTS (SELECT FROM _tidemark.tables
                                      WHERE destination <> $1 AND NOT starts_with(destination, $1 || ':'))";
    let row = client.query_one(sql, &[&destination, &SCHEMA]).await?;
    let of = |count: usize| if count == 1 { "1 table".to_owned() } else { format!("{count} tables") };
    let mut kept = Vec::new();
    if row.get(0) {
        kept.push(format!("the position of destination `{destination}` in `{SCHEMA}.positions`"));
    }
    let tables = usize::try_from(row.get::<_, i64>(1)).unwrap_or_default();
    if tables > 0 {
        kept.push(format!("the note in `{SCHEMA}.tables` that it writes to {}", of(tables)));
    }
    let shadows = ledger::shadows(client, destination).await?.len();
    if shadows > 0 {
        kept.push(format!("{} in schema `{SCHEMA}` for what is being filled anew", of(shadows)));
    }
    if row.get(2) {
        kept.push(format!("schema `{SCHEMA}`"));
    }
    Ok(kept)
}

async fn forget(client: &Client, destination: &str) -> Result<()> {
    client.batch_execute("BEGIN; LOCK TABLE _tidemark.positions IN ACCESS EXCLUSIVE MODE").await?;
    ledger::forget(client, destination).await?;
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
