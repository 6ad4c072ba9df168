//! What stands beside the commits: where destinations are, what they could not take, what was asked, who has ended.

use object_store::path::Path;

use super::{Claim, Inspection, Problem, Says, found};
use crate::{
    Result,
    log::{DeadLetter, Mark, Request, document, names},
};

impl Inspection {
    pub(super) async fn beside(&mut self) -> Result<()> {
        let store = self.log.store().clone();
        for folder in store.folders(&names::all_positions()).await? {
            self.marks(&folder).await?;
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

    async fn letter(&mut self, path: &Path) -> Result<()> {
        let means = "the change it stands for may be forgotten, and what is held behind it written too early: its destination does not go on";
        let Some(bytes) = self.read(path, means).await? else { return Ok(()) };
        match document::read::<DeadLetter>(path, &bytes) {
            Ok(letter) => self.claim(letter.id.sequence, path, Says::Holds(letter.id.ordinal)),
            Err(what) => self.findings.is_wrong(path.as_ref(), &what, means, "restore it from a backup"),
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
