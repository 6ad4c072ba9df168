//! Every connector keeps the engine's contracts.

#![expect(clippy::expect_used, reason = "what fails here fails the test")]

use std::time::Duration;

use tempfile::TempDir;
use tidemark_connectors::{
    config::{ByteSize, Interval, Secret, TableName, Writing},
    files::{self, DestinationFormat},
    object_stores::Environment,
    postgres, sqlite,
};
use tidemark_engine::{contract::write, write::WriteMode};
use tidemark_test_servers::{Bucket, Cloud, Postgres};

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

const FORMATS: [DestinationFormat; 4] =
    [DestinationFormat::Parquet, DestinationFormat::Jsonl, DestinationFormat::Csv, DestinationFormat::Xml];

/// Files at `path`, from an empty folder on, in `environment`.
async fn files_keep_the_contract(format: DestinationFormat, path: String, environment: Environment) {
    let folder = TempDir::new().expect("a folder can be made");
    let config = files::DestinationConfig {
        path,
        format,
        linger: Interval(Duration::ZERO),
        file_size: ByteSize(64 << 20),
        max_partitions: 100,
    };
    let made = || {
        files::Destination::new(&config, folder.path(), writing(WriteMode::Append), &environment)
            .expect("the path is sound")
    };
    write::all(made).await;
}

#[tokio::test]
async fn files_destination() {
    for format in FORMATS {
        for path in ["copy", "copy/{stream}/{date}/{op}"] {
            files_keep_the_contract(format, path.to_owned(), Environment::default()).await;
        }
    }
}

async fn files_in_a_cloud(cloud: Cloud) {
    for format in FORMATS {
        for path in ["", "/{stream}/date={date}/hour={hour}/{op}"] {
            let Bucket { url, variables } = cloud.shared().bucket();
            files_keep_the_contract(format, format!("{url}/a b{path}"), Environment::of(variables)).await;
        }
    }
}

#[tokio::test]
async fn files_destination_in_azure() {
    files_in_a_cloud(Cloud::Azure).await;
}

#[tokio::test]
async fn files_destination_in_s3() {
    files_in_a_cloud(Cloud::S3).await;
}

#[tokio::test]
async fn files_destination_in_gcs() {
    files_in_a_cloud(Cloud::Gcs).await;
}
