//! The destination against a model in memory, against a real server, and against what goes wrong.

mod changes;
mod checking;
mod compared;
mod failures;
mod kinds;
mod loading;
mod merging;
mod model;
mod modes;
mod names;
mod shadows;
mod takeovers;
mod widening;

use tidemark_engine::{
    Error, Result,
    change::ChangeBatch,
    contract::write::{log, unit},
    write::{WriteMode, WriteStrategy},
};
use tidemark_test_servers::{Database, Postgres};

use super::Destination;
use crate::{
    config::{Secret, TableName, Writing},
    postgres::DestinationConfig,
};

fn database() -> Database<'static> {
    Postgres::shared().database()
}

fn config(database: &Database<'_>) -> DestinationConfig {
    DestinationConfig { url: Secret::new(database.url()), schema: None, loaders: 2 }
}

fn writing(mode: WriteMode) -> Writing {
    Writing { destination: "copy".into(), mode, table: TableName::default(), adopt: false, shadow: false }
}

fn destination(database: &Database<'_>, writing: Writing) -> Destination {
    Destination::new(&config(database), writing).unwrap()
}

async fn open(database: &Database<'_>, mode: WriteMode) -> Destination {
    open_as(database, writing(mode)).await
}

async fn open_as(database: &Database<'_>, writing: Writing) -> Destination {
    let mut destination = destination(database, writing);
    destination.open(&log()).await.unwrap();
    destination
}

async fn apply(destination: &mut Destination, begin: u64, end: u64, batches: Vec<ChangeBatch>) -> Result<()> {
    destination.apply(&mut unit(begin, end, batches)).await
}

/// The error of applying `batches`, after which the destination is opened again.
async fn refused(destination: &mut Destination, begin: u64, batches: Vec<ChangeBatch>) -> Error {
    let error = apply(destination, begin, begin + 1, batches).await.unwrap_err();
    destination.open(&log()).await.unwrap();
    error
}

/// The only value of `query`.
fn value(database: &Database<'_>, query: &str) -> String {
    database.query(query)[0][0].clone().unwrap_or_else(|| "NULL".to_owned())
}

/// Puts the destination back to where it stood after commit `sequence`.
fn rewind(database: &Database<'_>, sequence: u64) {
    let hash = tidemark_engine::contract::write::position(sequence).hash;
    database.execute(&format!("UPDATE _tidemark.positions SET sequence = {sequence}, hash = '{hash}'"));
}
