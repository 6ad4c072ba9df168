//! MQTT, with our own source as the subscriber: its session keeps what is published while it is away.

use std::fs;

use serde_json::Value as Json;
use tidemark_test_servers::{Mosquitto, Postgres};

use super::delivery;
use crate::{samples::examples, workbench::Workbench};

#[test]
fn every_change_arrives_whoever_is_killed() {
    let (source, mut broker) = (Postgres::shared().database(), Mosquitto::start());
    delivery::prepare(&source, 1_000);
    let subscriber = Workbench::with_pipeline(&format!(
        "name: subscriber
source:
  type: mqtt
  url: \"{}\"
  streams:
    changes:
      topics: changes/#
      types: {{key: json, values: json, before: json, time: text, source_time: text, transaction: text}}
destinations: {{all: {{type: sqlite, path: ./all.db, write: append}}}}
",
        broker.url()
    ));
    subscriber.tidemark("run pipeline.yaml --once").succeeds();

    let example = fs::read_to_string(examples("mqtt/changes.yaml")).unwrap();
    assert!(example.lines().count() <= 15);
    let urls = [("DATABASE_URL", source.url()), ("MQTT_URL", broker.url())];
    let bench = Workbench::with_pipeline(&delivery::named(&example, &source)).in_environment(&urls);
    bench.tidemark("check pipeline.yaml").succeeds();
    delivery::goes_on(&bench, &source, || {
        // Killed it would lose what it has acknowledged: it writes to its disk from time to time, and when it ends.
        broker.stop();
        broker.start_again();
    });

    subscriber.tidemark("run pipeline.yaml --once").succeeds();
    let received = subscriber.tidemark("changes pipeline.yaml --json").succeeds().stdout;
    let received = received.lines().map(|line| serde_json::from_str::<Json>(line).unwrap()["values"].take());
    delivery::assert_delivered(&bench, &received.collect::<Vec<_>>());
}
