//! Where destinations stand that cannot keep that themselves: a queue forgets what it has passed on. One chain of entries for each,
//! beside the log.
//!
//! An entry is put only if its number is free, and only by whoever took the destination last: a process that was replaced finds the
//! entry of its successor in its way. It is put when the destination has the changes, so after a crash between the two they are handed
//! over again, under the same ids.

use object_store::path::Path;
use serde::{Deserialize, Serialize};

use super::{
    Log, document, names,
    store::{Placed, Store},
};
use crate::{Error, Result, world::World, write::Standing};

/// How many entries are kept before the newest, should that be damaged.
const KEPT: u64 = 2;

/// The chain of one destination.
#[derive(Debug, Clone)]
pub struct Ledger {
    log: Log,
    destination: String,
    /// The newest entry that this process knows, once it has taken the destination.
    newest: Option<(u64, Entry)>,
}

/// One step of a destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Raised by every process that takes the destination.
    epoch: u64,
    /// Tells entries of two processes apart that would say the same.
    writer: String,
    /// Where the destination stands; `None`: nothing has been handed over yet.
    pub(super) standing: Option<Standing>,
}

impl Ledger {
    /// The chain of `destination` beside `log`.
    pub fn new(log: &Log, destination: &str) -> Self {
        Self { log: log.clone(), destination: destination.to_owned(), newest: None }
    }

    /// The world that it lives in.
    pub fn world(&self) -> &World {
        self.log.world()
    }

    /// Takes the destination for this process, and tells where it stands.
    pub async fn take_over(&mut self) -> Result<Option<Standing>> {
        self.newest = None;
        let writer = self.log.world().name(16);
        loop {
            let before = self.read_newest().await?;
            let (number, epoch, standing) = match before {
                Some((number, entry)) => (number, entry.epoch, entry.standing),
                None => (0, 0, None),
            };
            let entry = Entry { epoch: epoch + 1, writer: writer.clone(), standing: standing.clone() };
            if self.put(number + 1, entry).await? {
                return Ok(standing);
            }
            // Another process was quicker; whoever comes last has the destination.
        }
    }

    /// Fails with [`crate::ErrorKind::Conflict`] unless this process still has the destination, and it stands at `begin` or nowhere.
    pub async fn check(&self, begin: &Standing) -> Result<()> {
        let Some((number, entry)) = &self.newest else {
            return Err(Error::internal("a ledger was written to before it was taken"));
        };
        if newest_number(self.log.store(), &self.folder()).await? != *number {
            return Err(self.replaced());
        }
        if entry.standing.as_ref().is_some_and(|standing| standing.position != begin.position) {
            let message = format!("destination `{}` stands elsewhere than the unit begins", self.destination);
            return Err(Error::conflict(message));
        }
        Ok(())
    }

    /// Moves the destination to `standing`. After an error the outcome may be unknown: it has to be taken again.
    pub async fn advance(&mut self, standing: Standing) -> Result<()> {
        let (number, entry) = self
            .newest
            .take()
            .ok_or_else(|| Error::internal("a ledger was written to before it was taken"))?;
        if !self.put(number + 1, Entry { standing: Some(standing), ..entry }).await? {
            return Err(self.replaced());
        }
        if let Some(old) = number.checked_sub(KEPT).filter(|old| *old > 0) {
            self.log.store().delete(&names::ledger_entry(&self.folder(), old)).await?;
        }
        Ok(())
    }

    /// Puts an entry; `false` when another stands in its place.
    async fn put(&mut self, number: u64, entry: Entry) -> Result<bool> {
        let path = names::ledger_entry(&self.folder(), number);
        let bytes = document::write(&path, &entry, "where a destination stands")?;
        let is_ours = self.log.store().place(&path, bytes).await? == Placed::Ours;
        if is_ours {
            self.newest = Some((number, entry));
        }
        Ok(is_ours)
    }

