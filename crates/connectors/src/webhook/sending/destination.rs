//! Web hooks as a destination.

use std::path::Path;

use tidemark_engine::{
    Error, Result,
    log::Ledger,
    world::World,
    write::{AtLeastOnce, Courier},
};

use super::{DestinationConfig, post::Requests};
use crate::messages::{Messages, Wording};

/// Somebody's HTTP server as a destination.
///
/// - A change has arrived when its request is answered with success. After a crash, or where no answer came, it is sent again, with the
///   same `webhook-id`: the change's id, of a batch one that stands for all of its changes.
/// - Requests of one key are sent in source order, each after the answer to the one before; those of a stream without a key all.
pub struct Destination;

impl Destination {
    /// Everything that would keep it from being written to, as far as asking the server for its options tells.
    pub async fn check(config: &DestinationConfig, folder: &Path) -> Vec<Error> {
        Requests::check(config, folder, World::real()).await.err().into_iter().collect()
    }

    /// What writes to it; connects to nothing yet.
    pub(crate) fn strategy(
        config: &DestinationConfig,
        folder: &Path,
        ledger: Ledger,
    ) -> Result<AtLeastOnce<impl Courier + use<>>> {
        let wording = Wording { place: config.url.clone().in_url(), envelope: config.envelope.clone() };
        let world = ledger.world().clone();
        let messages = Messages::new(Requests::new(config, folder, world.clone())?, wording, world);
        Ok(AtLeastOnce::new(messages, ledger))
    }
}
