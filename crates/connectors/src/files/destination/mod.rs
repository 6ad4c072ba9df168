//! Changes into files of a folder that only ever holds complete ones, each change in exactly one of them. `folder` does that in a
//! folder of this machine, `cloud` in object storage.

mod check;
mod cloud;
mod disk;
mod draft;
mod encoder;
mod entry;
mod folder;
mod layout;
mod manifest;
mod names;
mod partition;
mod sealed;
mod visible;

#[cfg(test)]
mod tests;

use std::path::Path;

use async_trait::async_trait;
use tidemark_engine::{
    Error, ErrorKind, LogId, Result,
    write::{Appetite, Delivery, Standing, Unit, WriteStrategy},
};

pub(super) use self::layout::Location;
use self::{cloud::CloudDestination, draft::Draft, folder::FolderDestination, layout::Root};
use super::DestinationConfig;
use crate::{config::Writing, object_stores::Environment};

/// Files like to be large: a unit is read up to this before it is written.
const UNIT_ROWS: u64 = 2_000_000;
const UNIT_BYTES: u64 = 256 << 20;

/// Writes files, every change a row.
#[derive(Debug)]
pub struct Destination(Kind);

#[derive(Debug)]
enum Kind {
    Folder(Box<FolderDestination>),
    Cloud(Box<CloudDestination>),
}

impl Destination {
    /// The destination that `config` describes, where a relative path begins at `base`; the way into a cloud is in `environment`.
    /// Touches nothing.
    ///
    /// Fails with [`ErrorKind::Config`] when the environment does not tell how to reach the cloud.
    pub fn new(
        config: &DestinationConfig,
        base: &Path,
        writing: Writing,
        environment: &Environment,
    ) -> Result<Self> {
        let Location { root, layout } = Location::parse(&config.path)?;
        Ok(Self(match root {
            Root::Folder(root) => {
                Kind::Folder(Box::new(FolderDestination::new(config, base.join(root), layout, writing)))
            }
            Root::Objects(url) => {
                Kind::Cloud(Box::new(CloudDestination::new(config, &url, layout, writing, environment)?))
            }
        }))
    }

    /// Everything that would keep [`WriteStrategy::open`] from succeeding. Leaves nothing behind.
    pub async fn check(
        config: &DestinationConfig,
        base: &Path,
        writing: &Writing,
        environment: &Environment,
    ) -> Vec<Error> {
        let name = names::data_file((1, 1), &writing.destination, Some(u64::MAX), 0, "parquet");
        let mut errors = name.err().into_iter().collect::<Vec<_>>();
        match Location::parse(&config.path) {
            Ok(Location { root: Root::Folder(root), .. }) => {
                let root = base.join(root);
                match tokio::task::spawn_blocking(move || check::check(&root)).await {
                    Ok(found) => errors.extend(found),
                    Err(error) => errors.push(error.into()),
                }
            }
            Ok(Location { root: Root::Objects(url), .. }) => {
                errors.extend(cloud::check(&url, environment).await.err());
            }
            Err(error) => errors.push(error),
        }
        errors
    }

    fn strategy(&mut self) -> &mut dyn WriteStrategy {
        match &mut self.0 {
            Kind::Folder(folder) => folder.as_mut(),
            Kind::Cloud(cloud) => cloud.as_mut(),
        }
    }
}

#[async_trait]
impl WriteStrategy for Destination {
    fn appetite(&self) -> Appetite {
        match &self.0 {
            Kind::Folder(folder) => folder.appetite(),
            Kind::Cloud(cloud) => cloud.appetite(),
        }
    }

    async fn open(&mut self, log: &LogId) -> Result<Option<Standing>> {
        self.strategy().open(log).await
    }

    async fn apply(&mut self, unit: &mut Unit) -> Result<()> {
        self.strategy().apply(unit).await
    }

    async fn close(&mut self) -> Result<()> {
        self.strategy().close().await
    }
}

/// The error of a unit that does not begin where the destination `name` stands.
fn stands_elsewhere(name: &str) -> Error {
    Error::conflict(format!("destination `{name}` stands elsewhere than the unit begins"))
}

fn not_open() -> Error {
    Error::internal("`apply` was called before `open`")
}

/// Adds `delivery` to `draft`. What cannot be written of a stream is no matter of the others.
fn write(mut draft: Draft, delivery: &Delivery) -> Result<Draft> {
    let stream = delivery.changes.schema().stream();
    match draft.write(delivery) {
        Ok(()) => Ok(draft),
        Err(error) if matches!(error.kind(), ErrorKind::Config | ErrorKind::Data) => {
            Err(error.of_stream(stream))
        }
        Err(error) => Err(error),
    }
}
