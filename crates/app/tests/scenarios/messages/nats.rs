//! NATS, whose JetStream keeps what was sent.

use std::{collections::BTreeSet, fs, time::Duration};

use async_nats::jetstream::{
    self,
    consumer::{self, pull},
    stream::{self, StorageType},
};
use futures::StreamExt;
use serde_json::Value as Json;
use tidemark_test_servers::{Nats, Postgres};

use super::delivery;
use crate::{samples::examples, workbench::Workbench};

#[test]
fn every_change_arrives_whoever_is_killed() {
    let (source, mut nats) = (Postgres::shared().database(), Nats::start());
    delivery::prepare(&source, 1_000);
    make_stream(&nats, StorageType::File);
    let urls = [("DATABASE_URL", source.url()), ("NATS_URL", nats.url())];
    let example = fs::read_to_string(examples("nats/pipeline.yaml")).unwrap();
    let bench = Workbench::with_pipeline(&delivery::named(&example, &source)).in_environment(&urls);
    bench.tidemark("check pipeline.yaml").succeeds();
    delivery::goes_on(&bench, &source, || {
        nats.kill();
        nats.start_again();
    });
    let received = consume(&nats);
    delivery::assert_delivered(&bench, &received);
    // JetStream remembers the ids of the last two minutes.
    let ids: BTreeSet<_> = received.iter().map(|message| message["id"].to_string()).collect();
    assert_eq!(ids.len(), received.len(), "what was sent again was not kept again");
}

/// Makes a stream that takes all below `changes`.
#[tokio::main]
pub(crate) async fn make_stream(nats: &Nats, storage: StorageType) {
    let context = jetstream::new(async_nats::connect(nats.url()).await.unwrap());
    let config = stream::Config {
        name: "changes".into(),
        subjects: vec!["changes.>".to_owned()],
        duplicate_window: Duration::from_secs(120),
        storage,
        ..Default::default()
    };
    context.create_stream(config).await.unwrap();
}

/// Everything that JetStream has kept.
#[tokio::main]
pub(crate) async fn consume(nats: &Nats) -> Vec<Json> {
    let context = jetstream::new(async_nats::connect(nats.url()).await.unwrap());
    let mut stream = context.get_stream("changes").await.unwrap();
    let count = usize::try_from(stream.info().await.unwrap().state.messages).unwrap();
    let consumer = stream
        .create_consumer(pull::Config { ack_policy: consumer::AckPolicy::None, ..pull::Config::default() })
        .await
        .unwrap();
    let messages = consumer.messages().await.unwrap().take(count);
    messages.map(|message| serde_json::from_slice(&message.unwrap().payload).unwrap()).collect().await
}
