//! The destination against a model in memory, and against what goes wrong.

mod failures;
mod generations;
mod kinds;
mod model;
mod modes;
mod takeover;

use std::path::Path;

use rusqlite::Connection;
use tidemark_engine::{
    Result,
    change::ChangeBatch,
    contract::write::{log, position, standing, unit},
    write::{WriteMode, WriteStrategy},
};

use super::Destination;
use crate::{
    config::{TableName, Writing},
    sqlite::{DestinationConfig, storage::Storage},
};

fn writing(mode: WriteMode) -> Writing {
    Writing { destination: "copy".into(), mode, table: TableName::default(), adopt: false, shadow: false }
}

fn destination(folder: &Path, writing: Writing) -> Destination {
    Destination::new(&DestinationConfig { path: "copy.db".into() }, folder, writing)
}

async fn open(folder: &Path, mode: WriteMode) -> Destination {
    let mut destination = destination(folder, writing(mode));
    destination.open(&log()).await.unwrap();
    destination
}

async fn apply(destination: &mut Destination, begin: u64, end: u64, batches: Vec<ChangeBatch>) -> Result<()> {
    destination.apply(&mut unit(begin, end, batches)).await
}

fn connect(folder: &Path) -> Connection {
    Connection::open(folder.join("copy.db")).unwrap()
}

/// Every row of `query` as canonical text, NULL as `None`.
fn rows(folder: &Path, query: &str) -> Vec<Vec<Option<String>>> {
    let connection = connect(folder);
    // A view tells the declared types of its columns.
    connection.execute_batch(&format!("CREATE TEMP VIEW query AS {query}")).unwrap();
    let mut types = connection.prepare("SELECT type FROM pragma_table_info('query')").unwrap();
    let storages = types.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let storages =
        storages.map(|declared| Storage::from_declared(&declared.unwrap()).unwrap_or(Storage::Text));
    let storages = storages.collect::<Vec<_>>();
    let mut statement = connection.prepare(query).unwrap();
    let rows = statement.query_map([], |row| {
        let cells = storages.iter().enumerate();
        Ok(cells.map(|(i, s)| s.value(row.get_ref(i).unwrap()).map(|(value, _)| value.to_string())).collect())
    });
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}
