//! RabbitMQ as a destination.

use std::path::Path;

use tidemark_engine::{
    Error, Result,
    log::Ledger,
    world::World,
    write::{AtLeastOnce, Courier},
};

use super::{DestinationConfig, post::Exchanges, route::Routing};
use crate::messages::{Messages, Post, Wording};

/// RabbitMQ as a destination.
///
/// - Every change is a persistent message that the server has confirmed: every queue that takes it has it on its disk. A message that no
///   queue takes is an error. After a crash the last unit is sent again; `message_id` is the change's id, so that consumers can tell.
/// - Messages of one key arrive in source order, those of a stream without a key all.
pub struct Destination;

impl Destination {
    /// Everything that would keep it from being written to. Sends nothing.
    pub async fn check(config: &DestinationConfig, folder: &Path) -> Vec<Error> {
        let checked = async {
            let (routing, place) = Routing::new(config)?;
            let mut post = Exchanges::new(config, folder, routing.clone(), World::real())?;
            post.open().await?;
            post.check(&routing, place.fixed()).await?;
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
        let (routing, place) = Routing::new(config)?;
        let world = ledger.world().clone();
        let wording = Wording { place, envelope: config.envelope.clone() };
        let post = Exchanges::new(config, folder, routing, world.clone())?;
        Ok(AtLeastOnce::new(Messages::new(post, wording, world), ledger))
    }
}
