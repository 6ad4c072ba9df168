//! Logs in object storage of the clouds: what a log asks of a store, asked of each emulator.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::sync::atomic::{AtomicU32, Ordering};

use tidemark_connectors::object_stores::{Environment, StoreUrl};
use tidemark_engine::log::Store;
use tidemark_test_servers::{Bucket, Cloud};

/// The store in folder `name` of `bucket`.
fn store(bucket: &Bucket, name: &str) -> Store {
    let url = StoreUrl::parse(&bucket.url).unwrap().join(name);
    let objects = url.connect(&Environment::of(bucket.variables.clone())).unwrap();
    Store::new(objects, url.to_string())
}

async fn keeps_the_contract(cloud: Cloud) {
    let bucket = cloud.shared().bucket();
    let made = AtomicU32::new(0);
    let empty = || store(&bucket, &format!("a b%/{}", made.fetch_add(1, Ordering::Relaxed)));
    tidemark_engine::contract::log::all(empty).await;
}

#[tokio::test]
async fn azure_keeps_the_contract() {
    keeps_the_contract(Cloud::Azure).await;
}

#[tokio::test]
async fn s3_keeps_the_contract() {
    keeps_the_contract(Cloud::S3).await;
}

#[tokio::test]
async fn gcs_keeps_the_contract() {
    keeps_the_contract(Cloud::Gcs).await;
}
