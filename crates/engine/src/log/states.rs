//! What read strategies keep beside the log: what they compare the source with, too large for a cursor.
//!
//! An object means nothing until a cursor that names it is durable, and nothing again once none does. Nobody but the strategy knows
//! what is in one; the log knows whose it is, and that it is whole. It is sealed (see `sealed`) under the magic `TIDESTAT`: a header,
//! [`Owner`], and the content.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use super::{
    Log,
    names::{self, ObjectKind},
    sealed::{Magic, Sealed, section},
};
use crate::{Digest, Error, LogId, Result, Stop, schema::StreamName, world::World};

const MAGIC: &Magic = b"TIDESTAT";
/// Objects that are removed at once.
const AT_ONCE: usize = 8;

/// Where a read strategy keeps objects of its own. Cheap to clone.
///
/// ```text
/// let object = states.put(&stream, content).await?;          // durable, and means nothing yet
/// let ticket = lane.boundary(cursor_with(&object), None).await?;
/// ticket.durable().await?;                                   // from now on a restart finds it
/// states.keep_only(&stream, &[object]).await?;               // whatever it has taken the place of may go
/// ```
#[derive(Debug, Clone)]
pub struct States(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    log: Log,
    epoch: u64,
    writer: String,
    /// How many objects this writer has begun, in all its attempts.
    begun: Arc<AtomicU64>,
    /// Ends the wait for a store that takes nothing.
    stop: Stop,
}

/// One object, as a cursor names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateObject {
    /// Its path below the log's root.
    pub name: String,
    /// How long it is.
    pub bytes: u64,
    /// The hash of all of it.
    pub digest: Digest,
}

/// The header of an object: whose it is.
#[derive(Debug, Serialize, Deserialize)]
struct Owner {
    log: LogId,
    stream: StreamName,
    /// Its path below the log's root: one that was put in the place of another is not believed.
    name: String,
    /// Bytes of content.
    length: u64,
}

impl States {
    /// The objects of the writer called `writer`, who commits under `epoch`.
    pub(crate) fn new(log: Log, epoch: u64, writer: &str, begun: Arc<AtomicU64>, stop: Stop) -> Self {
        Self(Arc::new(Shared { log, epoch, writer: writer.to_owned(), begun, stop }))
    }

    /// The world that they live in.
    pub fn world(&self) -> &World {
        self.0.log.world()
    }

    /// Keeps `content` for `stream`. It is durable when this returns; while the store takes nothing it waits.
    pub async fn put(&self, stream: &StreamName, content: Bytes) -> Result<StateObject> {
        let Shared { log, epoch, writer, begun, stop } = self.0.as_ref();
        let number = begun.fetch_add(1, Ordering::Relaxed);
        let name = names::state(&names::StateName {
            stream,
            time: log.world().now(),
            epoch: *epoch,
            number,
            writer,
        });
        let owner = Owner {
            log: log.id().clone(),
            stream: stream.clone(),
            name: name.to_string(),
            length: content.len() as u64,
        };
        let seal = move || Sealed::new(MAGIC, &owner, &content, &format!("`{}`", owner.name));
        let sealed = log.world().compute(seal).await??;
        log.put_own(&name, &sealed.bytes, stop).await?;
        Ok(StateObject { name: name.to_string(), bytes: sealed.bytes.len() as u64, digest: sealed.hash })
    }

    /// The content of `object`, verified.
    ///
    /// Fails with [`crate::ErrorKind::Conflict`] when it is missing or is not what was put: nobody can say what is different in the
    /// source since, and the stream has to be read anew.
    pub async fn get(&self, object: &StateObject) -> Result<Bytes> {
        let StateObject { name, bytes: length, digest } = object;
        let damaged = |what: &str| {
            Error::conflict(format!("`{name}`, which a stream is compared with, is {what}"))
                .hint("restore it from a backup, or have the stream read anew: `tidemark resync FILE --stream NAME`")
        };
        let path = Path::parse(name).map_err(|error| damaged("no object's name").source(error))?;
        let log = &self.0.log;
        let bytes = log.store().get(&path).await?.ok_or_else(|| damaged("missing"))?;
        if bytes.len() as u64 != *length {
            return Err(damaged("damaged: its length is not what was written"));
        }
        let (log, name, digest) = (log.id().clone(), name.clone(), *digest);
        let opened = self.world().compute(move || {
            let (owner, content, hash) = open(bytes)?;
            owner.check(&log, &name)?;
            if hash == digest { Ok(content) } else { Err("its content is not what was written") }
        });
        opened.await?.map_err(|what| damaged(&format!("damaged: {what}")))
    }

    /// Removes all objects of `stream` but those of `kept` and of later writers; what writers that died have left too.
    ///
    /// To be called when a boundary of this writer is durable, with everything that its cursor names, that boundaries after it name,
    /// and that is to be named yet. An object that is still there after an error is removed the next time.
    pub async fn keep_only(&self, stream: &StreamName, kept: &[StateObject]) -> Result<()> {
        let Shared { log, epoch, .. } = self.0.as_ref();
        let kept: BTreeSet<&str> = kept.iter().map(|object| object.name.as_str()).collect();
        let is_gone = |path: &Path| {
            names::state_epoch(path).is_some_and(|of| of <= *epoch) && !kept.contains(path.as_ref())
        };
        let mut objects = log.store().objects(&names::states(stream)).await?;
        objects.retain(is_gone);
        let removed = stream::iter(objects).map(|path| {
            let log = log.clone();
            async move { log.store().delete(&path).await }.boxed()
        });
        removed.buffer_unordered(AT_ONCE).try_collect::<()>().await
    }
}

impl Owner {
    fn check(&self, log: &LogId, name: &str) -> Result<(), &'static str> {
        if self.log != *log {
            return Err("it belongs to another log");
        }
        if self.name == name { Ok(()) } else { Err("it was written under another name") }
    }
}

/// Whether `bytes`, found at `path` of `log`, are one whole object that was put there. What it fails with says what is wrong.
pub(super) fn check(log: &LogId, path: &Path, bytes: Bytes) -> Result<(), &'static str> {
    let (owner, ..) = open(bytes)?;
    owner.check(log, path.as_ref())?;
    let is_in_its_folder = path.prefix_matches(&names::states(&owner.stream));
    match is_in_its_folder && names::kind(path) == Some(ObjectKind::State) {
        true => Ok(()),
        false => Err("it was written for another stream"),
    }
}

/// Whose it is, what is in it, and its hash.
fn open(bytes: Bytes) -> Result<(Owner, Bytes, Digest), &'static str> {
    let sealed = Sealed::open(MAGIC, bytes)?;
    let owner: Owner = sealed.header()?;
    let content = section(&sealed.bytes, sealed.sections, 0, owner.length).ok_or("its content is cut off")?;
    Ok((owner, content, sealed.hash))
}
