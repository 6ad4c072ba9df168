//! The dead letters of one destination, as its loop knows them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{Stream, TryStreamExt, future, stream::BoxStream};

use super::{
    asking::Asking,
    breaker::{Breaker, MOST, too_many},
    holds::{Holds, Sifted},
};
use crate::{
    Error, Result,
    log::{DeadLetter, LetterId, Log, Playing},
    schema::StreamName,
    write::{Delivery, Progress, Standing, Unit, WriteMode},
};

/// The letters, and what a loop remembers of the changes that become letters.
pub(in crate::write) struct Letters {
    pub(super) book: Book,
    mode: WriteMode,
    pub(super) breaker: Breaker,
    pub(super) asking: Asking,
    /// Whether the next unit is played to find the change that it fails over.
    pub(in crate::write) suspects: bool,
    /// Whether the destination has been opened in this process.
    is_open: bool,
}

/// The letters in memory and in the store. Cheap to clone; clones share them.
#[derive(Clone)]
pub(super) struct Book {
    log: Log,
    destination: Arc<str>,
    progress: Arc<Progress>,
    pages: Arc<Mutex<Pages>>,
}

#[derive(Default)]
struct Pages {
    letters: BTreeMap<LetterId, DeadLetter>,
    /// Where changes of the unit that waited were played, by stream.
    waited: BTreeSet<(StreamName, u64)>,
    /// Whether nothing has been applied to the destination yet.
    is_new: bool,
}

impl Letters {
    pub(in crate::write) fn new(
        log: &Log,
        destination: &str,
        mode: WriteMode,
        progress: Arc<Progress>,
    ) -> Self {
        let book =
            Book { log: log.clone(), destination: destination.into(), progress, pages: Arc::default() };
        let asking = Asking::at_once(log, destination);
        Self { book, mode, breaker: Breaker::default(), asking, suspects: false, is_open: false }
    }

    /// Reads what there is: what an attempt has kept may be there, whatever became of the attempt.
    pub(in crate::write) async fn read(&mut self) -> Result<()> {
        let letters = self.book.log.settled_letters(&self.book.destination).await?;
        self.book.change(|pages| pages.letters = letters);
        Ok(())
    }

    /// What somebody has asked of this destination before this process began.
    pub(in crate::write) async fn asked_before(&mut self) -> Result<Vec<(String, crate::log::Request)>> {
        self.asking.asked_before().await
    }

    /// What somebody has asked of this destination; empty when nobody has.
    pub(in crate::write) async fn asked(&mut self) -> Vec<(String, crate::log::Request)> {
        self.asking.asked().await
    }

    /// Forgets what is of no account any more for a destination that has just told where it stands. One that has nothing, and had
    /// when letters were kept, has been emptied since: everything is tried again.
    pub(in crate::write) async fn settle(&mut self, standing: Standing, is_new: bool) -> Result<Standing> {
        if is_new && !self.is_open {
            let former = self.book.all().into_iter().filter(|letter| !letter.at_first);
            let former = former.map(|letter| letter.id).collect::<Vec<_>>();
            self.book.forget(&former).await?;
        }
        self.is_open = true;
        self.book.change(|pages| pages.is_new = is_new);
        self.tidy(&standing).await?;
        Ok(Standing { settled: BTreeSet::new(), ..standing })
    }

    /// The same for one that has come to `end`.
    pub(in crate::write) async fn passed(&mut self, end: &Standing) -> Result<()> {
        self.suspects = false;
        self.breaker.passed();
        self.book.change(|pages| pages.is_new = false);
        self.tidy(end).await
    }

    /// Notes that letters of `streams` are void as soon as the shadows are in place that are being filled by `standing`.
    pub(in crate::write) async fn void_by(
        &mut self,
        standing: &Standing,
        streams: &[StreamName],
    ) -> Result<()> {
        let mut letters = self.book.all();
        letters.retain(|letter| letter.id.shadow.is_none() && streams.contains(&letter.stream));
        for letter in &mut letters {
            letter.voided_by = standing.anew.get(&letter.stream).map(|anew| anew.from);
        }
        self.book.replace(letters).await
    }

    /// Warns of letters that are left.
    pub(in crate::write) fn tell(&self) {
        let (letters, destination) = (self.book.count(), &self.book.destination);
        if letters > 0 {
            let hint = "see what `tidemark dead-letters FILE list` tells";
            tracing::warn!(%destination, letters, hint, "changes could not be written and are dead letters");
        }
    }

    /// The unit that leads from `begin` to `end` by what the destination gets of `deliveries`, which are played as `playing` has it.
    pub(in crate::write) fn unit(
        &self,
        (begin, end): (&Standing, &Standing),
        deliveries: impl Stream<Item = Result<Delivery>> + Send + 'static,
        playing: Playing,
    ) -> Unit {
        let unit = Unit::new(begin.clone(), end.clone(), self.sifted(deliveries, begin, playing));
        if self.suspects { unit.as_suspect() } else { unit }
    }

