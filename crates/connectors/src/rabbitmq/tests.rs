//! Against a server of RabbitMQ.

use std::path::Path;

use serde_json::{Value as Json, json};
use tidemark_engine::{
    Error, ErrorKind,
    contract::{samples, write},
    log::Ledger,
    write::{AtLeastOnce, Courier, WriteStrategy},
};
use tidemark_test_servers::RabbitMq;

use super::{Destination, DestinationConfig};
use crate::messages::contract::{self, Received, numbered};

fn config(keys: &Json) -> DestinationConfig {
    serde_json::from_value(keys.clone()).unwrap()
}

fn connect(config: &DestinationConfig, ledger: Ledger) -> AtLeastOnce<impl Courier + use<>> {
    Destination::strategy(config, Path::new("."), ledger).unwrap()
}

async fn check(keys: &Json) -> Vec<Error> {
    Destination::check(&config(keys), Path::new(".")).await
}

/// Everything that the queue holds.
fn consume(server: &RabbitMq, queue: &str) -> Vec<Received> {
    let received = |message: &Json| {
        let (properties, payload) = (&message["properties"], message["payload"].as_str().unwrap());
        let body: Json = serde_json::from_str(payload).unwrap();
        assert_eq!(properties["type"], body["op"]);
        assert_eq!(properties["delivery_mode"], 2);
        assert_eq!(properties["content_type"], "application/json");
        assert!(properties["timestamp"].is_u64());
        Received { id: properties["message_id"].as_str().unwrap().to_owned(), body }
    };
    server.take(queue).iter().map(received).collect()
}

/// What comes of sending some changes to where the configuration says.
async fn sent(keys: &Json, count: usize) -> Result<(), Error> {
    let mut destination = connect(&config(keys), Ledger::new(&contract::log().await, "sent"));
    destination.open(&write::log()).await?;
    let changes = numbered(&samples::numbered_rows("orders", 0, count), 0);
    destination.apply(&mut write::unit(0, 1, vec![changes])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_is_kept() {
    let server = RabbitMq::start();
    server.declare_queue("changes", &json!({}));
    let config = config(&json!({"url": server.url(), "routing_key": "changes"}));
    contract::all(|ledger| connect(&config, ledger), async || consume(&server, "changes")).await;
    let log = contract::log().await;
    contract::too_large(connect(&config, Ledger::new(&log, "large")), 1 << 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_queue_takes_is_an_error() {
    let server = RabbitMq::start();
    server.declare_queue("kept", &json!({}));
    server.declare_exchange("changes", "topic", "kept", "customers.#");
    let error = sent(&json!({"url": server.url(), "exchange": "changes"}), 2_000).await.unwrap_err();
    assert_eq!((error.kind(), error.stream().unwrap().as_str()), (ErrorKind::Config, "orders"));
    assert!(error.to_string().contains("`changes`") && error.to_string().contains("`orders`"), "{error}");
    let error = sent(&json!({"url": server.url()}), 10).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Config, "there is no queue `orders`"));
    let error = sent(&json!({"url": server.url(), "exchange": "of-{stream}"}), 10).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Config, "there is no exchange `of-orders`"));
    assert_eq!(error.stream().unwrap().as_str(), "orders");
    sent(&json!({"url": server.url(), "exchange": "changes", "routing_key": "customers.{key}"}), 300)
        .await
        .unwrap();
    assert_eq!(consume(&server, "kept").len(), 300);
    // A queue that is full says no.
    server.declare_queue("orders", &json!({"x-max-length": 5, "x-overflow": "reject-publish"}));
    let error = sent(&json!({"url": server.url()}), 100).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("`orders`"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_at_the_server_is_told() {
    let mut server = RabbitMq::start();
    let with = |keys: Json| {
        let mut all = json!({"url": server.url()});
        all.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        all
    };
    let told = async |keys: Json| {
        let error = check(&with(keys)).await.remove(0);
        (error.kind(), error.message().to_owned())
    };
    let missing = told(json!({"routing_key": "changes"})).await;
    assert_eq!(missing, (ErrorKind::Config, "there is no queue `changes`".to_owned()));
    let missing = told(json!({"exchange": "changes"})).await;
    assert_eq!(missing, (ErrorKind::Config, "there is no exchange `changes`".to_owned()));
    let missing = told(json!({"virtual_host": "nowhere"})).await;
    assert_eq!(missing.0, ErrorKind::Config, "{}", missing.1);
    assert!(missing.1.contains("`nowhere`"), "{}", missing.1);
    let guessed = json!({"username": "guest", "password": "guessed"});
    assert_eq!(told(guessed).await.0, ErrorKind::Denied);

    server.declare_queue("changes", &json!({}));
    server.declare_exchange("open", "topic", "changes", "#");
    server.declare_exchange("closed", "topic", "changes", "#");
    server.add_user("writer", "a pass/word@1", "open");
    let writer = json!({"username": "writer", "password": "a pass/word@1", "exchange": "open"});
    assert!(check(&with(writer.clone())).await.is_empty());
    sent(&with(writer), 10).await.unwrap();
    let writer = json!({"username": "writer", "password": "a pass/word@1", "exchange": "closed"});
    let refused = sent(&with(writer), 10).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Denied);
    assert!(refused.to_string().contains("`closed`"), "{refused}");
    assert!(check(&with(json!({"routing_key": "changes"}))).await.is_empty());
    assert!(check(&with(json!({"exchange": "{stream}"}))).await.is_empty());

    let gone = with(json!({"routing_key": "changes"}));
    server.kill();
    assert_eq!(check(&gone).await[0].kind(), ErrorKind::Unavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_tls_each_side_proves_itself() {
    let server = RabbitMq::start();
    server.declare_queue("orders", &json!({}));
    let (certificate, key) = server.client_certificate();
    let ca = server.ca_certificate();
    let keys =
        json!({"url": server.secure_url(), "ca": ca, "client_certificate": certificate, "client_key": key});
    assert!(check(&keys).await.is_empty());
    sent(&keys, 100).await.unwrap();
    assert_eq!(consume(&server, "orders").len(), 100);
    let nobody = check(&json!({"url": server.secure_url(), "ca": ca})).await;
    // A server that closes at once may take its own alert along.
    assert!(matches!(nobody[0].kind(), ErrorKind::Denied | ErrorKind::Unavailable), "{}", nobody[0]);
    assert!(nobody[0].hint_text().is_some_and(|hint| hint.contains("`client_certificate`")), "{}", nobody[0]);
    let distrusted = check(&json!({"url": server.secure_url()})).await;
    assert_eq!(distrusted[0].kind(), ErrorKind::Config, "{}", distrusted[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_away_is_found_again() {
    let mut server = RabbitMq::start();
    server.declare_queue("changes", &json!({}));
    let config = config(&json!({"url": server.url(), "routing_key": "changes"}));
    let mut destination = connect(&config, Ledger::new(&contract::log().await, "away"));
    destination.open(&write::log()).await.unwrap();
    let unit = |begin: u64| {
        let changes = numbered(&samples::numbered_rows("orders", begin as i64, 5_000), 0);
        write::unit(begin, begin + 1, vec![changes])
    };
    destination.apply(&mut unit(0)).await.unwrap();
    server.kill();
    assert_eq!(destination.apply(&mut unit(1)).await.unwrap_err().kind(), ErrorKind::Unavailable);
    server.start_again();
    destination.open(&write::log()).await.unwrap();
    destination.apply(&mut unit(1)).await.unwrap();
    // What was confirmed is there after the server died.
    assert_eq!(consume(&server, "changes").len(), 10_000);
}
