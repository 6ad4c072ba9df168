//! Dead letters that are written after all, or discarded, because somebody has asked for it.

use std::collections::BTreeSet;

use futures::{Stream, StreamExt, TryStreamExt, stream};

use super::{
    asking::is_for,
    groups::groups,
    letters::{Book, stands_at},
};
use crate::{
    Error, Result,
    arrow_array::BooleanArray,
    log::{DeadLetter, LetterId, MarkState, Request, Selection, not_held},
    write::{Delivery, Standing, Unit, WriteLoop, WriteStrategy, write_loop::Run},
};

impl WriteLoop {
    /// Does what has been asked about the destination's dead letters, and nothing else: for when no process plays the log. An error
    /// of the destination ends it, and what was asked stays to be done; a letter that fails again is no error.
    pub async fn see_to_letters(&self, strategy: &mut dyn WriteStrategy) -> Result<()> {
        let context = |error: Error| error.context(format_args!("destination `{}`", self.destination));
        let requests = self.log.requests().await?;
        if requests.iter().any(|(_, request)| request.pauses(&self.destination)) {
            let hint = format!(
                "`tidemark resume FILE {}`: what was asked is done by the next run",
                self.destination
            );
            return Err(context(Error::config("it is paused").hint(hint)));
        }
        let mut run = Run::new(self);
        run.letters.read().await?;
        let standing = self.open(strategy, &mut run).await.map_err(context)?;
        let requests = requests.into_iter().filter(|(_, request)| is_for(request, &self.destination));
        let attended = self.attend(strategy, standing, requests.collect(), &mut run).await;
        let standing = attended.map_err(context)?;
        run.report.stands_at(&standing, 0);
        run.report.say(MarkState::Stopped).await;
        strategy.close().await
    }

    /// Does what `requests` ask, and forgets them.
    pub(in crate::write) async fn attend(
        &self,
        strategy: &mut dyn WriteStrategy,
        standing: Standing,
        requests: Vec<(String, Request)>,
        run: &mut Run<'_>,
    ) -> Result<Standing> {
        let mut standing = standing;
        for (id, request) in requests {
            let (letters, discards) = match request {
                Request::Retry { letters, .. } => (letters, false),
                Request::Discard { letters, .. } => (letters, true),
                Request::Pause { .. } | Request::Resync { .. } | Request::Read => continue,
            };
            // What cannot be read names no letter.
            let ids = letters.iter().filter_map(|id| id.parse().ok()).collect::<BTreeSet<LetterId>>();
            let wanted = |letter: &DeadLetter| letters.is_empty() || ids.contains(&letter.id);
            let affected = self.affected(run, |letter| {
                wanted(letter) || letter.behind.is_some_and(|behind| ids.contains(&behind))
            });
            if discards {
                let (discarded, left): (Vec<_>, Vec<_>) = affected.into_iter().flatten().partition(wanted);
                self.discard(discarded, &standing, &run.letters.book.clone()).await?;
                // What was behind them is so no more.
                for group in groups(left) {
                    standing = self.retry(strategy, standing, group, run).await?;
                }
            } else {
                for group in affected {
                    standing = self.retry(strategy, standing, group, run).await?;
                }
            }
            self.log.forget_request(&id).await?;
            run.letters.breaker.reset();
            run.revival.hurry();
        }
        Ok(standing)
    }

    /// The groups of letters of which `is_wanted` says so of one. Those of a shadow wait until it is in place.
    fn affected(&self, run: &Run<'_>, is_wanted: impl Fn(&DeadLetter) -> bool) -> Vec<Vec<DeadLetter>> {
        let mut letters = run.letters.book.all();
        letters.retain(|letter| letter.id.shadow.is_none() && !letter.discarded);
        let mut groups = groups(letters);
        groups.retain(|group| group.iter().any(&is_wanted));
        groups
    }

    /// Discards `letters`: those that the destination has come past. Others are to be kept from it still.
    async fn discard(&self, letters: Vec<DeadLetter>, standing: &Standing, book: &Book) -> Result<()> {
        let (past, mut ahead): (Vec<_>, Vec<_>) = letters
            .into_iter()
            .partition(|letter| letter.played <= stands_at(standing, &letter.stream, false));
        for letter in past.iter().chain(&ahead) {
            tracing::info!(destination = %self.destination, stream = %letter.stream, letter = %letter.id, "the dead letter is discarded");
        }
        ahead.iter_mut().for_each(|letter| letter.discarded = true);
        book.replace(ahead).await?;
        book.forget(&past.iter().map(|letter| letter.id).collect::<Vec<_>>()).await
    }

