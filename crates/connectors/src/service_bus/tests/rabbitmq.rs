//! RabbitMQ with its plugin for AMQP 1.0: it knows neither tokens nor batches, so each message goes by itself, to whom a password lets in.

use serde_json::{Value as Json, json};
use tidemark_engine::{
    ErrorKind,
    contract::{samples, write},
    log::Ledger,
    write::WriteStrategy,
};
use tidemark_test_servers::RabbitMq;

use super::{check, config, connect};
use crate::messages::contract::{self, Received, numbered};

fn keys(server: &RabbitMq) -> Json {
    json!({
        "url": server.url(), "entity": "/amq/queue/changes", "authentication": "plain",
        "shared_access_key_name": "guest", "shared_access_key": "guest",
    })
}

/// Everything that the queue holds.
fn consume(server: &RabbitMq) -> Vec<Received> {
    let received = |message: &Json| {
        let (properties, payload) = (&message["properties"], message["payload"].as_str().unwrap());
        let body: Json = serde_json::from_str(payload).unwrap();
        assert_eq!(properties["delivery_mode"], 2);
        assert_eq!(properties["content_type"], "application/json");
        Received { id: properties["message_id"].as_str().unwrap().to_owned(), body }
    };
    server.take("changes").iter().map(received).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_is_kept() {
    let server = RabbitMq::start();
    server.declare_queue("changes", &json!({}));
    let config = config(&keys(&server));
    contract::all(|ledger| connect(&config, ledger), async || consume(&server)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_at_the_server_is_told() {
    let mut server = RabbitMq::start();
    let with = |key: &str, value: &str| {
        let mut keys = keys(&server);
        keys[key] = value.into();
        keys
    };
    let missing = check(&with("entity", "/exchange/changes/orders")).await.remove(0);
    assert_eq!(missing.kind(), ErrorKind::Config, "{missing:?}");
    assert!(missing.message().ends_with("has no queue or topic `/exchange/changes/orders`"), "{missing:?}");
    server.declare_queue("changes", &json!({}));
    assert!(check(&keys(&server)).await.is_empty());
    let guessed = check(&with("shared_access_key", "guessed")).await.remove(0);
    assert_eq!(guessed.kind(), ErrorKind::Denied, "{guessed:?}");
    let keys = keys(&server);
    server.kill();
    assert_eq!(check(&keys).await[0].kind(), ErrorKind::Unavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_away_is_found_again() {
    let mut server = RabbitMq::start();
    server.declare_queue("changes", &json!({}));
    let config = config(&keys(&server));
    let mut destination = connect(&config, Ledger::new(&contract::log().await, "away"));
    destination.open(&write::log()).await.unwrap();
    let unit = |begin: u64| {
        let changes = numbered(&samples::numbered_rows("orders", begin as i64, 2_000), 0);
        write::unit(begin, begin + 1, vec![changes])
    };
    destination.apply(&mut unit(0)).await.unwrap();
    server.kill();
    assert_eq!(destination.apply(&mut unit(1)).await.unwrap_err().kind(), ErrorKind::Unavailable);
    server.start_again();
    destination.open(&write::log()).await.unwrap();
    destination.apply(&mut unit(1)).await.unwrap();
    assert_eq!(consume(&server).len(), 4_000);
}
