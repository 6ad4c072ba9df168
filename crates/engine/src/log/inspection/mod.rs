//! Looking at everything that a log is made of, as a reader would, without stopping at the first thing that is wrong.
//!
//! | Question | File |
//! |---|---|
//! | What was found? | `findings` |
//! | Are the commits whole, and what they name? | `commits` |
//! | Is all else whole? | `beside` |
//! | What is there that nothing names? | `strays` |
//!
//! Nothing is written. The pipeline may run meanwhile: what is missing is looked for again in a newer layout before it is called
//! missing. Memory holds a segment at a time, and eight bytes for each object that is named.

mod beside;
mod commits;
mod findings;
mod strays;

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use object_store::path::Path;

pub use findings::{Findings, Lost, Problem, Range, Stray, StrayKind};

use super::{Log, Store, identity::Identity, layout::Layout, names};
use crate::{Digest, Error, ErrorKind, Result, world::World};

/// An inspection under way.
struct Inspection {
    log: Log,
    findings: Findings,
    /// Beginnings of the digests of the names of all objects that something needs.
    named: HashSet<u64>,
    /// What others say of commits, to be compared with them when they are come by.
    claims: BTreeMap<u64, Vec<Claim>>,
}

/// What an object says of a commit.
#[derive(Debug)]
struct Claim {
    object: Path,
    says: Says,
}

#[derive(Debug)]
enum Says {
    /// Its hash.
    Hash(Digest),
    /// That it has a change with this ordinal.
    Holds(u64),
}

impl Log {
    /// Inspects the log in `store`; `None` when there is none. Damage is no error, but what is found.
    ///
    /// Fails when the store cannot be read, and with [`ErrorKind::Config`] when a later version wrote the log.
    pub async fn inspect(store: Store, world: World) -> Result<Option<Findings>> {
        let mut findings = Findings::default();
        let identity = async {
            store.unlock().await?;
            Identity::read(&store).await
        };
        let identity = match identity.await {
            Ok(Some(identity)) => identity,
            Ok(None) if store.objects(&names::commits()).await?.is_empty() => return Ok(None),
            Ok(None) => {
                findings.is_wrong(
                    names::IDENTITY,
                    "it is missing, although there are commits",
                    "nobody can tell whose changes these are: nothing of the log can be read, and the next run would begin another one",
                    "restore `pipeline.json` from a backup before anything runs",
                );
                return Ok(Some(findings));
            }
            Err(error) => {
                let means = match store.objects(&names::keys()).await?.iter().max() {
                    Some(keys) => {
                        &*format!("nothing of the log can be read; the keys in `{keys}` may be another log's")
                    }
                    None => "nothing of the log can be read",
                };
                findings.add(Problem::of_error(names::IDENTITY, &found(error)?, means));
                return Ok(Some(findings));
            }
        };
        findings.log = Some(identity.log.clone());
        let log = Self::unlooked(store, identity, world);
        let mut inspection = Inspection { log, findings, named: HashSet::new(), claims: BTreeMap::new() };
        inspection.layout().await?;
        inspection.beside().await?;
        inspection.commits().await?;
        inspection.strays().await?;
        inspection.findings.is_another_log();
        Ok(Some(inspection.findings))
    }
}

impl Inspection {
    /// Looks at every entry of the layout's chain. Where the newest is damaged, the newest whole one is as good as there is.
    async fn layout(&mut self) -> Result<()> {
        let mut numbers = self.log.layout_numbers().await?;
        numbers.sort_unstable_by(|a, b| b.cmp(a));
        let newest = numbers.first().copied();
        for number in numbers {
            match self.log.find_layout(number).await {
                Ok(Some(layout)) => self.log.0.layout.advance(Arc::new(layout)),
                // It was followed by others.
                Ok(None) => {}
                Err(error) => {
                    let means = match Some(number) == newest {
                        true => "it says where the commits are: what was folded last may not be found",
                        false => "only a name is needed of it, and that is there",
                    };
                    self.findings.add(Problem::of_error(
                        names::layout(number).as_ref(),
                        &found(error)?,
                        means,
                    ));
                }
            }
        }
        Ok(())
    }

    fn name(&mut self, object: &str) {
        self.named.insert(short(object));
    }

    fn is_named(&self, object: &str) -> bool {
        self.named.contains(&short(object))
    }

    /// The newest layout that is whole. A newer one that is damaged has been told of.
    async fn newer_layout(&mut self) -> Result<Option<Arc<Layout>>> {
        let before = self.log.layout().number;
        match self.log.refresh_layout().await {
            Ok(_) => {}
            Err(error) => drop(found(error)?),
        }
        let layout = self.log.layout();
        Ok((layout.number > before).then_some(layout))
    }
}

/// An error that says something of an object, and not that it could not be looked at.
fn found(error: Error) -> Result<Error> {
    match error.kind() {
        ErrorKind::Conflict | ErrorKind::Data => Ok(error),
        _ => Err(error),
    }
}

fn short(name: &str) -> u64 {
    let digest = Digest::of(name.as_bytes());
    let [first, ..] = digest.as_bytes().as_chunks::<8>().0 else { return 0 };
    u64::from_le_bytes(*first)
}
