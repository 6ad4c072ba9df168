//! What of the log is played.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use tidemark_engine::{
    Error, Result,
    log::{Commit, Cut, Former, Log, Mark, Moment},
    schema::StreamName,
    write::{OnError, Plan, WriteMode},
};

use super::Replay;
use crate::{
    moments,
    pipeline_file::{Destination, Pipeline},
    streams,
};

/// Which commits to play, and how.
#[derive(Debug, Clone)]
pub(super) struct Range {
    pub(super) plan: Plan,
    /// The last commit.
    pub(super) last: u64,
}

impl Range {
    /// What `replay` asks for of `log`. A live destination is played to where it stands, which is commit `stands_at`.
    pub(super) async fn of(
        replay: &Replay,
        pipeline: &Pipeline,
        log: &Log,
        destination: &Destination,
        stands_at: Option<u64>,
    ) -> Result<Self> {
        let mode = destination.writing.mode;
        let mut from = moments::seek(log, &pipeline.source, &replay.from).await?;
        let until = replay.as_of.as_ref().or(replay.until.as_ref());
        let end = match until {
            Some(moment) => moments::cut(log, &pipeline.source, moment).await?,
            None => Cut { sequence: stands_at.unwrap_or(log.head().sequence), beyond: None },
        };
        if from > end.sequence {
            return Err(Error::config(format!(
                "`--from` is after the end: commit {from} and commit {}",
                end.sequence
            ))
            .hint("give moments in order"));
        }
        if from > 0 && mode != WriteMode::Append {
            match mode {
                // Its state at that moment comes of everything before, and what it looks like in the end is the same.
                WriteMode::Mirror => from = 0,
                _ => {
                    return Err(Error::config(format!(
                        "`{}` is written with `{}`, so it must be played from the beginning",
                        replay.to,
                        mode.as_str()
                    ))
                    .hint("leave `--from` out, or replay into a destination with `write: append`"));
                }
            }
        }
        log.check_kept(from).await?;
        let selection = streams::select(log, &replay.stream).await?;
        let beyond = end.beyond.filter(|_| replay.as_of.is_some());
        let rate = replay.rate;
        let note = replay.condition.as_ref().map_or(String::new(), |condition| format!("where {condition}"));
        let reshape = destination.reshape(replay.condition.as_deref())?;
        let plan = Plan {
            from,
            selection,
            beyond,
            rate,
            note,
            reshape,
            on_error: OnError::Stop,
            ..destination.plan()
        };
        let range = Self { plan, last: end.sequence };
        if let Some(moment) = &replay.as_of {
            check_reached(log, moment, end)?;
            range.check_complete(log, moment).await?;
        }
        Ok(range)
    }

    /// A stream shows a moment of its source only when its initial sync was complete by then, and no changes were wanting.
    async fn check_complete(&self, log: &Log, moment: &Moment) -> Result<()> {
        let nothing = || {
            Error::config(format!("nothing was staged at `{moment}`"))
                .hint("give a later moment: `tidemark changes` shows what is staged, and when")
        };
        if self.last == 0 {
            return Err(nothing());
        }
        let commit = log.commit(self.last).await?;
        let syncing = commit.syncing().iter();
        let mut wanting = syncing.filter(|(stream, generation)| {
            self.plan.selection.takes(stream) && generation.former != Former::Current
        });
        let Some((stream, _)) = wanting.next() else {
            return if commit.has_streams() || self.plan.beyond.is_some() { Ok(()) } else { Err(nothing()) };
        };
        let error =
            Error::config(format!("the initial sync of stream `{stream}` was not complete at `{moment}`"));
        Err(match completion(log, commit.sequence(), stream).await? {
            Some(commit) => error.hint(format!(
                "give a moment from {} on (`seq:{}`), or leave the stream out with `--stream`",
                commit.watermark(),
                commit.sequence()
            )),
            None => error.hint("wait until it is, or leave the stream out with `--stream`"),
        })
    }

    /// How many changes of each stream are left to be played, after what `mark` says has been.
    pub(super) async fn count(&self, log: &Log, mark: Option<&Mark>) -> Result<BTreeMap<StreamName, u64>> {
        let begin = mark.map_or(self.plan.from, |mark| mark.position.sequence.max(self.plan.from));
        let mut rows = BTreeMap::new();
        for sequence in log.next_after(begin)?..=self.last {
            for (stream, count) in log.commit(sequence).await?.rows_by_stream() {
                if self.plan.selection.takes(&stream) {
                    *rows.entry(stream).or_default() += count;
                }
            }
        }
        if let Some(end) = self.plan.beyond {
            let commit = log.commit(self.last + 1).await?;
            let mut deliveries = log.deliveries(vec![commit], &self.plan.selection);
            while let Some(delivery) = deliveries.try_next().await? {
                let ordinals = delivery.changes.ordinals().into_iter().flat_map(|it| it.values());
                let count = ordinals.filter(|ordinal| **ordinal < end).count() as u64;
                *rows.entry(delivery.changes.schema().stream().clone()).or_default() += count;
            }
        }
        rows.retain(|_, count| *count > 0);
        Ok(rows)
    }
}

/// What has not been staged yet nobody can show.
fn check_reached(log: &Log, moment: &Moment, end: Cut) -> Result<()> {
    let Some((recorded, watermark)) = log.head_times().filter(|_| end.sequence == log.head().sequence) else {
        return Ok(());
    };
    match moment {
        Moment::Time(time) if *time > recorded.max(watermark) => {
            Err(Error::config(format!("the log ends at {recorded}, before `{moment}`"))
                .hint("give a moment up to then, or run the pipeline first"))
        }
        Moment::Source(place) => {
            tracing::warn!("nothing is staged from beyond `{place}`: what is shown is all that is staged");
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The commit after `sequence` that completes the initial sync of `stream`; `None` when none does yet.
async fn completion(log: &Log, sequence: u64, stream: &StreamName) -> Result<Option<std::sync::Arc<Commit>>> {
    for sequence in sequence + 1..=log.head().sequence {
        let commit = log.commit(sequence).await?;
        if !commit.syncing().contains_key(stream) {
            return Ok(Some(commit));
        }
    }
    Ok(None)
}
