//! Amazon SQS as a destination.

use tidemark_engine::{
    Error, Result,
    log::Ledger,
    world::World,
    write::{AtLeastOnce, Courier},
};

use super::{DestinationConfig, post::Sqs};
use crate::messages::{Messages, Wording};

/// Amazon SQS as a destination.
///
/// - A change has arrived when SQS has said so of its message. After a crash, or where no answer came, it is sent again: a FIFO queue knows it
///   by its `MessageDeduplicationId` for five minutes, of a standard queue whoever takes messages has to tell by their `id`.
/// - Messages of one key are a group of a FIFO queue and keep their order there; a standard queue promises none.
pub struct Destination;

impl Destination {
    /// Everything that would keep it from being written to. Sends nothing.
    pub async fn check(config: &DestinationConfig) -> Vec<Error> {
        let checked = async { Sqs::new(config, World::real())?.check().await };
        checked.await.err().into_iter().collect()
    }

    /// What writes to it; connects to nothing yet.
    pub(crate) fn strategy(
        config: &DestinationConfig,
        ledger: Ledger,
    ) -> Result<AtLeastOnce<impl Courier + use<>>> {
        let wording = Wording { place: config.url.clone().in_url(), envelope: config.envelope.clone() };
        let world = ledger.world().clone();
        Ok(AtLeastOnce::new(Messages::new(Sqs::new(config, world.clone())?, wording, world), ledger))
    }
}
