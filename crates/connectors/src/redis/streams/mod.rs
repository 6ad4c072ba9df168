//! Changes as entries of streams.

mod post;
#[cfg(test)]
mod tests;

use std::path::Path;

use tidemark_engine::{
    Result,
    log::Ledger,
    world::World,
    write::{AtLeastOnce, Courier},
};

use self::post::Streams;
use super::{DestinationConfig, session::Server};
use crate::messages::{Messages, Post, Wording};

/// Fails with what would keep entries from being added. Adds nothing.
///
/// - Every change is an entry that the server has added: as safe as its `appendfsync` makes it. After a crash the last unit is added again;
///   the field `id` is the change's id, so that consumers can tell.
/// - Entries of one key stand in source order, those of a stream without a key all.
pub(super) async fn check(config: &DestinationConfig, folder: &Path) -> Result<()> {
    let mut post = Streams::new(config, Server::new(config, folder, World::real())?);
    post.open().await?;
    post.check(config.stream.fixed()).await?;
    post.close().await
}

/// What adds them; connects to nothing yet.
pub(super) fn strategy(
    config: &DestinationConfig,
    folder: &Path,
    ledger: Ledger,
) -> Result<AtLeastOnce<impl Courier + use<>>> {
    let world = ledger.world().clone();
    let wording = Wording { place: config.stream.clone(), envelope: config.envelope.clone() };
    let post = Streams::new(config, Server::new(config, folder, world.clone())?);
    Ok(AtLeastOnce::new(Messages::new(post, wording, world), ledger))
}
