//! Topics: whether they are there, and how they come to be.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use krafka::{
    Kafka,
    admin::{AdminClient, CreateTopicsOptions, DescribeTopicsOptions, NewTopic},
    error::{ErrorCode, KrafkaError},
};
use tidemark_engine::{Error, Result};

use super::{
    NewTopics,
    failure::{failed, no_topic},
};

/// How long brokers may take to say what topics there are.
const PATIENCE: Duration = Duration::from_secs(15);
/// <https://kafka.apache.org/documentation/#brokerconfigs>: letters and digits of ASCII, `.`, `_` and `-`.
const LONGEST_NAME: usize = 249;

/// The topics of a cluster.
pub(super) struct Topics {
    admin: AdminClient,
    /// Where, for a person.
    brokers: String,
    new: Option<NewTopics>,
    /// Those that were there when we last looked.
    known: Mutex<BTreeSet<String>>,
}

impl Topics {
    /// Those of `kafka`; missing ones are made where `new` says how.
    pub(super) fn new(kafka: &Kafka, brokers: &str, new: Option<NewTopics>) -> Self {
        let admin = kafka.admin().metrics_push(false).default_api_timeout(PATIENCE);
        Self { admin, brokers: brokers.to_owned(), new, known: Mutex::default() }
    }

    /// Sees to it that `topic` is there.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Config`] where it is missing and not to be made.
    pub(super) async fn ensure(&self, topic: &str) -> Result<()> {
        if self.known().contains(topic) {
            return Ok(());
        }
        if !self.is_there(topic).await? {
            let Some(new) = self.new else { return Err(no_topic(&self.brokers, topic)) };
            self.make(topic, new).await?;
        }
        self.known().insert(topic.to_owned());
        Ok(())
    }

    /// Fails where `topic` is missing and not to be made. Makes nothing.
    pub(super) async fn check(&self, topic: &str) -> Result<()> {
        match self.is_there(topic).await? || self.new.is_some() {
            true => Ok(()),
            false => Err(no_topic(&self.brokers, topic)),
        }
    }

    /// Looks again the next time: it may be gone.
    pub(super) fn forget(&self, topic: &str) {
        self.known().remove(topic);
    }

    async fn is_there(&self, topic: &str) -> Result<bool> {
        if !is_name(topic) {
            return Err(Error::data(format!("`{topic}` cannot be the name of a topic"))
                .hint("use letters, digits, `.`, `_` and `-`, at most 249 of them"));
        }
        let described = self.admin.describe_topics([topic], DescribeTopicsOptions::default()).await;
        match described.map(|mut topics| topics.remove(topic)) {
            Ok(Some(Ok(_))) => Ok(true),
            Ok(None | Some(Err(KrafkaError::Broker { code: ErrorCode::UnknownTopicOrPartition, .. }))) => {
                Ok(false)
            }
            Ok(Some(Err(error))) | Err(error) => Err(failed(&self.brokers, error)),
        }
    }

    async fn make(&self, topic: &str, new: NewTopics) -> Result<()> {
        // The brokers' own number where nothing is said.
        let partitions = new.partitions.map_or(-1, i32::from);
        let replication = new.replication.map_or(-1, i16::from);
        let wanted =
            NewTopic::new(topic, partitions, replication).map_err(|error| failed(&self.brokers, error))?;
        let made = self.admin.create_topics([wanted], CreateTopicsOptions::default()).await;
        match made.map(|mut topics| topics.remove(topic)) {
            // Somebody was faster.
            Ok(Some(Err(KrafkaError::Broker { code: ErrorCode::TopicAlreadyExists, .. }))) => Ok(()),
            Ok(Some(Err(error))) | Err(error) => Err(failed(&self.brokers, error)),
            Ok(_) => {
                tracing::info!(topic, "made a topic");
                Ok(())
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_name(topic: &str) -> bool {
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=LONGEST_NAME).contains(&topic.len())
        && topic.bytes().all(is_of_name)
        && topic != "."
        && topic != ".."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_brokers_take() {
        assert!(["orders", "public.orders", "a_b-C.9", &"x".repeat(249)].into_iter().all(is_name));
        assert!(!["", ".", "..", "a b", "a/b", "straße", &"x".repeat(250)].into_iter().any(is_name));
    }
}
