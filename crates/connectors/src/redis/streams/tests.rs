//! Against a server of Redis.

use std::{collections::BTreeMap, path::Path};

use serde_json::{Value as Json, json};
use tidemark_engine::{
    Error, ErrorKind,
    contract::{samples, write},
    log::Ledger,
    write::{AtLeastOnce, Courier, WriteStrategy},
};
use tidemark_test_servers::Redis;

use crate::{
    messages::contract::{self, Received, numbered},
    redis::DestinationConfig,
};

fn config(keys: &Json) -> DestinationConfig {
    serde_json::from_value(keys.clone()).unwrap()
}

fn connect(config: &DestinationConfig, ledger: Ledger) -> AtLeastOnce<impl Courier + use<>> {
    super::strategy(config, Path::new("."), ledger).unwrap()
}

async fn check(keys: &Json) -> Vec<Error> {
    super::check(&config(keys), Path::new(".")).await.err().into_iter().collect()
}

/// Everything that the stream holds.
fn consume(server: &Redis, stream: &str) -> Vec<Received> {
    let received = |entry: Vec<(String, String)>| {
        let fields: BTreeMap<_, _> = entry.into_iter().collect();
        let body: Json = serde_json::from_str(&fields["body"]).unwrap();
        assert_eq!((&body["op"], &body["stream"]), (&json!(fields["op"]), &json!(fields["stream"])));
        let key = fields.get("key").map_or(Json::Null, |key| serde_json::from_str(key).unwrap());
        assert_eq!((key, &*fields["content-type"]), (body["key"].clone(), "application/json"));
        assert!(fields["time"].ends_with('Z'));
        Received { id: fields["id"].clone(), body }
    };
    server.take(stream).into_iter().map(received).collect()
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
    let server = Redis::start();
    let config = config(&json!({"url": server.url(), "stream": "changes"}));
    contract::all(|ledger| connect(&config, ledger), async || consume(&server, "changes")).await;
    let log = contract::log().await;
    contract::too_large(connect(&config, Ledger::new(&log, "large")), 1 << 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_forgets_what_is_too_old_where_it_is_told_to() {
    let server = Redis::start();
    sent(&json!({"url": server.url(), "database": 3, "max_length": 500}), 5_000).await.unwrap();
    let kept = server.ask(&["-n", "3", "XLEN", "orders"]).as_u64().unwrap();
    assert!((500..1_000).contains(&kept), "{kept}");
    sent(&json!({"url": server.url(), "stream": "{stream}:{op}"}), 700).await.unwrap();
    assert_eq!(consume(&server, "orders:c").len(), 700);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_at_the_server_is_told() {
    let mut server = Redis::start();
    let url = server.url();
    server.ask(&["SET", "taken", "by a text"]);
    let taken = json!({"url": url, "stream": "taken"});
    for error in [check(&taken).await.remove(0), sent(&taken, 10).await.unwrap_err()] {
        assert_eq!((error.kind(), error.message()), (ErrorKind::Config, "`taken` is there and is no stream"));
    }
    server.ask(&["ACL", "SETUSER", "writer", "on", ">a pass/word", "~orders", "+xadd"]);
    let writer = |password: &str, stream: &str| json!({"url": url, "username": "writer", "password": password, "stream": stream});
    assert!(check(&writer("a pass/word", "orders")).await.is_empty());
    sent(&writer("a pass/word", "orders"), 10).await.unwrap();
    let refused = sent(&writer("a pass/word", "others"), 10).await.unwrap_err();
    assert_eq!((refused.kind(), refused.message()), (ErrorKind::Denied, "we may not add to `others`"));
    assert_eq!(check(&writer("guessed", "orders")).await[0].kind(), ErrorKind::Denied);
    let beyond = check(&json!({"url": url, "database": 99})).await;
    assert_eq!(beyond[0].kind(), ErrorKind::Config, "{}", beyond[0]);

    server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    let full = sent(&json!({"url": url, "stream": "full"}), 10).await.unwrap_err();
    assert_eq!(full.kind(), ErrorKind::Unavailable);
    assert!(full.to_string().contains("its memory is full"), "{full}");
    server.kill();
    assert_eq!(check(&json!({"url": url})).await[0].kind(), ErrorKind::Unavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_tls_each_side_proves_itself() {
    let server = Redis::start();
    let ((certificate, key), ca) = (server.client_certificate(), server.ca_certificate());
    let keys =
        json!({"url": server.secure_url(), "ca": ca, "client_certificate": certificate, "client_key": key});
    assert!(check(&keys).await.is_empty());
    sent(&keys, 100).await.unwrap();
    assert_eq!(consume(&server, "orders").len(), 100);
    let nobody = check(&json!({"url": server.secure_url(), "ca": ca})).await;
    assert!(!nobody.is_empty());
    let distrusted = check(&json!({"url": server.secure_url()})).await;
    assert_eq!(distrusted[0].kind(), ErrorKind::Config, "{}", distrusted[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_away_is_found_again() {
    let mut server = Redis::start();
    let config = config(&json!({"url": server.url(), "stream": "changes"}));
    let mut destination = connect(&config, Ledger::new(&contract::log().await, "away"));
    destination.open(&write::log()).await.unwrap();
    let unit = |begin: u64| {
        let changes = numbered(&samples::numbered_rows("orders", begin as i64, 5_000), 0);
        write::unit(begin, begin + 1, vec![changes])
    };
    destination.apply(&mut unit(0)).await.unwrap();
    // Between two units, it is only connected to again.
    server.kill();
    server.start_again();
    destination.apply(&mut unit(1)).await.unwrap();
    server.kill();
    assert_eq!(destination.apply(&mut unit(2)).await.unwrap_err().kind(), ErrorKind::Unavailable);
    server.start_again();
    destination.open(&write::log()).await.unwrap();
    destination.apply(&mut unit(2)).await.unwrap();
    assert_eq!(consume(&server, "changes").len(), 15_000);
}
