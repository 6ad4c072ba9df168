//! Azure Service Bus, as a double of it has it.

use std::{cell::RefCell, collections::BTreeSet, fs};

use serde_json::Value as Json;
use tidemark_test_servers::{Database, Misfortune, Postgres, ServiceBus};

use super::delivery::{assert_delivered, goes_on, named, prepare};
use crate::{samples::examples, workbench::Workbench};

/// The example against the double, with what is `replaced` in it.
fn example(bus: &ServiceBus, database: &Database<'_>, replaced: (&str, &str)) -> Workbench {
    let example = fs::read_to_string(examples("azure-service-bus/pipeline.yaml")).unwrap();
    assert!(example.lines().count() <= 15);
    let (policy, key) = bus.policy();
    let pipeline = named(&example, database)
        .replace("amqps://shop.servicebus.windows.net", &bus.url())
        .replace("shared_access_key_name: tidemark", &format!("shared_access_key_name: {policy}"))
        .replace(replaced.0, replaced.1);
    let variables = [("DATABASE_URL", database.url()), ("SERVICE_BUS_KEY", key.to_owned())];
    Workbench::with_pipeline(&pipeline).in_environment(&variables)
}

/// Whoever is killed, cut off or refused.
fn everything_goes_wrong(bench: &Workbench, database: &Database<'_>, bus: &RefCell<ServiceBus>) {
    goes_on(bench, database, || {
        bus.borrow().plan(Misfortune::CutOff, 2);
        bus.borrow().plan(Misfortune::Busy, 2);
        bus.borrow().plan(Misfortune::Detached, 2);
        bus.borrow_mut().kill();
        bus.borrow_mut().start_again();
    });
}

#[test]
fn every_change_arrives_whoever_is_killed() {
    let (bus, database) = (RefCell::new(ServiceBus::start()), Postgres::shared().database());
    prepare(&database, 1_000);
    let bench = example(&bus.borrow(), &database, ("", ""));
    let outcome = bench.tidemark("check pipeline.yaml").exits_with(2);
    let said = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(said.contains("has no queue or topic `orders`"), "{said}");
    bus.borrow().create_queue_with_sessions("orders");
    bench.tidemark("check pipeline.yaml").succeeds();
    everything_goes_wrong(&bench, &database, &bus);

    let received = bus.borrow().take("orders").into_iter().map(|message| {
        let body: Json = serde_json::from_slice(&message.body).unwrap();
        assert_eq!(message.id, body["id"]);
        assert_eq!(message.session, Some(body["key"].to_string()));
        body
    });
    assert_delivered(&bench, &received.collect::<Vec<_>>());
}

#[test]
fn where_duplicates_are_dropped_every_change_arrives_once_and_in_order() {
    let (bus, database) = (RefCell::new(ServiceBus::start()), Postgres::shared().database());
    prepare(&database, 1_000);
    let bench = example(&bus.borrow(), &database, ("session: key", "session: none"));
    bus.borrow().create_queue_without_duplicates("orders");
    everything_goes_wrong(&bench, &database, &bus);

    let received = bus.borrow().take("orders");
    let ids: BTreeSet<_> = received.iter().map(|message| &message.id).collect();
    assert_eq!(ids.len(), received.len());
    let bodies = received.iter().map(|message| serde_json::from_slice(&message.body).unwrap());
    assert_delivered(&bench, &bodies.collect::<Vec<_>>());
}
