//! NATS as a destination.

use std::path::Path;

use tidemark_engine::{
    Error, Result,
    log::Ledger,
    write::{AtLeastOnce, Courier},
};

use super::{DestinationConfig, post::JetStream};
use crate::messages::{Messages, Post, Wording};

/// NATS as a destination.
///
/// - Every change is a message that JetStream has acknowledged: it is on as many servers as its stream asks for. After a crash the last
///   unit is sent again; `Nats-Msg-Id` is the change's id, so within the stream's `duplicate_window` JetStream keeps one of the two.
/// - Messages of one key arrive in source order, those of a stream without a key all.
pub struct Destination;

impl Destination {
    /// Everything that would keep it from being written to. Sends nothing.
    pub async fn check(config: &DestinationConfig, folder: &Path) -> Vec<Error> {
        let checked = async {
            let mut post = JetStream::new(config, folder)?;
            post.open().await?;
            post.check(&config.subject).await?;
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
        let wording = Wording { place: config.subject.clone(), envelope: config.envelope.clone() };
        let messages = Messages::new(JetStream::new(config, folder)?, wording, ledger.world().clone());
        Ok(AtLeastOnce::new(messages, ledger))
    }
}
