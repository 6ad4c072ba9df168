//! Web hooks, sent by one process and taken by another.

use std::{fs, time::Duration};

use serde_json::Value as Json;
use tidemark_test_servers::{Postgres, Receiver, Sender};

use super::delivery::{assert_delivered, goes_on, named, prepare};
use crate::{
    process::{Running, pause},
    samples::examples,
    workbench::Workbench,
};

#[test]
fn every_change_arrives_whoever_is_killed() {
    let (source, address) = (Postgres::shared().database(), Sender::new());
    prepare(&source, 1_000);
    let taking = Workbench::with_pipeline(&taking(&address));
    let mut taker = Some(listening(&taking));
    let urls = [
        ("DATABASE_URL", source.url()),
        ("HOOK_URL", format!("http://{}", address.address())),
        ("WEBHOOK_SECRET", address.secret()),
    ];
    let example = fs::read_to_string(examples("webhook/changes.yaml")).unwrap();
    let bench = Workbench::with_pipeline(&named(&example, &source)).in_environment(&urls);
    bench.tidemark("check pipeline.yaml").succeeds();
    goes_on(&bench, &source, || {
        taker.take().unwrap().kill().was_killed();
        pause(Duration::from_secs(1));
        taker = Some(listening(&taking));
    });
    taker.unwrap().terminate().succeeds();
    let taken = taking.tidemark("changes pipeline.yaml --json").succeeds().stdout;
    let taken = taken.lines().map(|line| serde_json::from_str::<Json>(line).unwrap()["values"].take());
    assert_delivered(&bench, &taken.collect::<Vec<_>>());
}

#[test]
fn an_alert_tells_of_what_it_is_for_and_of_nothing_else() {
    let (source, receiver) = (Postgres::shared().database(), Receiver::start());
    source.execute(
        "CREATE TABLE accounts (id int PRIMARY KEY, balance numeric(12,2) NOT NULL);
         INSERT INTO accounts SELECT n, n - 2 FROM generate_series(1, 1000) n",
    );
    let example = fs::read_to_string(examples("webhook/alert.yaml")).unwrap();
    assert!(example.lines().count() <= 15);
    let bench =
        Workbench::with_pipeline(&example.replace("name: alerts", &format!("name: {}", source.name())))
            .in_environment(&[("DATABASE_URL", source.url()), ("ALERT_URL", receiver.url())]);
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert!(receiver.take().is_empty(), "what was there before is no news");

    source.execute(
        "UPDATE accounts SET balance = balance + 1 WHERE id > 500;
         UPDATE accounts SET balance = -0.01 WHERE id IN (7, 900);
         INSERT INTO accounts VALUES (2000, -5), (2001, 5);
         DELETE FROM accounts WHERE id = 300",
    );
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let told = |request: tidemark_test_servers::Request| {
        let change: Json = serde_json::from_slice(&request.body).unwrap();
        format!("{} {}", change["op"].as_str().unwrap(), change["key"]["id"])
    };
    let mut told: Vec<String> = receiver.take().into_iter().map(told).collect();
    told.sort();
    assert_eq!(told, ["c 2000", "d 300", "u 7", "u 900"]);
}

fn taking(sender: &Sender) -> String {
    format!(
        "
name: taking
source:
  type: webhook
  listen: {}
  streams:
    changes:
      path: /hooks/public.orders
      verify: {{type: standard-webhooks, secret: \"{}\"}}
      types: {{key: json, values: json, before: json, time: text, source_time: text, transaction: text}}
destinations:
  all: {{type: sqlite, path: ./all.db, write: append}}
",
        sender.address(),
        sender.secret()
    )
}

fn listening(bench: &Workbench) -> Running {
    let running = bench.start("run pipeline.yaml");
    running.until_it_says("listening for web hooks");
    running
}
