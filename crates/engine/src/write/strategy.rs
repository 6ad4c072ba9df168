//! What knows a destination: its bulk path, its transactions, its types and limits.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{Standing, Unit};
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
