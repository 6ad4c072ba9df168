//! Queues of Azure Storage, as Azurite has them.

use std::{fs, time::Duration};

use serde_json::Value as Json;
use tidemark_test_servers::{Cloud, Front, Postgres, Queues, Treatment};

use super::delivery::{assert_delivered, goes_on, named, prepare};
use crate::{process::pause, samples::examples, workbench::Workbench};

#[test]
fn every_change_arrives_whoever_is_killed() {
    let (source, queues, blobs) = (Postgres::shared().database(), Queues::shared(), Cloud::Azure.shared());
    // Azurite goes through all it has for each message that is taken.
    prepare(&source, 200);
    queues.make("orders");
    let container = blobs.bucket().url.trim_start_matches("az://").to_owned();
    let front = Front::before(queues.port());
    let connection = Queues::connection_string(front.port(), blobs.port());
    let urls = [("DATABASE_URL", source.url()), ("AZURE_STORAGE_CONNECTION_STRING", connection)];
    let example = fs::read_to_string(examples("azure-queue/pipeline.yaml")).unwrap();
    let pipeline = named(&example, &source).replace("large-orders", &container);
    let bench = Workbench::with_pipeline(&pipeline).in_environment(&urls);
    bench.tidemark("check pipeline.yaml").succeeds();
    source.execute("INSERT INTO orders VALUES (1000000001, repeat('long ', 30000), 1)");
    goes_on(&bench, &source, || {
        front.treat_all(Treatment::LoseAnswer);
        pause(Duration::from_millis(300));
        front.treat_all(Treatment::Cut);
        pause(Duration::from_secs(1));
        front.treat_all(Treatment::Pass);
    });
    let received: Vec<Json> =
        queues.take_base64("orders").iter().map(|body| opened(body, &container)).collect();
    assert_delivered(&bench, &received);
}

/// What a message says, wherever it says it.
fn opened(body: &[u8], container: &str) -> Json {
    let message: Json = serde_json::from_slice(body).unwrap();
    if message.get("claim_check").is_none() {
        return message;
    }
    let blob = Cloud::Azure.shared().blob(container, message["id"].as_str().unwrap());
    serde_json::from_slice(&blob).unwrap()
}
