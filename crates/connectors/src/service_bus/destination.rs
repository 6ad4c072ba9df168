//! Azure Service Bus as a destination.

use std::path::Path;

use tidemark_engine::{
    Error, Result,
    log::Ledger,
    world::World,
    write::{AtLeastOnce, Courier},
};

use super::{DestinationConfig, post::Entities};
use crate::messages::{Messages, Post, Wording};

/// Azure Service Bus as a destination.
///
/// - Every change is a message that the service has accepted. After a crash the last unit is sent again; `MessageId` is the change's id, so a
///   queue or topic with duplicate detection keeps one of the two.
/// - Messages of one key arrive in source order, those of a stream without a key all.
pub struct Destination;

impl Destination {
    /// Everything that would keep it from being written to. Sends nothing.
    pub async fn check(config: &DestinationConfig, folder: &Path) -> Vec<Error> {
        let checked = async {
            let mut post = Entities::new(config, folder, World::real())?;
            post.open().await?;
            post.check(&config.entity).await?;
            post.close().await
        };
        checked.await.err().into_iter().collect()
    }

    /// What writes to it; connects to nothing yet.
    pub(crate) fn strategy(
        config: &DestinationConfig,
        folder: &Path,
        ledger: Ledger,
    ) -> Result<AtLeastOnce<impl Courier + use<>>> {
        let world = ledger.world().clone();
        let wording = Wording { place: config.entity.clone(), envelope: config.envelope.clone() };
        let post = Entities::new(config, folder, world.clone())?;
        Ok(AtLeastOnce::new(Messages::new(post, wording, world), ledger))
    }
}
