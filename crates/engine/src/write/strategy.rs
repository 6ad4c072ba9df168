//! What knows a destination: its bulk path, its transactions, its types and limits.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{Standing, Takeover, Unit};
use crate::{LogId, Result};

/// Writes to one destination.
///
/// ```text
/// let mut standing = strategy.open(&log).await?;         // again after every failure: the outcome may be unknown
/// loop {
///     let mut unit = everything_after(standing).await;   // whole commits, as many as the appetite takes
///     strategy.apply(&mut unit).await?;                  // all of it and the standing, or nothing
///     standing = unit.end();
/// }
/// ```
///
/// Duties of a strategy:
/// - The standing, position and held streams, moves in the same atomic step as the data, and only if the destination
///   still has the position of [`Unit::begin`] under the epoch this strategy took in `open`; otherwise it fails with
///   [`crate::ErrorKind::Conflict`] and changes nothing.
/// - Applying the same changes again, after an unknown outcome or in a replay, converges: nothing twice.
/// - A reader of the destination sees whole units or nothing of them.
/// - What cannot be written losslessly fails with [`crate::ErrorKind::Data`], naming stream and column.
/// - An error that concerns one stream alone says so by [`crate::Error::of_stream`]: the loop then holds that stream and goes
///   on with the rest.
/// - An error of kind [`Data`](crate::ErrorKind::Data) that concerns one change alone says so by [`crate::Error::of_change`]. Where
///   that takes a search, it is made in units that are [suspect](Unit::is_suspect) and in no others.
/// - In a unit that [tries dead letters again](Unit::is_retry) no change is skipped or met with leniency for its commit's having
///   been applied: the destination never had it. Only what is kept by the change's own identity ([`crate::ChangeId`]) tells
///   whether it is there.
/// - A stream that [`Unit::end`] fills anew ([`Standing::anew`]) and [`Unit::begin`] does not, or from another commit, gets an empty
///   shadow. Changes of a unit [into shadows](Unit::is_into_shadows) go there. A stream that `begin` fills anew and `end` does
///   not has its shadow take the place of what it had, in the same atomic step, as its write mode asks for.
/// - Calls come one at a time. A strategy may be dropped at any await.
#[async_trait]
pub trait WriteStrategy: Send {
    /// How much it likes to be given at once.
    fn appetite(&self) -> Appetite {
        Appetite::default()
    }

    /// Takes the destination for this process and tells where it stands in `log`; `None` when nothing of the log has been applied.
    ///
    /// Raises the epoch, so that a predecessor still running fails at its next `apply`; completes or undoes what a
    /// crash left half done. A destination that stands in *another* log returns that position; the loop refuses it.
    async fn open(&mut self, log: &LogId) -> Result<Option<Standing>>;

    /// Applies every change of `unit` and moves the standing to [`Unit::end`], atomically. A unit may hold no change at all:
    /// then only the standing moves. It may also play up a stream that was held: then its changes come from commits before
    /// [`Unit::begin`], and the position stays.
    ///
    /// After any error the loop calls `open` before it tries again.
    async fn apply(&mut self, unit: &mut Unit) -> Result<()>;

    /// Has this destination, which was filled out of sight to take the place of another (its tables are shadows of the other's),
    /// take that place, atomically: what its tables hold is then what the other's hold, and it is forgotten itself. The other
    /// may be in use by another process, which goes on from where it then stands: [`Standing::taken_over`] says where.
    ///
    /// Fails with [`crate::ErrorKind::Config`] where a destination cannot do that.
    async fn take_place(&mut self, _takeover: &Takeover) -> Result<()> {
        Err(crate::Error::config("a destination of this kind cannot be filled anew in its place")
            .hint("replay into a destination of its own, with `live: false`"))
    }

    /// Forgets this destination, which was filled out of sight: its tables and its position.
    async fn abandon(&mut self) -> Result<()> {
        Err(crate::Error::internal("a destination of this kind is never filled out of sight"))
    }

    /// Ends the session in good order. Whatever was applied is safe without it.
    async fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// How a destination treats changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WriteMode {
    /// Every change becomes a row.
    Append,
    /// The destination looks like the source: upserts and hard deletes, by key.
    Mirror,
    /// Like `mirror`, but a deleted record stays, with the time it was deleted at.
    SoftDelete,
    /// Every version of every record, with the time it was valid from and to (a slowly changing dimension of type 2).
    History,
    /// The destination looks like the source did when it was last read whole; what changes between two such readings does
    /// not show. A new reading takes the place of the former one in one step.
    Replace,
}

impl WriteMode {
    /// Whether it takes whole generations and nothing between them.
    pub fn takes_generations_only(self) -> bool {
        self == Self::Replace
    }

    /// Whether it keeps records and versions that are no more.
    pub fn keeps_what_was(self) -> bool {
        matches!(self, Self::SoftDelete | Self::History)
    }

    /// Whether records are told apart by their key.
    pub fn needs_key(self) -> bool {
        matches!(self, Self::Mirror | Self::SoftDelete | Self::History)
    }

    /// As it is written in a pipeline file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Mirror => "mirror",
            Self::SoftDelete => "soft-delete",
            Self::History => "history",
            Self::Replace => "replace",
        }
    }
}

/// What a truncated stream at the source means at a destination.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnTruncate {
    /// It is a change like any other: a mirror is emptied.
    #[default]
    Apply,
    /// The records stay.
    Ignore,
    /// The stream is held until a person decides.
    Stop,
}

/// What becomes of a change that a destination cannot take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnError {
    /// Its stream is held until a person has seen to it.
    #[default]
    Stop,
    /// It becomes a dead letter, and so does what comes later of its key; the rest of the stream goes on.
    DeadLetter,
}

/// What a change of a stream's schema means at a destination.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SchemaPolicy {
    /// The destination follows it: columns are added and widened, never dropped or narrowed.
    #[default]
    Evolve,
    /// New columns are left out. A column that holds something else holds the stream, for its values may not fit.
    Ignore,
    /// The stream is held until a person decides.
    Fail,
}

/// How much a destination likes to be given in one [`Unit`]. The loop ends a unit at the commit that reaches either
/// limit; a single commit may be larger than both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appetite {
    /// Changes.
    pub rows: u64,
    /// Staged bytes.
    pub bytes: u64,
    /// How long the loop may wait for a unit to fill when the log has no more, counted from its first commit. Zero:
    /// take what is there.
    pub linger: Duration,
}

impl Default for Appetite {
    fn default() -> Self {
        Self { rows: 100_000, bytes: 16 << 20, linger: Duration::ZERO }
    }
}
