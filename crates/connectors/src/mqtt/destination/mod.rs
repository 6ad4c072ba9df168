//! An MQTT broker as a destination.

mod config;
mod post;
#[cfg(test)]
mod tests;

use std::path::Path;

use tidemark_engine::{
    Error, Result,
    log::Ledger,
    world::World,
    write::{AtLeastOnce, Courier},
};

use crate::messages::{Messages, Post, Wording};
pub use config::DestinationConfig;
use post::Publisher;

/// An MQTT broker as a destination.
///
/// - Every change is a message that the broker has acknowledged (QoS 1). After a crash the last unit is published again, with the same
///   `tidemark-id`: MQTT does not tell duplicates apart, so whoever subscribes leaves out ids that it knows.
/// - Messages are published in source order over one connection, so those of a topic arrive in it.
pub struct Destination;

impl Destination {
    /// Everything that would keep it from being written to. Publishes nothing, and leaves the pipeline's own session alone.
    pub async fn check(config: &DestinationConfig, folder: &Path) -> Vec<Error> {
        let world = World::real();
        let checked = async {
            let mut post =
                Publisher::new(config, folder, &format!("tidemark-{}", world.name(12)), world.clone())?;
            post.open().await?;
            post.close().await
        };
        checked.await.err().into_iter().collect()
    }

    /// What writes to it as `client_id`, unless the pipeline file says otherwise; connects to nothing yet.
    pub(crate) fn strategy(
        config: &DestinationConfig,
        folder: &Path,
        client_id: &str,
        ledger: Ledger,
    ) -> Result<AtLeastOnce<impl Courier + use<>>> {
        let client_id = config.client_id.as_deref().unwrap_or(client_id);
        let wording = Wording { place: config.topic.clone(), envelope: config.envelope.clone() };
        let publisher = Publisher::new(config, folder, client_id, ledger.world().clone())?;
        Ok(AtLeastOnce::new(Messages::new(publisher, wording, ledger.world().clone()), ledger))
    }
}
