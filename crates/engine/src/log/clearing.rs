//! Removing what nothing needs any more: the objects that the layout names as doomed, fences against writers that have ended, and
//! what a writer left behind that died in the middle.

use std::collections::BTreeSet;

use futures::{FutureExt, StreamExt, TryStreamExt, future, stream};
use object_store::path::Path;

use super::{
    Log,
    layout::{Doomed, Fence, Fenced, LayoutWriter},
    names,
};
use crate::{Error, Result, Stop, Time};

/// Objects that are removed at once.
const AT_ONCE: usize = 16;

impl Log {
    /// Says that nothing of `writer` can become visible any more.
    pub(crate) async fn retire(&self, writer: &str) -> Result<()> {
        // Whether it was there before makes no difference.
        self.store().create(&names::retired_writer(writer), names::RETIRED.into()).await.map(drop)
    }

    /// Removes doomed objects whose time has come, and then their names from the layout. Fences that keep out nobody join them.
    pub(crate) async fn clear(&self, writer: &mut LayoutWriter, stop: &Stop) -> Result<()> {
        let now = self.world().now();
        let layout = writer.layout().clone();
        let due: Vec<Doomed> = layout.doomed.iter().filter(|doomed| doomed.from <= now).cloned().collect();
        let retired = match layout.fences.is_empty() {
            true => BTreeSet::new(),
            false => self.retired_writers().await?,
        };
        let (idle, needed): (Vec<_>, Vec<_>) =
            layout.fences.iter().cloned().partition(|fence| retired.contains(&fence.against));
        // An entry for the sake of a former one alone would be the next one's reason to write.
        let is_worth_it = |fence: &Fence| matches!(fence.object, Fenced::Commit(_));
        if due.is_empty() && !idle.iter().any(is_worth_it) {
            return Ok(());
        }
        for doomed in &due {
            if !self.remove(doomed, &layout.fences, stop).await? {
                return Ok(());
            }
        }
        let mut objects: Vec<String> = Vec::new();
        for fence in idle {
            objects.push(match fence.object {
                Fenced::Commit(sequence) => names::commit(sequence).to_string(),
                Fenced::Layout(number) => names::layout(number).to_string(),
            });
            objects.push(names::retired_writer(&fence.against).to_string());
        }
        let freed = Doomed { from: now, commits: None, objects };
        let put = writer.put(
            move |layout| {
                layout.doomed.retain(|doomed| !due.contains(doomed));
                layout.fences = needed;
                if !freed.objects.is_empty() {
                    layout.doomed.push(freed);
                }
            },
            stop,
        );
        put.await
    }

    /// Removes what is doomed; `false` when it was stopped before the end.
    async fn remove(&self, doomed: &Doomed, fences: &[Fence], stop: &Stop) -> Result<bool> {
        let fenced: BTreeSet<_> = fences.iter().map(|fence| fence.object).collect();
        let sequences = doomed.commits.into_iter().flat_map(|(first, last)| first..=last);
        let commits = sequences
            .filter(|sequence| !fenced.contains(&Fenced::Commit(*sequence)))
            .map(|sequence| Ok(names::commit(sequence)));
        let objects = doomed.objects.iter().map(|object| {
            let unsound =
                |error| Error::conflict(format!("the layout names an object `{object}`")).source(error);
            Path::parse(object).map_err(unsound)
        });
        let paths = commits.chain(objects).collect::<Result<Vec<_>>>()?;
        let removed = stream::iter(paths).map(|path| {
            let (log, stop) = (self.clone(), stop.clone());
            let remove = async move {
                match stop.is_stopped() {
                    true => Ok(false),
                    false => log.store().delete(&path).await.map(|()| true),
                }
            };
            remove.boxed()
        });
        removed.buffer_unordered(AT_ONCE).try_fold(true, |all, one| future::ready(Ok(all && one))).await
    }

    async fn retired_writers(&self) -> Result<BTreeSet<String>> {
        let objects = self.store().objects(&names::retired()).await?;
        Ok(objects.iter().filter_map(|path| path.filename().map(str::to_owned)).collect())
    }

    /// Removes volumes and folded segments that were meant for a layout up to the newest, and that it does not name: whoever made
    /// them can never have them named. Those that are doomed are left for their time.
    pub(crate) async fn clear_garbage(&self, writer: &LayoutWriter) -> Result<()> {
        let layout = writer.layout();
        let live: BTreeSet<(u64, &str)> =
            layout.all_volumes().filter_map(|volume| made_by(&volume.name)).collect();
        let doomed: BTreeSet<&str> =
            layout.doomed.iter().flat_map(|doomed| &doomed.objects).map(String::as_str).collect();
        let mut removed = 0;
        for folder in [names::volumes(), names::data()] {
            for path in self.store().objects(&folder).await? {
                let Some(made) = made_by(path.as_ref()) else { continue };
                let is_garbage = made.0 <= layout.number
                    && made.1 != writer.name()
                    && !live.contains(&made)
                    && !doomed.contains(path.as_ref());
                if is_garbage {
                    self.store().delete(&path).await?;
                    removed += 1;
                }
            }
        }
        if removed > 0 {
            tracing::info!(objects = removed, "removed what a former run had begun to fold");
        }
        Ok(())
    }
}

/// The layout that an object of a fold was meant for, and who made it.
fn made_by(path: &str) -> Option<(u64, &str)> {
    let name = path.rsplit('/').next()?;
    let meant_for = names::meant_for(&Path::from(name))?;
    let writer = name.rsplit('-').next()?.split('.').next()?;
    Some((meant_for, writer))
}

/// A time so many microseconds after `now`.
pub(super) fn after(now: Time, micros: i64) -> Time {
    Time::from_micros(now.as_micros().saturating_add(micros))
}
