//! The identity of a log: written once, when the log is made, and never changed.

use serde::{Deserialize, Serialize};

use super::{Store, document, names, store::Placed};
use crate::{Error, LogId, Result, Time, world::World};

/// The format this program writes. A log of a later format is refused.
const FORMAT: u32 = 1;

/// `pipeline.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    format: u32,
    /// Which log this is: a log that is deleted and begun anew has another.
    pub(super) log: LogId,
    /// The pipeline's name.
    pub(super) pipeline: String,
    created: Time,
}

impl Identity {
    /// The identity of the log in `store`; `None` when there is no log.
    pub(super) async fn read(store: &Store) -> Result<Option<Self>> {
        let Some(bytes) = store.get(&names::identity()).await? else { return Ok(None) };
        let place = store.description();
        let identity: Self = document::read(&names::identity(), &bytes).map_err(|what| {
            Error::conflict(format!("`{}` in `{place}` is damaged: {what}", names::IDENTITY))
                .hint("restore it from a backup: without it nobody can tell whose changes these are")
        })?;
        if identity.format > FORMAT {
            let message =
                format!("the log in `{place}` has format {}, this program knows {FORMAT}", identity.format);
            return Err(Error::config(message).hint("upgrade Tidemark"));
        }
        Ok(Some(identity))
    }

    /// The identity of the log in `store`, made now if there is none.
    pub(super) async fn read_or_create(store: &Store, pipeline: &str, world: &World) -> Result<Self> {
        if let Some(identity) = Self::read(store).await? {
            return Ok(identity);
        }
        if !store.objects(&names::commits()).await?.is_empty() {
            // Unless somebody else has made it just now, it was there once.
            let missing = || {
                let place = store.description();
                let message =
                    format!("`{}` in `{place}` is missing, although there are commits", names::IDENTITY);
                Error::conflict(message)
                    .hint("restore it from a backup: without it nobody can tell whose changes these are")
            };
            return Self::read(store).await?.ok_or_else(missing);
        }
        store.check_begins_plain().await?;
        let identity = Self {
            format: FORMAT,
            log: LogId::new(world.name(12)),
            pipeline: pipeline.to_owned(),
            created: world.now(),
        };
        let path = names::identity();
        let bytes = document::write(&path, &identity, "the identity of a log")?;
        match store.place(&path, bytes).await? {
            Placed::Ours => Ok(identity),
            // Whoever was first decides.
            Placed::Theirs(_) => Self::read(store)
                .await?
                .ok_or_else(|| Error::unavailable("the log disappeared while it was being opened")),
        }
    }
}
