//! Every connector keeps the engine's contracts.

use std::time::Duration;

use tempfile::TempDir;
use tidemark_connectors::{
    config::{ByteSize, Interval, Secret, TableName, Writing},
    files::{self, DestinationFormat},
    postgres, sqlite,
};
use tidemark_engine::{contract::write, write::WriteMode};
use tidemark_test_servers::Postgres;

fn writing(mode: WriteMode) -> Writing {
    Writing { destination: "copy".into(), mode, table: TableName::default(), adopt: false, shadow: false }
}

const MODES: [WriteMode; 5] =
    [WriteMode::Append, WriteMode::Mirror, WriteMode::SoftDelete, WriteMode::History, WriteMode::Replace];

#[tokio::test]
async fn sqlite_destination() {
    for mode in MODES {
        let folder = TempDir::new().expect("a folder can be made");
        let config = sqlite::DestinationConfig { path: "copy.db".into() };
        write::all(|| sqlite::Destination::new(&config, folder.path(), writing(mode))).await;
    }
}

#[tokio::test]
async fn postgres_destination() {
    for mode in [WriteMode::Append, WriteMode::Mirror] {
        let database = Postgres::shared().database();
        let config =
            postgres::DestinationConfig { url: Secret::new(database.url()), schema: None, loaders: 2 };
        write::all(|| postgres::Destination::new(&config, writing(mode)).expect("the URL is sound")).await;
    }
}

#[tokio::test]
async fn files_destination() {
    for format in [DestinationFormat::Parquet, DestinationFormat::Jsonl, DestinationFormat::Csv] {
        let folder = TempDir::new().expect("a folder can be made");
        let config = files::DestinationConfig {
            path: "copy".into(),
            format,
            linger: Interval(Duration::ZERO),
            file_size: ByteSize(64 << 20),
        };
        write::all(|| files::Destination::new(&config, folder.path(), writing(WriteMode::Append))).await;
    }
}
