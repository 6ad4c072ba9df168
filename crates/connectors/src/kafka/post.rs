//! Sends messages to Kafka.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use tidemark_engine::{Error, Result};
use tokio::sync::RwLock;

use super::{DestinationConfig, session::Session};
use crate::{
    broker::Address,
    messages::{Limits, Message, NameTemplate, Post, Undelivered},
};

/// Messages of a batch; what Kafka sees of it are the batches of its partitions.
const BATCH: usize = 2_000;
const BATCH_BYTES: usize = 4 << 20;
const IN_FLIGHT: usize = 4;

/// The way to Kafka.
pub(super) struct Kafka {
    config: DestinationConfig,
    folder: PathBuf,
    /// Where, for a person.
    brokers: String,
    session: Option<Session>,
    /// Taken by many who send side by side, or by one who has to be alone.
    road: RwLock<()>,
}

impl Kafka {
    /// As the pipeline file says; relative paths begin at `folder`.
    pub(super) fn new(config: &DestinationConfig, folder: &Path) -> Result<Self> {
        let brokers: Vec<_> = config.addresses()?.iter().map(Address::to_string).collect();
        Ok(Self {
            config: config.clone(),
            folder: folder.to_owned(),
            brokers: brokers.join(","),
            session: None,
            road: RwLock::default(),
        })
    }

    /// Fails where the topic is missing, as far as it can be told before there is a change.
    pub(super) async fn check(&self, topic: &NameTemplate) -> Result<()> {
        let session = self.session()?;
        match topic.fixed() {
            Some(topic) => session.topics.check(topic).await,
            None => Ok(()),
        }
    }

    fn session(&self) -> Result<&Session> {
        self.session
            .as_ref()
            .ok_or_else(|| Error::internal("a message was sent before the connection was made"))
    }
}

#[async_trait]
impl Post for Kafka {
    fn limits(&self) -> Limits {
        let message_bytes = usize::try_from(self.config.max_message_size.0).unwrap_or(usize::MAX);
        Limits { messages: BATCH, bytes: BATCH_BYTES, message_bytes, in_flight: IN_FLIGHT, one_place: false }
    }

    async fn open(&mut self) -> Result<()> {
        // What an earlier attempt has left under way goes before what is sent now, as long as it is one producer that sends both.
        if self.session.as_ref().is_some_and(|session| !session.is_spent()) {
            return Ok(());
        }
        self.close().await?;
        self.session = Some(Session::open(&self.config, &self.folder, &self.brokers).await?);
        Ok(())
    }

    async fn send(&self, batch: &[Message]) -> Result<(), Undelivered> {
        let session = self.session()?;
        let refused = {
            let _beside_others = self.road.read().await;
            match session.send(batch).await {
                Err(undelivered) if undelivered.is_the_message => undelivered,
                outcome => return outcome,
            }
        };
        // Brokers refuse whole batches, in which there may be messages of others: who is at fault shows only where it is alone.
        let _alone = self.road.write().await;
        for (taken, message) in batch.iter().enumerate().skip(refused.taken) {
            let sent = session.send(std::slice::from_ref(message)).await;
            sent.map_err(|undelivered| Undelivered { taken, ..undelivered })?;
        }
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        if let Some(session) = self.session.take() {
            session.close().await;
        }
        Ok(())
    }
}
