//! Whether what differs is a difference, or a change on its way.
//!
//! Rows that differ are looked at again. The source's are looked at first, and again and again, until all that had been committed
//! to it by then is at the destination, and then the destination's. The destination then shows a state that the source's row
//! has had since: if it is one of those that were seen, the row has arrived. If it is none although the source's row stayed the
//! same all the time, that is a difference, and is believed when it is found so twice. A row that went on changing is tried
//! again.

use std::time::Duration;

use tidemark_connectors::comparing::{Key, Original, Replica, Side, Sum};
use tidemark_engine::{
    Result,
    log::{Log, RunLock, Runner},
    write::Standing,
};

/// Keys that are followed at once.
const BATCH: usize = 4_096;
/// How often a row that keeps changing is tried.
const ROUNDS: usize = 12;
/// How long to wait for a pipeline that makes no progress at all.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// How differences at one destination are confirmed.
pub(super) struct Confirming<'a> {
    log: &'a Log,
    original: &'a dyn Original,
    replica: &'a dyn Replica,
    /// Whether the running pipeline writes to it.
    live: bool,
}

/// What came of rows that differed.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// Those that differ still.
    pub(super) differing: Vec<Key>,
    /// Rows that never stayed the same for long enough.
    pub(super) unsettled: u64,
    /// Why the differences are not confirmed; `None`: they are.
    pub(super) unconfirmed: Option<String>,
}

/// A row that is followed.
struct Followed {
    key: Key,
    /// What it has been at the source since this round began.
    states: Vec<Sum>,
    /// In how many rounds it stayed as it was and differed.
    differed: usize,
}

impl Followed {
    fn saw(&mut self, state: Sum) {
        if !self.states.contains(&state) {
            self.states.push(state);
        }
    }
}

impl<'a> Confirming<'a> {
    pub(super) fn new(
        log: &'a Log,
        original: &'a dyn Original,
        replica: &'a dyn Replica,
        live: bool,
    ) -> Self {
        Self { log, original, replica, live }
    }

    pub(super) fn replica(&self) -> &'a dyn Replica {
        self.replica
    }

    /// Verifies that the destination stands in this log.
    pub(super) async fn check(&self, standing: &Standing) -> Result<()> {
        self.log.verify(&standing.position).await
    }

    /// Which of `candidates` differ, until there are more than `enough`.
    pub(super) async fn settle(
        &self,
        candidates: Vec<Key>,
        enough: usize,
        first: &mut dyn Side,
        second: &mut dyn Side,
    ) -> Result<Settled> {
        let mut settled = Settled::default();
        for some in candidates.chunks(BATCH) {
            let followed = some.iter().cloned().map(|key| Followed { key, states: Vec::new(), differed: 0 });
            let mut followed: Vec<_> = followed.collect();
            // Most were changes on their way, and have arrived meanwhile.
            look(&mut followed, first).await?;
            let found = second.look(some, false).await?;
            let followed = followed.into_iter().zip(found);
            let followed = followed.filter(|(row, found)| !row.states.contains(&found.sum));
            let followed: Vec<_> = followed.map(|(row, _)| row).collect();
            if !followed.is_empty() {
                self.follow(followed, &mut settled, first, second).await?;
            }
            if settled.differing.len() > enough {
                break;
            }
        }
        Ok(settled)
    }

    async fn follow(
        &self,
        mut followed: Vec<Followed>,
        settled: &mut Settled,
        first: &mut dyn Side,
        second: &mut dyn Side,
    ) -> Result<()> {
        for _ in 0..ROUNDS {
            let arrived = self.catch_up(&mut followed, first).await?;
            let keys = keys(&followed);
            let found = second.look(&keys, false).await?;
            look(&mut followed, first).await?;
            let mut rest = Vec::new();
            for (mut row, found) in followed.into_iter().zip(found) {
                if row.states.contains(&found.sum) {
                    continue;
                }
                row.differed = if row.states.len() == 1 { row.differed + 1 } else { 0 };
                match (&arrived, row.differed) {
                    (Ok(()), 2..) => settled.differing.push(row.key),
                    (Err(_), _) => settled.differing.push(row.key),
                    (Ok(()), _) => rest.push(row),
                }
            }
            if let Err(why) = arrived
                && !settled.differing.is_empty()
            {
                settled.unconfirmed.get_or_insert(why);
            }
            if rest.is_empty() {
                return Ok(());
            }
            followed = rest;
        }
        settled.unsettled += followed.len() as u64;
        Ok(())
    }

    /// Waits until all that is committed to the source by now is at the destination, and looks at the source's rows meanwhile; or
    /// tells why that will not be.
    async fn catch_up(&self, followed: &mut [Followed], first: &mut dyn Side) -> Result<Result<(), String>> {
        followed.iter_mut().for_each(|row| row.states.clear());
        look(followed, first).await?;
        let end = self.original.end().await?;
        let world = self.log.world();
        let mut goal = None;
        let mut progress = (world.now(), None);
        loop {
            self.log.refresh().await?;
            if goal.is_none() && self.original.is_staged(&end, &self.log.cursor())? {
                goal = Some(self.log.head().sequence);
            }
            let reached = self.replica.standing().await?.map_or(0, |standing| standing.position.sequence);
            if goal.is_some_and(|goal| reached >= goal) {
                return Ok(Ok(()));
            }
            if !self.live {
                return Ok(Err("`run` does not write to the destination, which is behind".to_owned()));
            }
            if RunLock::runner(self.log.store()) == Runner::Nobody {
                return Ok(Err("nobody runs the pipeline".to_owned()));
            }
            // First the log has to grow, then the destination to follow: what else goes on is no progress.
            let now = match goal {
                None => (false, self.log.head().sequence),
                Some(_) => (true, reached),
            };
            if progress.1 != Some(now) {
                progress = (world.now(), Some(now));
            }
            if u128::from(world.now().micros_since(progress.0)) > PATIENCE.as_micros() {
                return Ok(Err(format!("the pipeline has made no progress for {} s", PATIENCE.as_secs())));
            }
            world.sleep(PAUSE).await;
            look(followed, first).await?;
        }
    }
}

fn keys(followed: &[Followed]) -> Vec<Key> {
    followed.iter().map(|row| row.key.clone()).collect()
}

/// Notes what the source's rows are now.
async fn look(followed: &mut [Followed], first: &mut dyn Side) -> Result<()> {
    let seen = first.look(&keys(followed), false).await?;
    followed.iter_mut().zip(seen).for_each(|(row, seen)| row.saw(seen.sum));
    Ok(())
}
