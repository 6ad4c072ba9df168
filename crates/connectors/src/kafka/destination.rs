//! Kafka as a destination.

use std::path::Path;

use tidemark_engine::{
    Error, Result,
    log::Ledger,
    write::{AtLeastOnce, Courier},
};

use super::{DestinationConfig, post::Kafka};
use crate::messages::{Messages, Post, Wording};

/// Kafka as a destination.
///
/// - Every change is a record that all replicas in sync have taken. After a crash the last unit is sent again, with the same
///   `tidemark-id` in the headers: Kafka takes duplicates of another session, so whoever reads leaves out ids that it knows.
/// - Records of one key stand in one partition, in source order: a retry overtakes nothing.
pub struct Destination;

impl Destination {
    /// Everything that would keep it from being written to. Sends nothing, and makes no topic.
    pub async fn check(config: &DestinationConfig, folder: &Path) -> Vec<Error> {
        let checked = async {
            let mut post = Kafka::new(config, folder)?;
            post.open().await?;
            let checked = post.check(&config.topic).await;
            post.close().await?;
            checked
        };
        checked.await.err().into_iter().collect()
    }

    /// What writes to it; connects to nothing yet.
    pub(crate) fn strategy(
        config: &DestinationConfig,
        folder: &Path,
        ledger: Ledger,
    ) -> Result<AtLeastOnce<impl Courier + use<>>> {
        let wording = Wording { place: config.topic.clone(), envelope: config.envelope.clone() };
        let messages = Messages::new(Kafka::new(config, folder)?, wording, ledger.world().clone());
        Ok(AtLeastOnce::new(messages.with_tombstones(config.tombstones), ledger))
    }
}
