//! Against a broker, with our own source's session as the consumer.

use std::path::Path;

use tidemark_engine::{
    ErrorKind,
    change::{ChangeBatch, Op},
    contract::{samples, write},
    log::Ledger,
    world::World,
    write::WriteStrategy,
};
use tidemark_test_servers::Mosquitto;
use tokio::{sync::Mutex, task::block_in_place};

use super::{Destination, DestinationConfig, Publisher};
use crate::{
    messages::{
        Post,
        contract::{self, Received},
    },
    mqtt::{
        config::Version,
        session::{Event, Introduction, Message, Session},
    },
};

fn config(broker: &Mosquitto, more: serde_json::Value) -> DestinationConfig {
    let mut json = serde_json::json!({"url": broker.url(), "topic": "changes"});
    json.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(json).unwrap()
}

/// Whoever is subscribed to `filter` from now on.
async fn subscriber(broker: &Mosquitto, filter: &str) -> Session {
    let config = config(broker, serde_json::json!({}));
    let world = World::real();
    let introduction = Introduction {
        version: Version::V5,
        client_id: format!("reader-{}", world.name(8)),
        username: None,
        password: None,
        expiry: 0,
    };
    let mut session =
        Session::open(&config.broker(Path::new(".")).unwrap(), &introduction, &world).await.unwrap();
    session.subscribe(vec![filter.to_owned()], Vec::new());
    assert!(matches!(session.next().await.unwrap(), Event::Subscribed(granted) if granted == [true]));
    session
}

/// What has been published before this, by the one that is published now.
async fn taken(broker: &Mosquitto, session: &mut Session) -> Vec<Message> {
    broker.publish("changes/end", b"end", &[]);
    let mut messages = Vec::new();
    loop {
        let Event::Message(message) = session.next().await.unwrap() else { panic!("it is a message") };
        if let Some(id) = message.id {
            session.acknowledge(id);
        }
        if message.topic == "changes/end" {
            return messages;
        }
        messages.push(message);
    }
}

fn property(message: &Message, name: &str) -> String {
    let found = message.properties.user.iter().find(|(other, _)| other == name);
    found.unwrap_or_else(|| panic!("there is no {name}")).1.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_is_kept() {
    for version in ["5", "3.1.1"] {
        let broker = Mosquitto::start();
        let config = config(&broker, serde_json::json!({"version": version}));
        let subscriber = Mutex::new(subscriber(&broker, "changes/#").await);
        // Each is a process of its own, and may not end the connection of another.
        let connect = |ledger: Ledger| {
            let name = World::real().name(8);
            Destination::strategy(&config, Path::new("."), &name, ledger).unwrap()
        };
        let consume = async || {
            let messages = taken(&broker, &mut *subscriber.lock().await).await;
            let received = |message: &Message| {
                let body: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
                let id = match version {
                    "5" => property(message, "tidemark-id"),
                    _ => body["id"].as_str().unwrap().to_owned(),
                };
                Received { id, body }
            };
            messages.iter().map(received).collect()
        };
        contract::all(connect, consume).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_keeps_the_last_message_of_a_record_that_is_there() {
    let broker = Mosquitto::start();
    let more = serde_json::json!({"topic": "changes/{stream}/{key}", "retain": true, "message_expiry": "1h"});
    let (config, log) = (config(&broker, more), contract::log().await);
    let mut destination =
        Destination::strategy(&config, Path::new("."), "tests", Ledger::new(&log, "kept")).unwrap();
    destination.open(&write::log()).await.unwrap();
    let rows = samples::numbered_rows("kept", 0, 10);
    let of = |op: Op, rows: &ChangeBatch, first: u64| {
        let batch = ChangeBatch::uniform(rows.schema().clone(), op, rows.columns().values.clone());
        contract::numbered(&batch.unwrap(), first)
    };
    let gone = rows.slice(0, 4);
    let changes = vec![of(Op::Create, &rows, 0), of(Op::Update, &rows, 10), of(Op::Delete, &gone, 20)];
    destination.apply(&mut write::unit(0, 1, changes)).await.unwrap();
    destination.close().await.unwrap();
    let mut late = subscriber(&broker, "changes/#").await;
    let kept = taken(&broker, &mut late).await;
    assert_eq!(kept.len(), 6, "those that are deleted are not kept");
    for message in kept {
        assert!(message.is_retained && message.topic.starts_with("changes/kept/"));
        assert_eq!(property(&message, "tidemark-op"), "u");
        assert_eq!(message.properties.content_type.as_deref(), Some("application/json"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_comes_back_is_published_to_again() {
    let mut broker = Mosquitto::start();
    let (config, log) = (config(&broker, serde_json::json!({})), contract::log().await);
    let mut destination =
        Destination::strategy(&config, Path::new("."), "tests", Ledger::new(&log, "again")).unwrap();
    destination.open(&write::log()).await.unwrap();
    let rows = || contract::numbered(&samples::numbered_rows("again", 0, 300), 0);
    let unit = |begin: u64| write::unit(begin, begin + 1, vec![rows()]);
    destination.apply(&mut unit(0)).await.unwrap();
    broker.stop();
    let mut refused = Publisher::new(&config, Path::new("."), "other", World::real()).unwrap();
    assert_eq!(refused.open().await.unwrap_err().kind(), ErrorKind::Unavailable);
    broker.start_again();
    let mut reader = subscriber(&broker, "changes/#").await;
    destination.apply(&mut unit(1)).await.unwrap();
    assert_eq!(taken(&broker, &mut reader).await.len(), 300);
    destination.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_at_the_broker_is_told() {
    let mut broker = Mosquitto::start();
    let check = async |json: serde_json::Value| {
        let config: DestinationConfig = serde_json::from_value(json).unwrap();
        Destination::check(&config, Path::new(".")).await.pop().map(|error| error.kind())
    };
    let (user, password) = broker.user();
    let (url, ca) = (broker.secure_url(), broker.ca_certificate());
    let known = serde_json::json!({"url": url, "ca": ca, "username": user, "password": password});
    assert_eq!(check(known).await, None);
    let unknown = serde_json::json!({"url": url, "ca": ca, "username": user, "password": "wrong"});
    assert_eq!(check(unknown).await, Some(ErrorKind::Denied));
    assert_eq!(check(serde_json::json!({"url": url})).await, Some(ErrorKind::Config));
    block_in_place(|| broker.stop());
    assert_eq!(check(serde_json::json!({"url": broker.url()})).await, Some(ErrorKind::Unavailable));
}