    async fn read_newest(&self) -> Result<Option<(u64, Entry)>> {
        let folder = self.folder();
        loop {
            let number = newest_number(self.log.store(), &folder).await?;
            if number == 0 {
                return Ok(None);
            }
            let path = names::ledger_entry(&folder, number);
            let damaged = |what: &str| {
                let message = format!("`{path}`, where destination `{}` stands, is {what}", self.destination);
                Error::conflict(message)
                    .hint("restore it from a backup, or delete it: what was handed over since the entry before is handed over again")
            };
            match self.log.store().get(&path).await? {
                Some(bytes) => {
                    let entry =
                        document::read(&path, &bytes).map_err(|what| damaged(&format!("damaged: {what}")))?;
                    return Ok(Some((number, entry)));
                }
                // Others have been added since, and this one removed.
                None if newest_number(self.log.store(), &folder).await? != number => {}
                None => return Err(damaged("missing")),
            }
        }
    }

    fn folder(&self) -> Path {
        names::ledger(&self.destination)
    }

    fn replaced(&self) -> Error {
        Error::conflict(format!("another process has taken destination `{}`", self.destination))
            .hint("let only one `tidemark run` write to it")
    }
}

async fn newest_number(store: &Store, folder: &Path) -> Result<u64> {
    let objects = store.objects(folder).await?;
    Ok(objects.iter().filter_map(names::number).max().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorKind, contract::write::standing, world::World};

    async fn log() -> Log {
        Log::open_or_create(Store::memory(), "ledger", World::real()).await.unwrap()
    }

    #[tokio::test]
    async fn whoever_comes_last_has_the_destination() {
        let log = log().await;
        let (mut first, mut second) = (Ledger::new(&log, "queue"), Ledger::new(&log, "queue"));
        assert_eq!(first.take_over().await.unwrap(), None);
        first.check(&standing(0)).await.unwrap();
        first.advance(standing(1)).await.unwrap();
        assert_eq!(second.take_over().await.unwrap(), Some(standing(1)));

        assert_eq!(first.check(&standing(1)).await.unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(first.advance(standing(2)).await.unwrap_err().kind(), ErrorKind::Conflict);
        second.check(&standing(1)).await.unwrap();
        assert_eq!(second.check(&standing(0)).await.unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(Ledger::new(&log, "another").take_over().await.unwrap(), None);
    }

    #[tokio::test]
    async fn few_entries_are_kept_and_a_stale_one_counts_for_nothing() {
        let log = log().await;
        let (mut stale, mut ledger) = (Ledger::new(&log, "queue"), Ledger::new(&log, "queue"));
        stale.take_over().await.unwrap();
        ledger.take_over().await.unwrap();
        for sequence in 1..=50 {
            ledger.advance(standing(sequence)).await.unwrap();
        }
        let folder = names::ledger("queue");
        assert_eq!(log.store().objects(&folder).await.unwrap().len(), 3);
        // Its number is free again, so the entry can be put; nobody believes it.
        let _ = stale.advance(standing(7)).await;
        assert_eq!(stale.check(&standing(7)).await.unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(Ledger::new(&log, "queue").take_over().await.unwrap(), Some(standing(50)));
    }

    #[tokio::test]
    async fn a_damaged_entry_stops_and_names_the_way_out() {
        let log = log().await;
        let mut ledger = Ledger::new(&log, "queue");
        ledger.take_over().await.unwrap();
        ledger.advance(standing(1)).await.unwrap();
        ledger.advance(standing(2)).await.unwrap();
        let newest = names::ledger_entry(&names::ledger("queue"), 3);
        log.store().delete(&newest).await.unwrap();
        log.store().place(&newest, "{}".into()).await.unwrap();
        let error = Ledger::new(&log, "queue").take_over().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.hint_text().unwrap().contains("delete it"), "{error}");
        log.store().delete(&newest).await.unwrap();
        assert_eq!(Ledger::new(&log, "queue").take_over().await.unwrap(), Some(standing(1)));
    }
}
