//! Against a server of NATS.

use std::{path::Path, time::Duration};

use async_nats::jetstream::{self, stream};
use futures::StreamExt;
use tidemark_engine::{
    ErrorKind, Time,
    change::Op,
    contract::{samples, write},
    log::Ledger,
    schema::StreamName,
    world::World,
    write::WriteStrategy,
};
use tidemark_test_servers::{Condition, Line, Nats};

use super::{Destination, DestinationConfig, post::JetStream};
use crate::messages::{
    Message, Post,
    contract::{self, Received},
};

fn config(nats: &Nats, subject: &str) -> DestinationConfig {
    let json = serde_json::json!({"url": nats.url(), "subject": subject});
    serde_json::from_value(json).unwrap()
}

async fn stream_of(nats: &Nats, subject: &str) -> stream::Stream {
    let context = jetstream::new(async_nats::connect(nats.url()).await.unwrap());
    let config =
        stream::Config { name: "tests".into(), subjects: vec![subject.into()], ..Default::default() };
    context.create_stream(config).await.unwrap()
}

/// Everything that the stream holds and nobody has taken yet.
async fn consume(stream: &stream::Stream) -> Vec<Received> {
    let config =
        jetstream::consumer::pull::Config { durable_name: Some("reader".into()), ..Default::default() };
    let consumer = stream.get_or_create_consumer("reader", config).await.unwrap();
    let mut received = Vec::new();
    loop {
        let batch = consumer.fetch().max_messages(500).expires(Duration::from_secs(5));
        let messages: Vec<_> = batch.messages().await.unwrap().collect().await;
        if messages.is_empty() {
            return received;
        }
        for message in messages {
            let message = message.unwrap();
            let id = message.headers.as_ref().unwrap().get("Nats-Msg-Id").unwrap().to_string();
            received.push(Received { id, body: serde_json::from_slice(&message.payload).unwrap() });
            message.ack().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_is_kept() {
    let nats = Nats::start();
    let (config, stream) = (config(&nats, "changes"), stream_of(&nats, "changes").await);
    let connect = |ledger: Ledger| Destination::strategy(&config, Path::new("."), ledger).unwrap();
    contract::all(connect, async || consume(&stream).await).await;
    let log = contract::log().await;
    contract::too_large(connect(Ledger::new(&log, "large")), 1 << 20).await;
}

/// After the connection was lost, whoever sends begins with the first that was not acknowledged: nothing behind it may come before.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_under_way_when_the_connection_was_lost_is_not_sent_later() {
    let nats = Nats::start();
    let (line, world) = (Line::to(nats.port()), World::real());
    let stream = stream_of(&nats, "changes").await;
    let config = serde_json::json!({"url": format!("nats://127.0.0.1:{}", line.port())});
    let config: DestinationConfig = serde_json::from_value(config).unwrap();
    let mut post = JetStream::new(&config, Path::new(".")).unwrap();
    post.open().await.unwrap();
    line.is(Condition::Slow(Duration::from_millis(50)));
    let messages: Vec<_> = (0..40).map(large).collect();
    tokio::select! {
        sent = post.send(&messages) => panic!("all of it at once? {sent:?}"),
        () = world.sleep(Duration::from_secs(1)) => {}
    }
    line.cut();
    line.is(Condition::Good);
    post.open().await.unwrap();
    world.sleep(Duration::from_secs(2)).await;
    let kept: Vec<_> = consume(&stream).await.into_iter().map(|message| message.id).collect();
    let sent: Vec<_> = messages.iter().map(|message| message.id.clone()).collect();
    assert!(kept.len() < sent.len() && sent.starts_with(&kept), "{kept:?}");
}

/// A message that takes a while.
fn large(number: u64) -> Message {
    Message {
        id: format!("{number}"),
        stream: StreamName::new("orders"),
        op: Op::Create,
        time: Time::from_micros(0),
        key: None,
        lane: 0,
        place: "changes".to_owned(),
        headers: Vec::new(),
        content_type: "application/json",
        body: Some(format!("\"{}\"", "x".repeat(512 << 10)).into()),
        sequence: 0,
        ordinal: number,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_stream_takes_is_an_error() {
    let nats = Nats::start();
    let _stream = stream_of(&nats, "elsewhere").await;
    let ledger = Ledger::new(&contract::log().await, "sent");
    let mut destination = Destination::strategy(&config(&nats, "changes"), Path::new("."), ledger).unwrap();
    destination.open(&write::log()).await.unwrap();
    let changes = contract::numbered(&samples::numbered_rows("orders", 0, 10), 0);
    let error = destination.apply(&mut write::unit(0, 1, vec![changes])).await.unwrap_err();
    assert_eq!((error.kind(), error.stream().unwrap().as_str()), (ErrorKind::Config, "orders"), "{error}");
    assert!(error.to_string().contains("`changes`"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_at_the_server_is_told() {
    let mut nats = Nats::start();
    let check =
        async |subject: &str, nats: &Nats| Destination::check(&config(nats, subject), Path::new(".")).await;
    let missing = check("nobody.takes.it", &nats).await;
    assert_eq!(missing[0].kind(), ErrorKind::Config);
    assert!(missing[0].to_string().contains("`nobody.takes.it`"), "{}", missing[0]);
    let _stream = stream_of(&nats, "changes.>").await;
    assert!(check("changes.orders", &nats).await.is_empty());
    assert!(check("changes.{stream}", &nats).await.is_empty());
    nats.kill();
    assert_eq!(check("changes.orders", &nats).await[0].kind(), ErrorKind::Unavailable);
}
