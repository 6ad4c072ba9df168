//! Redis: a stream for each table, as in the example.

use std::{cell::RefCell, collections::BTreeMap};

use serde_json::Value as Json;
use tidemark_test_servers::{Postgres, Redis};

use super::delivery;
use crate::workbench::Workbench;

#[test]
fn every_change_arrives_whoever_is_killed() {
    let (server, database) = (RefCell::new(Redis::start()), Postgres::shared().database());
    delivery::prepare(&database, 1_000);
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/redis/pipeline.yaml");
    let pipeline = std::fs::read_to_string(example).unwrap();
    assert!(pipeline.lines().count() <= 15);
    let pipeline = pipeline
        .replace("postgres://me@localhost/shop", &database.url())
        .replace("redis://localhost:6379", &server.borrow().url())
        .replace("name: shop", &format!("name: {}", database.name()));
    let bench = Workbench::with_pipeline(&pipeline);
    bench.tidemark("check pipeline.yaml").succeeds();
    delivery::goes_on(&bench, &database, || {
        server.borrow_mut().kill();
        server.borrow_mut().start_again();
    });

    let body = |entry: Vec<(String, String)>| {
        let fields: BTreeMap<_, _> = entry.into_iter().collect();
        let body: Json = serde_json::from_str(&fields["body"]).unwrap();
        assert_eq!(body["id"], fields["id"]);
        body
    };
    let received: Vec<_> = server.borrow().take("public.orders").into_iter().map(body).collect();
    delivery::assert_delivered(&bench, &received);
}
