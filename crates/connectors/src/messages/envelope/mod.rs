//! What a message says of a change.

mod cloudevents;
mod config;
mod debezium;
mod plain;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use tidemark_engine::{Result, change::Op};

pub use config::{CloudEvents, ContentMode, Debezium, Decimals, Detailed, EnvelopeConfig};

use super::changes::{Change, Changes};

/// The content of a message.
#[derive(Debug)]
pub(super) struct Content {
    /// What tells messages of one change apart, where it becomes several.
    pub(super) part: &'static str,
    /// What it says has happened.
    pub(super) op: Op,
    /// The record that it is about.
    pub(super) key: Option<String>,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) content_type: &'static str,
    pub(super) body: Option<Bytes>,
}

/// An envelope for the changes of one batch.
pub(super) struct Envelope<'a> {
    detailed: &'a Detailed,
    /// The schemas of Kafka Connect, where they are asked for.
    schemas: Option<debezium::Schemas>,
}

impl<'a> Envelope<'a> {
    pub(super) fn new(detailed: &'a Detailed, changes: &Changes<'_>) -> Self {
        let schemas = match detailed {
            Detailed::Debezium(debezium) if debezium.schema => Some(debezium::Schemas::of(debezium, changes)),
            _ => None,
        };
        Self { detailed, schemas }
    }

    /// What is said of `change`.
    pub(super) fn contents(&self, change: &Change<'_>) -> Result<Vec<Content>> {
        match self.detailed {
            Detailed::Plain => plain::content(change).map(|content| vec![content]),
            Detailed::Debezium(debezium) => debezium::contents(debezium, self.schemas.as_ref(), change),
            Detailed::CloudEvents(events) => {
                cloudevents::content(events, change).map(|content| vec![content])
            }
        }
    }
}
