//! Whoever reads a topic.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use krafka::{ConsumerRecord, Kafka, consumer::AutoOffsetReset};

use super::wait;

const POLL: Duration = Duration::from_millis(500);
/// Whoever has heard nothing for so long has everything.
const QUIET: Duration = Duration::from_secs(5);

/// Whoever reads a topic. It remembers how far it has come.
pub struct TopicReader {
    server: String,
    topic: String,
    /// The next offset of each partition.
    next: Mutex<BTreeMap<i32, i64>>,
}

/// A record, as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaRecord {
    /// The partition that it stands in.
    pub partition: i32,
    /// Its time, in milliseconds since 1970.
    pub timestamp: i64,
    /// Its key.
    pub key: Option<String>,
    /// What it holds; `None`: a tombstone.
    pub value: Option<String>,
    /// Its headers.
    pub headers: BTreeMap<String, String>,
}

impl TopicReader {
    pub(super) fn new(server: String, topic: &str) -> Self {
        Self { server, topic: topic.to_owned(), next: Mutex::default() }
    }

    /// What has come since it was last asked; of each partition in its order.
    pub fn take(&self) -> Vec<KafkaRecord> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let (records, reached) = wait(self.read(next.clone()));
        *next = reached;
        records.iter().map(KafkaRecord::of).collect()
    }

    async fn read(&self, mut next: BTreeMap<i32, i64>) -> (Vec<ConsumerRecord>, BTreeMap<i32, i64>) {
        let topic = self.topic.as_str();
        let kafka = Kafka::builder(&self.server).connect().await.unwrap();
        let consumer =
            kafka.consumer_without_group().auto_offset_reset(AutoOffsetReset::Earliest).metrics_push(false);
        let consumer = consumer.build().await.unwrap();
        let known = consumer.fetch_metadata(Some(topic)).await.unwrap();
        let partitions = known.topics[0].partition_count();
        let partitions: Vec<_> = (0..i32::try_from(partitions).unwrap()).collect();
        consumer.assign(topic, partitions.clone()).await.unwrap();
        for partition in partitions {
            consumer.seek(topic, partition, *next.entry(partition).or_default()).await.unwrap();
        }
        // Where a partition ends, Tansu says late; what is in it, at once.
        let (mut records, mut silence) = (Vec::new(), Duration::ZERO);
        while silence < QUIET {
            let polled = consumer.poll(POLL).await.unwrap();
            silence = if polled.is_empty() { silence + POLL } else { Duration::ZERO };
            for record in polled {
                next.insert(record.partition, record.offset + 1);
                records.push(record);
            }
        }
        consumer.close().await.unwrap();
        (records, next)
    }
}

impl KafkaRecord {
    fn of(record: &ConsumerRecord) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let header = |(name, value): &(String, Option<_>)| {
            (name.clone(), text(value.as_ref().map_or(&[][..], |value: &bytes::Bytes| value)))
        };
        Self {
            partition: record.partition,
            timestamp: record.timestamp,
            key: record.key.as_deref().map(text),
            value: record.value.as_deref().map(text),
            headers: record.headers.iter().map(header).collect(),
        }
    }
}
