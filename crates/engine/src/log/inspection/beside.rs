//! What stands beside the commits: where destinations are, what they could not take, what was asked, who has ended.

use object_store::path::Path;

use super::{Claim, Inspection, Problem, Says, found};
use crate::{
    Result,
    log::{DeadLetter, Mark, Request, document, ledger::Entry, names, states},
};

impl Inspection {
    pub(super) async fn beside(&mut self) -> Result<()> {
        let store = self.log.store().clone();
        for folder in store.folders(&names::all_positions()).await? {
            self.marks(&folder).await?;
        }
        for folder in store.folders(&names::all_ledgers()).await? {
            self.ledger(&folder).await?;
        }
        for path in store.objects(&names::all_dead_letters()).await? {
            self.letter(&path).await?;
        }
        for path in store.objects(&names::requests()).await? {
            if let Some(bytes) = self.read(&path, "the request cannot be followed").await?
                && let Err(what) = document::read::<Request>(&path, &bytes)
            {
                let means = "what it asks for is not done, and destinations do not begin";
                self.findings.is_wrong(path.as_ref(), &what, means, "remove it, and ask again");
            }
        }
        for path in store.objects(&names::all_states()).await? {
            self.state(&path).await?;
        }
        for path in store.objects(&names::retired()).await? {
            if let Some(bytes) = self.read(&path, "nothing: its name says all").await?
                && bytes.as_ref() != names::RETIRED.as_bytes()
            {
                self.findings.is_wrong(
                    path.as_ref(),
                    "its content is not what was written",
                    "nothing: its name says all there is to say",
                    "nothing needs to be done",
                );
            }
        }
        Ok(())
    }

    /// The newest mark of a destination is what counts; the ones before are forgotten in time.
    async fn marks(&mut self, folder: &Path) -> Result<()> {
        let mut marks = self.log.store().objects(folder).await?;
        marks.retain(|path| names::number(path).is_some());
        marks.sort_by_key(names::number);
        let newest = marks.len().saturating_sub(1);
        for (at, path) in marks.iter().enumerate() {
            let means = match at == newest {
                true => "`status` and `run` cannot tell where the destination stands; it knows so itself",
                false => "nothing: a newer one says where the destination stands",
            };
            let Some(bytes) = self.read(path, means).await? else { continue };
            match document::read::<Mark>(path, &bytes) {
                Ok(mark) if at == newest && mark.position.sequence > 0 => {
                    let says = Says::Hash(mark.position.hash);
                    self.claim(mark.position.sequence, path, says);
                }
                Ok(_) => {}
                Err(what) => {
                    let repair = "delete it: the destination itself knows where it stands";
                    self.findings.is_wrong(path.as_ref(), &what, means, repair);
                }
            }
        }
        Ok(())
    }

    /// The newest entry of a ledger is what counts.
    async fn ledger(&mut self, folder: &Path) -> Result<()> {
        let mut entries = self.log.store().objects(folder).await?;
        entries.retain(|path| names::number(path).is_some());
        entries.sort_by_key(names::number);
        let newest = entries.len().saturating_sub(1);
        for (at, path) in entries.iter().enumerate() {
            let (means, repair) = match at == newest {
                true => (
                    "nobody knows where the destination stands: it does not go on",
                    "restore it from a backup, or delete it: what was handed over since the entry before is handed over again",
                ),
                false => ("nothing: a newer one says where the destination stands", "delete it"),
            };
            let Some(bytes) = self.read(path, means).await? else { continue };
            match document::read::<Entry>(path, &bytes).map(|entry| entry.standing) {
                Ok(Some(standing)) if at == newest && standing.position.sequence > 0 => {
                    self.claim(standing.position.sequence, path, Says::Hash(standing.position.hash));
                }
                Ok(_) => {}
                Err(what) => self.findings.is_wrong(path.as_ref(), &what, means, repair),
            }
        }
        Ok(())
    }

    async fn letter(&mut self, path: &Path) -> Result<()> {
        let means = "the change it stands for may be forgotten, and what is held behind it written too early: its destination does not go on";
        let Some(bytes) = self.read(path, means).await? else { return Ok(()) };
        match document::read::<DeadLetter>(path, &bytes) {
            Ok(letter) => self.claim(letter.id.sequence, path, Says::Holds(letter.id.ordinal)),
            Err(what) => self.findings.is_wrong(path.as_ref(), &what, means, "restore it from a backup"),
        }
        Ok(())
    }

    /// Whether it is whole can be told. Whether a cursor names it, and whether one names an object that is missing, only the
    /// connector knows.
    async fn state(&mut self, path: &Path) -> Result<()> {
        if names::kind(path) != Some(names::ObjectKind::State) {
            return Ok(());
        }
        let means = "if the cursor names it, nobody can tell what has changed in the source since: the source is not read on";
        let Some(bytes) = self.read(path, means).await? else { return Ok(()) };
        if let Err(what) = states::check(self.log.id(), path, bytes) {
            let repair = "restore it from a backup, or have the stream read anew: `tidemark resync FILE --stream NAME`";
            self.findings.is_wrong(path.as_ref(), what, means, repair);
        }
        Ok(())
    }

    fn claim(&mut self, sequence: u64, object: &Path, says: Says) {
        self.claims.entry(sequence).or_default().push(Claim { object: object.clone(), says });
    }

    /// The content of an object; `None` when it has gone, or is damaged as it is stored.
    async fn read(&mut self, path: &Path, means: &str) -> Result<Option<bytes::Bytes>> {
        match self.log.store().get(path).await {
            Ok(bytes) => {
                self.findings.objects += u64::from(bytes.is_some());
                Ok(bytes)
            }
            Err(error) => {
                self.findings.add(Problem::of_error(path.as_ref(), &found(error)?, means));
                Ok(None)
            }
        }
    }
}
