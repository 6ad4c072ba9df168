//! What a destination is given at once: whole commits of the log.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use futures::{Stream, StreamExt, TryStreamExt, future, stream::BoxStream};

use super::Standing;
use crate::{
    Error, ErrorKind, Result, Time,
    arrow_array::{Array, BooleanArray},
    change::{ChangeBatch, Refused, Reshape},
    log::{Commit, Transaction},
    read::Phase,
};

/// A run of whole commits, to be applied atomically. Its changes are read and verified as they are asked for, so its size
/// does not bound memory.
pub struct Unit {
    begin: Standing,
    end: Standing,
    into_shadows: bool,
    is_retry: bool,
    is_suspect: bool,
    deliveries: BoxStream<'static, Result<Delivery>>,
}

/// Some changes of one stream out of one commit.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The commit that holds them. With the log's id and a change's ordinal it makes the change's identity,
    /// [`crate::ChangeId`].
    pub sequence: u64,
    /// The commit that they are played with: the one that holds them or, for changes that waited for their stream's initial
    /// sync, the one that completed it.
    pub played: u64,
    /// Whether they belong to the initial sync. A truncate that does is the beginning of a new one: what came before of the
    /// stream is void, whatever [`OnTruncate`](super::OnTruncate) says.
    pub phase: Phase,
    /// When they count as made.
    pub watermarks: Watermarks,
    /// The changes, numbered by their ordinals in the commit.
    pub changes: ChangeBatch,
}

/// When changes of a commit count as made: at the watermark of their transaction, which never goes back from one to the next and is
/// the same in every replay. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Watermarks(Arc<[Transaction]>);

impl Watermarks {
    /// Those of the changes of `commit` with ordinals from `first` up to `last`. The commit itself is not kept.
    pub(crate) fn of(commit: &Commit, first: u64, last: u64) -> Result<Self> {
        commit.transactions_of(first, last).map(|transactions| Self(transactions.into()))
    }

    /// One for all changes.
    pub fn all(watermark: Time) -> Self {
        Self([Transaction { end: u64::MAX, watermark }].into())
    }

    /// That of the change with this ordinal.
    pub fn at(&self, ordinal: u64) -> Result<Time> {
        let at = self.0.partition_point(|transaction| transaction.end <= ordinal);
        let unknown =
            || Error::internal(format!("nobody knows when the change with ordinal {ordinal} was made"));
        self.0.get(at).map(|transaction| transaction.watermark).ok_or_else(unknown)
    }
}

impl Delivery {
    /// Its changes with ordinals below `end`; `None` when there are none.
    pub(crate) fn up_to(self, end: u64) -> Result<Option<Self>> {
        let ordinals = self.changes.ordinals();
        let is_before: BooleanArray =
            ordinals.iter().flat_map(|it| it.values()).map(|it| Some(*it < end)).collect();
        let changes = self.changes.filter(&is_before)?;
        Ok((changes.rows() > 0).then_some(Self { changes, ..self }))
    }

    /// What `reshape` makes of it; `None` when it leaves no change. An error of one change says so.
    pub(super) fn reshaped(self, reshape: &dyn Reshape) -> Result<Option<Self>> {
        let (sequence, ordinals) = (self.sequence, self.changes.ordinals().cloned());
        let stream = self.changes.schema().stream().clone();
        let refused = |Refused { row, error }: Refused| match (row, ordinals) {
            (Some(row), Some(ordinals)) if error.kind() == ErrorKind::Data && row < ordinals.len() => {
                (*error).of_change(&stream, sequence, ordinals.value(row))
            }
            _ => *error,
        };
        let changes = reshape.changes(self.changes).map_err(refused)?;
        Ok((changes.rows() > 0).then_some(Self { changes, ..self }))
    }

    /// When the change in `row` counts as made: valid from then on in a history, deleted then.
    pub fn watermark(&self, row: usize) -> Result<Time> {
        let ordinals = self.changes.ordinals().filter(|ordinals| row < ordinals.len());
        let ordinals = ordinals
            .ok_or_else(|| Error::internal("a batch reached a destination before it was numbered"))?;
        self.watermarks.at(ordinals.value(row))
    }

    /// The row of the change with this ordinal.
    pub(crate) fn row_of(&self, ordinal: u64) -> Option<usize> {
        self.changes.ordinals()?.values().iter().position(|found| *found == ordinal)
    }
}

impl Unit {
    /// A unit that leads from `begin` to `end` by `deliveries`.
    pub fn new(
        begin: impl Into<Standing>,
        end: impl Into<Standing>,
        deliveries: impl Stream<Item = Result<Delivery>> + Send + 'static,
    ) -> Self {
        Self {
            begin: begin.into(),
            end: end.into(),
            into_shadows: false,
            is_retry: false,
            is_suspect: false,
            deliveries: deliveries.boxed(),
        }
    }

    /// The same unit, its changes meant for the shadows of their streams, see [`Anew`](super::Anew).
    #[must_use]
    pub fn into_shadows(self) -> Self {
        Self { into_shadows: true, ..self }
    }

    /// Whether its changes are meant for the shadows of their streams.
    pub fn is_into_shadows(&self) -> bool {
        self.into_shadows
    }

    /// The same unit, its changes dead letters that are tried again.
    #[must_use]
    pub fn as_retry(self) -> Self {
        Self { is_retry: true, ..self }
    }

    /// Whether its changes are dead letters that are tried again: they come from commits that the destination has seen, and it
    /// never had them. What is known to have been applied up to some commit says nothing of them.
    pub fn is_retry(&self) -> bool {
        self.is_retry
    }

    /// The same unit, to be looked through for the change that it fails over.
    #[must_use]
    pub fn as_suspect(self) -> Self {
        Self { is_suspect: true, ..self }
    }

    /// Whether it has failed before over changes of one stream, and comes again so that the one change can be found:
    /// a strategy that does not know it anyway shall look for it now, and say so by [`Error::of_change`].
    pub fn is_suspect(&self) -> bool {
        self.is_suspect
    }

    /// The same unit with what `map` makes of its deliveries.
    #[must_use]
    pub(super) fn mapped(self, map: impl Fn(Delivery) -> Result<Option<Delivery>> + Send + 'static) -> Self {
        let deliveries = self.deliveries.try_filter_map(move |delivery| future::ready(map(delivery)));
        Self { deliveries: deliveries.boxed(), ..self }
    }

    /// The same unit, counting into `rows` what is asked for of it.
    #[must_use]
    pub(super) fn counted(self, rows: Arc<AtomicU64>) -> Self {
        let deliveries = self.deliveries.inspect_ok(move |delivery| {
            rows.fetch_add(delivery.changes.rows() as u64, Ordering::Relaxed);
        });
        Self { deliveries: deliveries.boxed(), ..self }
    }

    /// Where the destination must stand before.
    pub fn begin(&self) -> &Standing {
        &self.begin
    }

    /// Where it stands after.
    pub fn end(&self) -> &Standing {
        &self.end
    }

    /// The next changes; `None` after the last.
    ///
    /// Changes of one stream come in source order: the records of an initial sync, the changes that waited for it, those that
    /// came later. Of different streams inside one commit any may come first; their
    /// ordinals give the order between them.
    pub async fn next(&mut self) -> Result<Option<Delivery>> {
        self.deliveries.next().await.transpose()
    }
}

impl fmt::Debug for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unit").field("begin", &self.begin).field("end", &self.end).finish_non_exhaustive()
    }
}