    /// What is held becomes durable before the deliveries behind it come, and so before the destination has moved past it.
    fn sifted(
        &self,
        deliveries: impl Stream<Item = Result<Delivery>> + Send + 'static,
        begin: &Standing,
        playing: Playing,
    ) -> BoxStream<'static, Result<Delivery>> {
        let book = self.book.clone();
        book.change(|pages| pages.waited.clear());
        let mut holds = book.change(|pages| {
            let is_of = |letter: &&DeadLetter| letter.id.shadow == playing.shadow_of(&letter.stream);
            let letters = pages.letters.values().filter(is_of);
            let in_shadows = playing.shadows.is_some();
            let stands_at = |stream: &StreamName| stands_at(begin, stream, in_shadows);
            Holds::new(letters, stands_at, playing.clone(), book.log.world().now())
        });
        let (is_append, kept) = (self.mode == WriteMode::Append, book.clone());
        let sifted = deliveries.and_then(move |delivery| {
            let (stream, played) = (delivery.changes.schema().stream().clone(), delivery.played);
            if played != delivery.sequence {
                kept.change(|pages| pages.waited.insert((stream.clone(), played)));
            }
            let (sifted, book) = (holds.sift(delivery), kept.clone());
            async move {
                let Sifted { delivery, behind, released } = sifted?;
                if !behind.is_empty() {
                    book.keep(&stream, behind).await?;
                }
                if !released.is_empty() {
                    book.release(&released, played, is_append).await?;
                }
                Ok(delivery)
            }
        });
        Box::pin(sifted.try_filter_map(future::ok))
    }

    /// Forgets letters that are void, settled or discarded, and takes those of shadows that are in place for the stream's own.
    async fn tidy(&mut self, standing: &Standing) -> Result<()> {
        let (mut void, mut promoted) = (Vec::new(), Vec::new());
        for letter in self.book.all() {
            let anew = standing.anew.get(&letter.stream).map(|anew| anew.from);
            let stands_at = stands_at(standing, &letter.stream, letter.id.shadow.is_some());
            let is_past = |commit: u64| commit <= stands_at;
            let is_void = match letter.id.shadow {
                // Another shadow has been begun since.
                Some(from) => anew.is_some_and(|anew| anew != from),
                None => letter.voided_by.is_some() && anew.is_none(),
            };
            let is_released = self.mode != WriteMode::Append && letter.released.is_some_and(is_past);
            let is_discarded = letter.discarded && is_past(letter.played);
            if is_void || is_released || is_discarded || standing.settled.contains(&letter.id) {
                void.push(letter.id);
            } else if letter.id.shadow.is_some() && anew.is_none() {
                promoted.push(letter);
            }
        }
        // First those: a letter of the shadow may take the name of one that is void.
        self.book.forget(&void).await?;
        if promoted.is_empty() {
            return Ok(());
        }
        let former = promoted.iter().map(|letter| letter.id).collect::<Vec<_>>();
        let live = |id: LetterId| LetterId { shadow: None, ..id };
        for letter in &mut promoted {
            (letter.id, letter.behind) = (live(letter.id), letter.behind.map(live));
        }
        self.book.replace(promoted).await?;
        self.book.forget(&former).await
    }
}

/// The commit up to which the changes of `stream` have been played, in its table or in its shadow.
pub(super) fn stands_at(standing: &Standing, stream: &StreamName, in_shadow: bool) -> u64 {
    match (standing.anew.get(stream), standing.held.get(stream)) {
        (Some(anew), _) if in_shadow => anew.after,
        (_, Some(hold)) => hold.after.min(standing.position.sequence),
        _ => standing.position.sequence + u64::from(standing.beyond.is_some()),
    }
}

impl Book {
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Pages) -> T) -> T {
        let mut pages = self.pages();
        let changed = change(&mut pages);
        self.progress.has_dead_letters(pages.letters.len());
        changed
    }

    pub(super) fn all(&self) -> Vec<DeadLetter> {
        self.pages().letters.values().cloned().collect()
    }

    pub(super) fn count(&self) -> usize {
        self.pages().letters.len()
    }

    pub(super) fn has(&self, id: LetterId) -> bool {
        self.pages().letters.contains_key(&id)
    }

    /// The commits that changes of `stream` were played with which are in commit `sequence`.
    pub(super) fn played_with(&self, stream: &StreamName, sequence: u64) -> Vec<u64> {
        let pages = self.pages();
        let waited = pages.waited.iter().filter(|(of, played)| of == stream && *played > sequence);
        std::iter::once(sequence).chain(waited.map(|(_, played)| *played)).collect()
    }

    /// Keeps new letters, of `stream`. They are durable when it returns.
    pub(super) async fn keep(&self, stream: &StreamName, letters: Vec<DeadLetter>) -> Result<(), Error> {
        let (mut letters, is_new) = (letters, self.pages().is_new);
        letters.iter_mut().for_each(|letter| letter.at_first = is_new);
        if self.count() + letters.len() > MOST {
            return Err(too_many(stream));
        }
        self.log.keep_letters(&self.destination, &letters).await?;
        self.note(letters);
        Ok(())
    }

    /// Keeps letters as they are now.
    pub(super) async fn replace(&self, letters: Vec<DeadLetter>) -> Result<()> {
        self.log.change_letters(&self.destination, &letters).await?;
        self.note(letters);
        Ok(())
    }

    fn note(&self, letters: Vec<DeadLetter>) {
        self.change(|pages| pages.letters.extend(letters.into_iter().map(|letter| (letter.id, letter))));
    }

    pub(super) async fn forget(&self, ids: &[LetterId]) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        self.log.forget_letters(&self.destination, ids).await?;
        self.change(|pages| ids.iter().for_each(|id| drop(pages.letters.remove(id))));
        Ok(())
    }

    /// Notes that a truncate played with commit `played` releases letters. But for `append` they are void then.
    async fn release(&self, ids: &[LetterId], played: u64, is_append: bool) -> Result<()> {
        let known = |id| self.pages().letters.get(id).cloned();
        let mut letters = ids.iter().filter_map(known).collect::<Vec<_>>();
        letters.retain(|letter| letter.released.is_none());
        letters.iter_mut().for_each(|letter| letter.released = Some(played));
        if !is_append {
            tracing::info!(destination = %self.destination, letters = letters.len(), "a truncate makes dead letters void");
        }
        self.replace(letters).await
    }
}
