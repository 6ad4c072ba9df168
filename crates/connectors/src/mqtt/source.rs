//! The broker as a source.

use std::{path::Path, sync::Arc};

use tidemark_engine::{Error, Result};

use super::{config::SourceConfig, decoding::Layout, session::Introduction, strategy::MqttStrategy};
use crate::broker::Broker;

/// A broker as a source.
#[derive(Debug, Clone)]
pub struct Source {
    pub(super) broker: Broker,
    pub(super) introduction: Introduction,
    pub(super) layout: Arc<Layout>,
}

impl Source {
    /// The source that `config` describes, for the pipeline of this name; relative paths begin at `folder`. Connects to nothing.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Config`] when [`SourceConfig::validate`] finds a problem.
    pub fn new(config: &SourceConfig, folder: &Path, pipeline: &str) -> Result<Self> {
        if let Some(problem) = config.validate().into_iter().next() {
            let error = Error::config(format!("{}: {}", problem.path.join("."), problem.message));
            return Err(match problem.hint {
                Some(hint) => error.hint(hint),
                None => error,
            });
        }
        Ok(Self {
            broker: config.broker(folder)?,
            introduction: Introduction::new(config, pipeline),
            layout: Arc::new(Layout::new(config)?),
        })
    }

    /// Reads the messages of all streams in a persistent session; one part of the cursor and one lane for all.
    ///
    /// - Each record of a message is one change `c`. There is no initial sync: a broker keeps nothing but what it retains.
    /// - A message that came by QoS 1 is acknowledged when it is durable, in order. One that the broker sends again although it is
    ///   durable is acknowledged and not written again.
    /// - A boundary is put behind all messages that came while the commit before was under way.
    /// - A message that is not of its stream's format fails the run with [`tidemark_engine::ErrorKind::Data`], unless the stream
    ///   names another for such.
    /// - A session that somebody else takes over fails it with [`tidemark_engine::ErrorKind::Conflict`] (version 5).
    pub fn strategy(&self) -> MqttStrategy {
        MqttStrategy::new(self.clone())
    }
}
