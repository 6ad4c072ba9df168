//! A connection to a cluster, and the producer on it.

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use krafka::{
    CloseOptions, Kafka, Record,
    admin::DescribeClusterOptions,
    error::KrafkaError,
    producer::{Acks, DeliveryHandle, Producer},
};
use tidemark_engine::{Error, Result, Time};

use super::{
    Compression, DestinationConfig,
    config::PROTOCOL,
    failure::{failed, is_of_a_record},
    security::security,
    topics::Topics,
};
use crate::{
    broker::Address,
    messages::{Message, Undelivered},
};

const CONNECTING: Duration = Duration::from_secs(5);
/// How long a broker may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a record may take, with all that the producer does about a broker that is lost.
const DELIVERY: Duration = Duration::from_secs(30);
/// How long a batch waits for more records while nothing of its partition is under way.
const LINGER: Duration = Duration::from_millis(5);
/// Of a partition there is one batch under way at a time, so it had better be large.
const BATCH: usize = 512 << 10;
const BUFFER: usize = 32 << 20;

/// A connection to a cluster, and the producer on it. It connects again by itself.
///
/// The producer numbers its batches, so that a broker takes each once and none before the one before it, however often they are sent.
/// What was given up is a thing of the past for the brokers too: they take nothing more of it.
pub(super) struct Session {
    producer: Producer,
    pub(super) topics: Topics,
    brokers: String,
    is_spent: AtomicBool,
}

impl Session {
    /// Connects as the pipeline file says.
    pub(super) async fn open(config: &DestinationConfig, folder: &Path, brokers: &str) -> Result<Self> {
        let addresses = config.addresses()?;
        let servers: Vec<_> = addresses.iter().map(Address::authority).collect();
        let mut kafka = Kafka::builder(servers.join(","))
            .client_id("tidemark")
            .connect_timeout(CONNECTING)
            .request_timeout(PATIENCE);
        if let Some(security) = security(config, folder)? {
            kafka = kafka.security(security);
        }
        let told = |error| failed(brokers, error);
        let kafka = kafka.connect().await.map_err(told)?;
        if !addresses.iter().all(Address::is_secure) {
            stays_on_this_machine(&kafka).await.map_err(told)??;
        }
        let largest = usize::try_from(config.max_message_size.0).unwrap_or(BATCH);
        let producer = kafka
            .producer()
            .acks(Acks::All)
            .idempotent(true)
            .compression(compression(config.compression))
            .batch_size(largest.min(BATCH))
            .buffer_memory(BUFFER + 2 * largest)
            .linger(LINGER)
            .delivery_timeout(DELIVERY)
            .max_block(PATIENCE)
            .metrics_push(false)
            .build()
            .await
            .map_err(told)?;
        let topics = Topics::new(&kafka, brokers, config.create_topics);
        Ok(Self { producer, topics, brokers: brokers.to_owned(), is_spent: AtomicBool::new(false) })
    }

    /// Sends `batch`, and waits for what becomes of each: nothing of it is under way any more after that.
    pub(super) async fn send(&self, batch: &[Message]) -> Result<(), Undelivered> {
        let mut under_way = Vec::with_capacity(batch.len());
        let mut failure = None;
        for (taken, message) in batch.iter().enumerate() {
            match self.enqueue(message).await {
                Ok(delivery) => under_way.push(delivery),
                Err(undelivered) => {
                    failure = Some(Undelivered { taken, ..undelivered });
                    break;
                }
            }
        }
        let mut first = None;
        for (taken, (message, delivery)) in batch.iter().zip(under_way).enumerate() {
            if let Err(error) = delivery.await
                && first.is_none()
            {
                first = Some(Undelivered { taken, ..self.undelivered(message, error) });
            }
        }
        first.or(failure).map_or(Ok(()), Err)
    }

    /// Whether it can send nothing any more.
    pub(super) fn is_spent(&self) -> bool {
        self.is_spent.load(Ordering::Relaxed)
    }

    /// Ends the producer. Records without an answer are given up.
    pub(super) async fn close(self) {
        // Whoever wanted to know what became of a record has been told.
        let _ = self.producer.close_with(CloseOptions::new().timeout(DELIVERY)).await;
    }

    /// Puts a message into the queue of its partition, behind all that are there.
    async fn enqueue(&self, message: &Message) -> Result<DeliveryHandle, Undelivered> {
        self.topics.ensure(&message.place).await.map_err(|error| match error.kind() {
            tidemark_engine::ErrorKind::Data => Undelivered::message(0, error),
            _ => error.of_stream(&message.stream).into(),
        })?;
        self.producer.enqueue(record(message)).await.map_err(|error| self.undelivered(message, error))
    }

    fn undelivered(&self, message: &Message, error: KrafkaError) -> Undelivered {
        self.topics.forget(&message.place);
        self.is_spent.fetch_or(error.is_fatal(), Ordering::Relaxed);
        let is_the_message = is_of_a_record(&error);
        let error = failed(&self.brokers, error);
        let error = if error.kind().is_transient() { error } else { error.of_stream(&message.stream) };
        Undelivered { taken: 0, is_the_message, error }
    }
}

/// What Kafka keeps of a message: as its time that at the source.
pub(super) fn record(message: &Message) -> Record {
    let mut record = match &message.body {
        Some(body) => Record::new(&message.place, body.clone()).header("content-type", message.content_type),
        None => Record::new(&message.place, "").without_value(),
    };
    if let Some(key) = &message.key {
        record = record.key(key.clone());
    }
    record = record
        .timestamp(millis(message.time))
        .header("tidemark-id", message.id.clone())
        .header("tidemark-op", message.op.as_str())
        .header("tidemark-stream", message.stream.as_str().to_owned());
    message.headers.iter().fold(record, |record, (name, value)| record.header(*name, value.clone()))
}

/// Kafka knows no time before 1970.
fn millis(time: Time) -> i64 {
    time.as_micros().div_euclid(1_000).max(0)
}

fn compression(config: Compression) -> krafka::Compression {
    match config {
        Compression::None => krafka::Compression::None,
        Compression::Gzip => krafka::Compression::Gzip,
        Compression::Snappy => krafka::Compression::Snappy,
        Compression::Lz4 => krafka::Compression::Lz4,
        Compression::Zstd => krafka::Compression::Zstd,
    }
}

/// A broker on this machine may name others elsewhere, and those would be spoken to without TLS as well.
async fn stays_on_this_machine(kafka: &Kafka) -> Result<Result<()>, KrafkaError> {
    let admin = kafka.admin().metrics_push(false).default_api_timeout(PATIENCE);
    let cluster = admin.describe_cluster(DescribeClusterOptions::default()).await?;
    let elsewhere = cluster.brokers.iter().find_map(|broker| {
        let host = if broker.host.contains(':') { format!("[{}]", broker.host) } else { broker.host.clone() };
        Address::parse(&PROTOCOL, &format!("{}://{host}:{}", PROTOCOL.plain, broker.port)).err()
    });
    Ok(elsewhere.map_or(Ok(()), |error: Error| {
        Err(error.hint(
            "use a listener with TLS (`kafkas://`), or have the broker advertise its address on this machine",
        ))
    }))
}
