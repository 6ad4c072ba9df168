//! RabbitMQ: a queue bound to a topic exchange, as in the example.

use std::cell::RefCell;

use serde_json::{Value as Json, json};
use tidemark_test_servers::{Database, Postgres, RabbitMq};

use super::delivery;
use crate::workbench::Workbench;

fn example(server: &RabbitMq, database: &Database<'_>) -> Workbench {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/rabbitmq/pipeline.yaml");
    let pipeline = std::fs::read_to_string(example).unwrap();
    assert!(pipeline.lines().count() <= 15);
    let pipeline = pipeline
        .replace("postgres://me@localhost/shop", &database.url())
        .replace("amqp://localhost:5672", &server.url())
        .replace("name: shop", &format!("name: {}", database.name()));
    Workbench::with_pipeline(&pipeline)
}

#[test]
fn every_change_arrives_whoever_is_killed() {
    let (server, database) = (RefCell::new(RabbitMq::start()), Postgres::shared().database());
    delivery::prepare(&database, 1_000);
    let bench = example(&server.borrow(), &database);
    let outcome = bench.tidemark("check pipeline.yaml").exits_with(2);
    let said = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(said.contains("there is no exchange `shop`"), "{said}");

    server.borrow().declare_queue("everything", &json!({}));
    server.borrow().declare_exchange("shop", "topic", "everything", "public.orders.*");
    bench.tidemark("check pipeline.yaml").succeeds();
    delivery::goes_on(&bench, &database, || {
        server.borrow_mut().kill();
        server.borrow_mut().start_again();
    });

    let messages = server.borrow().take("everything");
    let body = |message: &Json| {
        let body: Json = serde_json::from_str(message["payload"].as_str().unwrap()).unwrap();
        assert_eq!(message["properties"]["message_id"], body["id"]);
        assert_eq!(message["routing_key"], format!("public.orders.{}", body["op"].as_str().unwrap()));
        body
    };
    delivery::assert_delivered(&bench, &messages.iter().map(body).collect::<Vec<_>>());
}

#[test]
fn what_no_queue_takes_waits_and_is_in_no_log_line() {
    let (server, database) = (RabbitMq::start(), Postgres::shared().database());
    database.execute(
        "CREATE TABLE orders (id int PRIMARY KEY, note text); INSERT INTO orders VALUES (1, 'confidential')",
    );
    server.declare_queue("everything", &json!({}));
    server.declare_exchange("shop", "topic", "everything", "nothing");
    let bench = example(&server, &database);
    for level in ["info", "debug", "trace"] {
        let outcome = bench.tidemark(&format!("run pipeline.yaml --once --log-level {level}")).exits_with(2);
        let wanted =
            "no queue takes what the exchange `shop` is given with the routing key `public.orders.r`";
        assert!(outcome.stderr.contains(wanted), "{}", outcome.stderr);
        assert!(!outcome.stderr.contains("confidential"), "{}", outcome.stderr);
    }
    server.declare_exchange("shop", "topic", "everything", "public.#");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(server.take("everything").len(), 1);
}
