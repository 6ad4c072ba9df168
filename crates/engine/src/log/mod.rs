//! The staging log: the only durable state of a pipeline.
//!
//! A log is a dense sequence of commits in an object store. A commit carries changes (or names the segments that
//! hold them), the source's cursor after them, and the hash of the commit before. It comes to be in one
//! put-if-absent, so changes and cursor become durable together or not at all.
//!
//! | Question | File |
//! |---|---|
//! | What are the objects called? | `names` |
//! | What is in a commit? | `commit/` |
//! | How does a commit come to be? | `writer` |
//! | What if the store is full, or away? | `putting`, `health`, `folder` |
//! | How is it found and verified? | `reader` |
//! | How do changes get in and out of commits? | `frame`, `segment`, `slices` |
//! | What becomes of commits in the end? | `folding`, `volume/` |
//! | Where is everything then? | `layout/` |
//! | What is removed, and when? | `housekeeping`, `clearing` |
//! | How much is kept, and what stands for the rest? | `retention/`, `base/` |
//! | What changes does a commit hold? | `deliver` |
//! | What does a destination get of a commit? | `playing`, `generation`, `chunks` |
//! | Where does the log end? | `head` |
//! | How do segments come into the store? | `uploads` |
//! | What becomes of segments that no commit names? | `orphans` |
//! | Which commit was at a given time? | `seek` |
//! | Where do destinations stand? | `marks` |
//! | Which initial syncs are under way? | `sync` |
//! | What has somebody asked for? | `requests` |
//! | What could destinations not take? | `letters` |
//! | What do read strategies keep beside it? | `states` |
//! | Is all of it whole? | `inspection` |
//! | Where do the objects live, and what is encrypted? | `store/` |

mod base;
mod chunks;
mod clearing;
mod commit;
mod deliver;
mod document;
mod folder;
mod folding;
mod frame;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
#[expect(clippy::expect_used, reason = "a broken promise is to panic")]
pub mod fuzzing;
mod generation;
mod head;
mod health;
mod hexadecimal;
mod housekeeping;
mod identity;
mod inspection;
mod layout;
mod ledger;
mod letters;
mod lock;
mod marks;
mod names;
mod orphans;
mod playing;
mod putting;
mod reader;
mod requests;
mod retention;
mod schema_changes;
mod schemas;
mod sealed;
mod seek;
mod segment;
mod slices;
mod states;
mod store;
mod sync;
mod uploads;
mod volume;
mod writer;

use std::sync::{Arc, atomic::AtomicU64};

use tokio::sync::watch;

pub(crate) use commit::Segment;
pub use commit::{Commit, Transaction};
pub use deliver::Selection;
pub use health::Trouble;
pub use housekeeping::{Housekeeping, HousekeepingSettings};
pub use inspection::{Findings, Lost, Problem, Range, Stray, StrayKind};
pub(crate) use layout::LayoutWriter;
pub use ledger::Ledger;
pub use letters::{DeadLetter, LetterId};
pub(crate) use letters::{letter_of, not_held};
pub use lock::{Holder, RunLock, Runner};
pub use marks::{Mark, MarkState, Marks};
pub use playing::Playing;
pub use requests::Request;
pub use retention::{Kept, Need, Retention};
pub use schema_changes::SchemaChange;
pub use seek::{Cut, Moment, Place};
pub(crate) use segment::{SegmentSettings, SegmentWriter, Unnamed};
pub use states::{StateObject, States};
pub use store::{KeyId, MasterKey, MasterKeys, Placed, Settle, Store};
pub use sync::{Former, KeyRange, SyncStep, Syncing};
pub(crate) use uploads::Uploads;
pub use writer::Span;
pub(crate) use writer::{Entry, Group, LogWriter};

use crate::{LogId, Result, world::World};
use head::Head;
use identity::Identity;
use layout::View;
use reader::Recent;
use requests::Looks;
use schemas::Schemas;
use slices::Slices;
use volume::Shelf;

/// A staging log. Cheap to clone; clones share what they know.
#[derive(Debug, Clone)]
pub struct Log(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Store,
    world: World,
    identity: Identity,
    schemas: Schemas,
    recent: Recent,
    looks: Looks,
    layout: View,
    shelf: Shelf,
    slices: Slices,
    /// Bytes of commits that came to be in this process and are not folded.
    unfolded: AtomicU64,
    /// The newest commit this process knows to be durable.
    head: watch::Sender<Head>,
}

impl Log {
    /// Opens the log in `store`, or makes one for `pipeline` where there is none, and finds its end.
    ///
    /// Fails with [`crate::ErrorKind::Conflict`] when the log is damaged at its end, with
    /// [`crate::ErrorKind::Config`] when a later version wrote it.
    pub async fn open_or_create(store: Store, pipeline: &str, world: World) -> Result<Self> {
        store.unlock_or_begin().await?;
        let identity = Identity::read_or_create(&store, pipeline, &world).await?;
        Self::with_identity(store, identity, world).await
    }

    /// Opens the log in `store`; `None` when there is none.
    pub async fn open(store: Store, world: World) -> Result<Option<Self>> {
        store.unlock().await?;
        match Identity::read(&store).await? {
            Some(identity) => Self::with_identity(store, identity, world).await.map(Some),
            None => Ok(None),
        }
    }

    async fn with_identity(store: Store, identity: Identity, world: World) -> Result<Self> {
        let log = Self::unlooked(store, identity, world);
        log.refresh_layout().await?;
        log.refresh().await?;
        Ok(log)
    }

    /// The log of which only the identity is known.
    fn unlooked(store: Store, identity: Identity, world: World) -> Self {
        store.attend(&world);
        Self(Arc::new(Shared {
            store,
            world,
            layout: View::new(identity.log.clone()),
            shelf: Shelf::default(),
            slices: Slices::default(),
            unfolded: AtomicU64::new(0),
            identity,
            schemas: Schemas::default(),
            recent: Recent::default(),
            looks: Looks::default(),
            head: watch::Sender::new(Head::default()),
        }))
    }

    /// Which log this is.
    pub fn id(&self) -> &LogId {
        &self.0.identity.log
    }

    /// The name of the pipeline it was made for.
    pub fn pipeline(&self) -> &str {
        &self.0.identity.pipeline
    }

    /// Where it is kept.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// The world it lives in.
    pub fn world(&self) -> &World {
        &self.0.world
    }
}
