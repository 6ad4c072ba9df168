//! The double of Service Bus: tokens, batches, settlement, and what the service does to those who send to it.

use std::{collections::BTreeMap, path::Path, time::Duration};

use serde_json::{Value as Json, json};
use tidemark_engine::{
    ErrorKind,
    change::{ChangeBatch, Op},
    contract::{samples, write},
    log::Ledger,
    write::WriteStrategy,
};
use tidemark_test_servers::{Misfortune, ServiceBus, ServiceBusMessage};

use super::{Ahead, Destination, check, config, connect, keys, log_in, sent};
use crate::messages::contract::{self, Received, numbered};

fn body(message: &ServiceBusMessage) -> Json {
    serde_json::from_slice(&message.body).unwrap()
}

/// Each record created, changed and deleted, in one unit.
fn lives(count: usize) -> Vec<ChangeBatch> {
    let rows = samples::numbered_rows("orders", 0, count);
    let life = |(at, op)| {
        let batch = ChangeBatch::uniform(rows.schema().clone(), op, rows.columns().values.clone()).unwrap();
        numbered(&batch, (at * count) as u64)
    };
    [Op::Create, Op::Update, Op::Delete].into_iter().enumerate().map(life).collect()
}

/// Each record's changes, the last of each id, in their order.
fn of_each(messages: &[ServiceBusMessage]) -> BTreeMap<String, String> {
    let mut lives: BTreeMap<String, String> = BTreeMap::new();
    for message in messages {
        let body = body(message);
        lives.entry(body["key"].to_string()).or_default().push_str(body["op"].as_str().unwrap());
    }
    lives
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_is_kept() {
    for queue in ["changes", "sessions", "unique"] {
        let bus = ServiceBus::start();
        bus.create_queue("changes");
        bus.create_queue_with_sessions("sessions");
        bus.create_queue_without_duplicates("unique");
        let session = if queue == "sessions" { "key" } else { "none" };
        let config = config(&keys(&bus, json!({"entity": queue, "session": session})));
        let consume = || {
            let received = |message: &ServiceBusMessage| {
                let body = body(message);
                assert_eq!(message.subject.as_deref(), body["op"].as_str());
                assert_eq!(message.content_type.as_deref(), Some("application/json"));
                assert_eq!(message.properties["op"], body["op"]);
                assert_eq!(message.properties["stream"], body["stream"]);
                Received { id: message.id.clone(), body }
            };
            bus.take(queue).iter().map(received).collect::<Vec<_>>()
        };
        contract::all(|ledger| connect(&config, ledger), async || consume()).await;
        let log = contract::log().await;
        contract::too_large(connect(&config, Ledger::new(&log, "large")), 300 << 10).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_go_in_batches_as_large_as_the_service_says() {
    let bus = ServiceBus::start();
    bus.create_queue("orders");
    sent(&keys(&bus, json!({})), 5_000).await.unwrap();
    let messages = bus.take("orders");
    assert_eq!(messages.len(), 5_000);
    assert!(messages.iter().any(|message| message.batch == 500), "as many as may be");
    // What does not fit in one goes in several.
    bus.limit(16 << 10, None);
    sent(&keys(&bus, json!({})), 1_000).await.unwrap();
    let messages = bus.take("orders");
    assert_eq!(messages.len(), 1_000);
    assert!(messages.iter().all(|message| (2..200).contains(&message.batch)), "as many as fit");
    // Where messages may be large, batches may still not.
    bus.limit(100 << 20, Some(16 << 10));
    sent(&keys(&bus, json!({})), 1_000).await.unwrap();
    assert!(bus.take("orders").iter().all(|message| (2..200).contains(&message.batch)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_a_session_or_a_partition() {
    let bus = ServiceBus::start();
    bus.create_queue_with_sessions("orders");
    let without = sent(&keys(&bus, json!({})), 10).await.unwrap_err();
    assert_eq!((without.kind(), without.stream().unwrap().as_str()), (ErrorKind::Config, "orders"));
    assert_eq!(without.hint_text(), Some("where it requires sessions, say `session: key`"));

    sent(&keys(&bus, json!({"session": "key"})), 600).await.unwrap();
    let messages = bus.take("orders");
    assert_eq!(messages.len(), 600);
    for message in &messages {
        assert_eq!(message.session, Some(body(message)["key"].to_string()));
        assert_eq!(message.partition, None);
    }
    bus.create_queue("orders");
    sent(&keys(&bus, json!({"partition": "key"})), 600).await.unwrap();
    for message in &bus.take("orders") {
        assert_eq!(message.partition, Some(body(message)["key"].to_string()));
        assert_eq!(message.session, None);
    }
    // In each session as many as there are of it go together.
    bus.create_queue_with_sessions("orders");
    let config = config(&keys(&bus, json!({"session": "key"})));
    let mut destination = connect(&config, Ledger::new(&contract::log().await, "sent"));
    destination.open(&write::log()).await.unwrap();
    destination.apply(&mut write::unit(0, 1, lives(20))).await.unwrap();
    let messages = bus.take("orders");
    assert!(messages.iter().all(|message| message.batch == 3));
    assert!(of_each(&messages).values().all(|life| life == "cud"));
}

#[tokio::test(flavor = "multi_thread")]
async fn misfortunes_cost_no_change_and_no_order() {
    for session in ["none", "key"] {
        let bus = ServiceBus::start();
        // Several batches are sent for one of ours.
        bus.limit(16 << 10, None);
        let config = config(&keys(&bus, json!({"session": session})));
        for misfortune in [Misfortune::Busy, Misfortune::Detached, Misfortune::CutOff] {
            bus.create_queue_without_duplicates("orders");
            let mut destination = connect(&config, Ledger::new(&contract::log().await, "sent"));
            destination.open(&write::log()).await.unwrap();
            bus.plan(misfortune, 2);
            destination.apply(&mut write::unit(0, 1, lives(1_500))).await.unwrap();
            let lives = of_each(&bus.take("orders"));
            assert_eq!(lives.len(), 1_500, "{misfortune:?}");
            assert!(lives.values().all(|life| life == "cud"), "{misfortune:?}: {lives:?}");
            destination.close().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_stays_busy_is_unavailable() {
    let bus = ServiceBus::start();
    bus.create_queue("orders");
    bus.plan(Misfortune::Busy, 1_000);
    let error = sent(&keys(&bus, json!({})), 10).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("throttles"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_message_at_fault_is_found_in_its_batch() {
    let bus = ServiceBus::start();
    bus.create_queue("orders");
    bus.refuse("\"id\":417,");
    let error = sent(&keys(&bus, json!({})), 1_000).await.unwrap_err();
    assert_eq!((error.kind(), error.change()), (ErrorKind::Data, Some((1, 417))), "{error:?}");
    assert!(error.message().contains("com.microsoft:argument-error"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_renewed_before_it_ends() {
    let bus = ServiceBus::start();
    bus.create_queue("orders");
    let ahead = Ahead::of_world();
    let log = log_in(ahead.world()).await;
    let config = config(&keys(&bus, json!({})));
    let mut destination = Destination::strategy(&config, Path::new("."), Ledger::new(&log, "sent")).unwrap();
    destination.open(&write::log()).await.unwrap();
    let unit = |begin: u64| {
        let changes = numbered(&samples::numbered_rows("orders", begin as i64, 10), 0);
        write::unit(begin, begin + 1, vec![changes])
    };
    for begin in 0..2 {
        destination.apply(&mut unit(begin)).await.unwrap();
    }
    assert_eq!(bus.tokens(), ["orders"]);
    ahead.put_forward(Duration::from_secs(51 * 60));
    destination.apply(&mut unit(2)).await.unwrap();
    assert_eq!(bus.tokens(), ["orders", "orders"]);
    assert_eq!(bus.take("orders").len(), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_at_the_service_is_told() {
    let mut bus = ServiceBus::start();
    let missing = check(&keys(&bus, json!({"entity": "orders"}))).await.remove(0);
    assert_eq!(missing.kind(), ErrorKind::Config, "{missing:?}");
    assert!(missing.message().ends_with("has no queue or topic `orders`"), "{missing:?}");
    assert!(missing.hint_text().unwrap().contains("az servicebus queue create"), "{missing:?}");
    let missing = sent(&keys(&bus, json!({})), 10).await.unwrap_err();
    assert_eq!((missing.kind(), missing.stream().unwrap().as_str()), (ErrorKind::Config, "orders"));
    bus.create_queue("orders");
    assert!(check(&keys(&bus, json!({"entity": "orders"}))).await.is_empty());
    assert!(check(&keys(&bus, json!({}))).await.is_empty(), "which queues, changes say");
    bus.create_disabled_queue("closed");
    let closed = check(&keys(&bus, json!({"entity": "closed"}))).await.remove(0);
    assert_eq!((closed.kind(), closed.message()), (ErrorKind::Config, "`closed` is disabled"));
    for guessed in [json!({"shared_access_key": "guessed"}), json!({"shared_access_key_name": "nobody"})] {
        let mut guessed = keys(&bus, guessed);
        guessed["entity"] = "orders".into();
        let denied = check(&guessed).await.remove(0);
        assert_eq!(denied.kind(), ErrorKind::Denied, "{denied:?}");
        assert!(!format!("{denied:?}").contains("guessed"), "{denied:?}");
    }
    let down = keys(&bus, json!({"entity": "orders"}));
    bus.kill();
    assert_eq!(check(&down).await[0].kind(), ErrorKind::Unavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_was_away_is_found_again() {
    let mut bus = ServiceBus::start();
    bus.create_queue("orders");
    let config = config(&keys(&bus, json!({})));
    let mut destination = connect(&config, Ledger::new(&contract::log().await, "away"));
    destination.open(&write::log()).await.unwrap();
    let unit = |begin: u64| {
        let changes = numbered(&samples::numbered_rows("orders", begin as i64, 5_000), 0);
        write::unit(begin, begin + 1, vec![changes])
    };
    destination.apply(&mut unit(0)).await.unwrap();
    bus.kill();
    assert_eq!(destination.apply(&mut unit(1)).await.unwrap_err().kind(), ErrorKind::Unavailable);
    bus.start_again();
    destination.open(&write::log()).await.unwrap();
    destination.apply(&mut unit(1)).await.unwrap();
    assert_eq!(bus.take("orders").len(), 10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_stream_may_have_a_queue_of_its_own_however_many_there_are() {
    let bus = ServiceBus::start();
    (0..150).for_each(|number| bus.create_queue(&format!("orders-{number}")));
    sent(&keys(&bus, json!({"entity": "{stream}-{key}"})), 150).await.unwrap();
    for number in 0..150 {
        assert_eq!(bus.take(&format!("orders-{number}")).len(), 1, "{number}");
    }
}
