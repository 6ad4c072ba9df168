//! Queues of Azure Storage as a destination.

use tidemark_engine::{
    Error, Result,
    log::Ledger,
    world::World,
    write::{AtLeastOnce, Courier},
};

use super::{DestinationConfig, post::Queues};
use crate::messages::{Messages, Wording};

/// Queues of Azure Storage as a destination.
///
/// - A change has arrived when the service has answered 201. After a crash, or where no answer came, its message is put again: who takes
///   messages has to tell by the `id` in the envelope.
/// - Messages of one key are put in source order, those of a stream without a key all; the service itself promises nothing about the order
///   in which they are taken.
pub struct Destination;

impl Destination {
    /// Everything that would keep it from being written to. Sends nothing.
    pub async fn check(config: &DestinationConfig) -> Vec<Error> {
        let checked = async { Queues::new(config, &World::real())?.check().await };
        checked.await.err().into_iter().collect()
    }

    /// What writes to it; connects to nothing yet.
    pub(crate) fn strategy(
        config: &DestinationConfig,
        ledger: Ledger,
    ) -> Result<AtLeastOnce<impl Courier + use<>>> {
        let wording = Wording { place: config.queue.clone(), envelope: config.envelope.clone() };
        let world = ledger.world().clone();
        Ok(AtLeastOnce::new(Messages::new(Queues::new(config, &world)?, wording, world), ledger))
    }
}
