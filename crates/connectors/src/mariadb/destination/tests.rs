//! The destination against a server.

mod failures;
mod generations;
mod kinds;
mod stories;
mod takeovers;

use tidemark_engine::{
    Result,
    change::ChangeBatch,
    contract::{self, write::unit},
    write::{WriteMode, WriteStrategy},
};
use tidemark_test_servers::{Mariadb, MariadbDatabase};

use super::Destination;
use crate::{
    config::{Secret, TableName, Writing},
    mariadb::DestinationConfig,
};

fn writing(mode: WriteMode) -> Writing {
    Writing { destination: "copy".into(), mode, table: TableName::default(), adopt: false, shadow: false }
}

fn destination(database: &MariadbDatabase<'_>, writing: Writing) -> Destination {
    let config = DestinationConfig { url: Secret::new(database.url()), ca: None };
    Destination::new(&config, "".as_ref(), writing).unwrap()
}

async fn open(database: &MariadbDatabase<'_>, mode: WriteMode) -> Destination {
    let mut destination = destination(database, writing(mode));
    destination.open(&contract::write::log()).await.unwrap();
    destination
}

async fn apply(destination: &mut Destination, begin: u64, end: u64, batches: Vec<ChangeBatch>) -> Result<()> {
    destination.apply(&mut unit(begin, end, batches)).await
}

/// Every row of `query`, NULL as `None`.
fn rows(database: &MariadbDatabase<'_>, query: &str) -> Vec<Vec<Option<String>>> {
    let cell = |cell: &str| match cell {
        "NULL" => None,
        cell => {
            Some(cell.replace("\\n", "\n").replace("\\t", "\t").replace("\\0", "\0").replace("\\\\", "\\"))
        }
    };
    database.rows(query).iter().map(|line| line.split('\t').map(cell).collect()).collect()
}

#[tokio::test]
async fn it_keeps_what_every_destination_promises() {
    for mode in [WriteMode::Append, WriteMode::Mirror, WriteMode::SoftDelete, WriteMode::History] {
        let database = Mariadb::shared().database();
        contract::write::all(|| destination(&database, writing(mode))).await;
    }
}