    /// Writes the letters of `group`, up to the first that fails again. Those that the destination has not come past yet come in
    /// their turn.
    async fn retry(
        &self,
        strategy: &mut dyn WriteStrategy,
        standing: Standing,
        group: Vec<DeadLetter>,
        run: &mut Run<'_>,
    ) -> Result<Standing> {
        let mut standing = standing;
        let book = run.letters.book.clone();
        let all = group.clone();
        let (mut letters, ahead): (Vec<_>, Vec<_>) = group
            .into_iter()
            .partition(|letter| letter.played <= stands_at(&standing, &letter.stream, false));
        let mut failed = None;
        while !letters.is_empty() {
            let settled = letters.iter().map(|letter| letter.id).collect::<BTreeSet<_>>();
            let end = Standing { settled: settled.clone(), ..standing.clone() };
            let error = match self.write_letters(strategy, (&standing, &end), &letters, run).await {
                Ok(()) => {
                    let ids = settled.into_iter().collect::<Vec<_>>();
                    book.forget(&ids).await?;
                    for letter in &letters {
                        tracing::info!(destination = %self.destination, stream = %letter.stream, letter = %letter.id, "the dead letter is written");
                    }
                    break;
                }
                Err(error) if error.kind().is_transient() || error.kind() == crate::ErrorKind::Internal => {
                    return Err(error);
                }
                // Whatever else is wrong, nobody else is to suffer for it: should the destination be lost, opening it says so.
                Err(error) => error,
            };
            standing = self.open_holding(strategy, standing.held, run).await?;
            let at = |change| letters.iter().position(|it| (it.id.sequence, it.id.ordinal) == change);
            let at = error.change().and_then(at).unwrap_or(0);
            let letter = letters.swap_remove(at);
            letters.truncate(at);
            failed = Some(self.note_failure(letter, &error, &book).await?);
        }
        match failed {
            None => book.forget(&ahead.iter().map(|letter| letter.id).collect::<Vec<_>>()).await?,
            Some(failed) => {
                // What was behind a letter that is written now is behind this one.
                let left = all.into_iter().filter(|letter| letter.id != failed && book.has(letter.id));
                let is_lost = |letter: &DeadLetter| letter.behind.is_none_or(|behind| !book.has(behind));
                let left = left.filter(is_lost).map(|letter| DeadLetter { behind: Some(failed), ..letter });
                let left = left.collect();
                book.replace(left).await?;
            }
        }
        Ok(standing)
    }

    async fn note_failure(&self, letter: DeadLetter, error: &Error, book: &Book) -> Result<LetterId> {
        let (destination, id) = (&self.destination, letter.id);
        tracing::warn!(%destination, stream = %letter.stream, letter = %id, %error, hint = error.hint_text(), "the dead letter could not be written again");
        let letter = DeadLetter {
            error: error.to_string(),
            kind: error.kind(),
            hint: error.hint_text().map(str::to_owned),
            behind: None,
            attempts: letter.attempts + 1,
            ..letter
        };
        book.replace(vec![letter]).await?;
        Ok(id)
    }

    /// Gives the destination the changes of `letters`, in order, and with it the way from one standing to another.
    async fn write_letters(
        &self,
        strategy: &mut dyn WriteStrategy,
        (begin, end): (&Standing, &Standing),
        letters: &[DeadLetter],
        run: &mut Run<'_>,
    ) -> Result<()> {
        let bases = self.bases(begin).await?;
        let deliveries = self.barred(self.deliveries_of(letters).boxed());
        let unit = Unit::new(begin.clone(), end.clone(), deliveries).as_retry().as_suspect();
        let mut unit = self.shaped(unit, bases);
        strategy.apply(&mut unit).await?;
        let rows = letters.len() as u64;
        self.progress.applied(rows);
        run.note(end, rows).await;
        Ok(())
    }

    /// The changes of `letters` as they were to be played, every one of them.
    fn deliveries_of(&self, letters: &[DeadLetter]) -> impl Stream<Item = Result<Delivery>> + Send + 'static {
        let mut plays = Vec::<Vec<DeadLetter>>::new();
        for letter in letters {
            let together = |last: &&mut Vec<DeadLetter>| {
                let Some(other) = last.first() else { return false };
                (other.played, other.from, other.by_shadow) == (letter.played, letter.from, letter.by_shadow)
            };
            match plays.last_mut().filter(together) {
                Some(last) => last.push(letter.clone()),
                None => plays.push(vec![letter.clone()]),
            }
        }
        let (log, mode) = (self.log.clone(), self.plan.mode);
        let played = stream::iter(plays.into_iter().map(Ok::<_, Error>)).and_then(move |letters| {
            let log = log.clone();
            async move {
                let Some(first) = letters.first() else { return Ok(stream::empty().boxed()) };
                let commits = stream::iter([Ok(log.commit(first.played).await?)]);
                let alone = Selection { streams: vec![first.stream.clone()], ..Selection::default() };
                let deliveries = log.played(commits, &alone, first.playing(mode));
                let wanted = letters.iter().map(|it| (it.id.sequence, it.id.ordinal)).collect();
                let picked = deliveries.try_filter_map(move |delivery| {
                    let picked = pick(delivery, &wanted);
                    async { picked }
                });
                Ok(picked.boxed())
            }
        });
        let (mut found, expected) = (0, letters.len());
        let counted = played.try_flatten().map_ok(Some).chain(stream::iter([Ok(None)]));
        counted.try_filter_map(move |delivery| {
            found += delivery.as_ref().map_or(0, |delivery| delivery.changes.rows());
            let is_wanting = delivery.is_none() && found != expected;
            async move {
                if is_wanting {
                    let message = format!("of {expected} dead letters the log holds {found}");
                    return Err(not_held(message));
                }
                Ok(delivery)
            }
        })
    }
}

/// The `wanted` changes of `delivery`.
fn pick(delivery: Delivery, wanted: &BTreeSet<(u64, u64)>) -> Result<Option<Delivery>> {
    let Some(ordinals) = delivery.changes.ordinals() else { return Ok(None) };
    let is_wanted = |ordinal: &u64| wanted.contains(&(delivery.sequence, *ordinal));
    let rows = ordinals.values().iter().map(is_wanted).collect::<Vec<_>>();
    if !rows.contains(&true) {
        return Ok(None);
    }
    let changes = delivery.changes.filter(&BooleanArray::from(rows))?;
    Ok(Some(Delivery { changes, ..delivery }))
}
