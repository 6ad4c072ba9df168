//! Finding a moment in the log: watermarks and places in the source never go back, so a binary search does it.

use std::{fmt, str::FromStr};

use super::{Commit, Log};
use crate::{Error, Result, Time, arrow_array::Array, read::Phase};

/// A moment of the log, as people name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moment {
    /// Before the first commit: `beginning`.
    Beginning,
    /// Right after commit n: `seq:N`.
    Sequence(u64),
    /// After everything with a watermark up to a time: `2013-01-01T05:00:00Z`, `2013-01-01`.
    Time(Time),
    /// After everything up to a place in the source, as the source writes it: `source:16/B374D848`.
    Source(String),
}

/// A moment without the words of people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'p> {
    /// Right after a commit.
    Sequence(u64),
    /// After everything with a watermark up to this.
    Time(Time),
    /// After every change whose place in the source is at or before this.
    Source(&'p [u8]),
}

/// Where the log is cut in two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// The last commit that is before the cut as a whole.
    pub sequence: u64,
    /// Changes of the next commit that are before it too: those with ordinals below this, whole transactions.
    pub beyond: Option<u64>,
}

impl FromStr for Moment {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let sequence = || text.strip_prefix("seq:")?.parse().ok();
        if text == "beginning" {
            return Ok(Self::Beginning);
        }
        if let Some(place) = text.strip_prefix("source:").filter(|place| !place.is_empty()) {
            return Ok(Self::Source(place.to_owned()));
        }
        sequence().map(Self::Sequence).or_else(|| Time::parse(text).map(Self::Time)).ok_or_else(|| {
            Error::config(format!("`{text}` is no moment of the log")).hint(
                "give `beginning`, a time such as `2013-01-01T05:00:00Z` or `2013-01-01`, a commit such as `seq:42`, or a place in \
                 the source such as `source:16/B374D848`",
            )
        })
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beginning => f.write_str("beginning"),
            Self::Sequence(sequence) => write!(f, "seq:{sequence}"),
            Self::Time(time) => write!(f, "{time}"),
            Self::Source(place) => write!(f, "source:{place}"),
        }
    }
}

impl Log {
    /// The last commit whose every transaction is at or before `place`. Transactions up to it may stand in the next commit,
    /// together with later ones: see [`Log::cut`].
    ///
    /// Fails with [`crate::ErrorKind::Config`] when the log ends before, or what was before it is dropped; with
    /// [`crate::ErrorKind::Conflict`] when it does not reach back to it. Commit 0 is the beginning of whatever is kept.
    pub async fn seek(&self, place: Place<'_>) -> Result<u64> {
        let head = self.head().sequence;
        if let Place::Sequence(sequence) = place {
            if sequence > head {
                return Err(Error::config(format!("the log ends at commit {head}, before {sequence}"))
                    .hint(format!("give a commit up to `seq:{head}`")));
            }
            self.check_kept(sequence).await?;
            return Ok(sequence);
        }
        let oldest = self.oldest().await?;
        // Invariant: commits up to `before` are at or before the place, those after `after` are not.
        let (mut before, mut after) = (oldest - 1, head);
        while before < after {
            let middle = before + (after - before).div_ceil(2);
            if self.commit(middle).await?.is_before(place) {
                before = middle;
            } else {
                after = middle - 1;
            }
        }
        if before < oldest {
            // The moment is before all that is kept.
            self.check_kept(if self.layout().base.is_some() { before } else { 0 }).await?;
        }
        Ok(before)
    }

    /// Where the log is cut at `place`, between two transactions.
    pub async fn cut(&self, place: Place<'_>) -> Result<Cut> {
        let sequence = self.seek(place).await?;
        if matches!(place, Place::Sequence(_)) || sequence == self.head().sequence {
            return Ok(Cut { sequence, beyond: None });
        }
        let next = self.commit(sequence + 1).await?;
        let beyond = match place {
            Place::Time(time) => {
                let transactions = next.transactions()?.into_iter();
                transactions.take_while(|transaction| transaction.watermark <= time).last().map(|it| it.end)
            }
            Place::Source(bytes) => self.end_before(&next, bytes).await?,
            Place::Sequence(_) => None,
        };
        Ok(Cut { sequence, beyond: beyond.filter(|end| *end > 0) })
    }

    /// The ordinal after the last transaction of `commit` that is at or before a place in the source, as all before it are.
    async fn end_before(&self, commit: &std::sync::Arc<Commit>, place: &[u8]) -> Result<Option<u64>> {
        use futures::TryStreamExt;
        let mut first_after = u64::MAX;
        let mut deliveries =
            self.changes_of(std::slice::from_ref(commit), |_, phase| phase == Phase::Changes);
        while let Some(delivery) = deliveries.try_next().await? {
            let (Some(ordinals), Some(positions)) =
                (delivery.changes.ordinals(), delivery.changes.columns().source_positions.as_ref())
            else {
                continue;
            };
            for row in 0..delivery.changes.rows() {
                if positions.is_valid(row) && positions.value(row) > place {
                    first_after = first_after.min(ordinals.value(row));
                }
            }
        }
        let transactions = commit.transactions()?.into_iter();
        Ok(transactions.map(|transaction| transaction.end).take_while(|end| *end <= first_after).last())
    }

    /// The oldest commit that is still kept; the first, in an empty log.
    pub async fn oldest(&self) -> Result<u64> {
        let head = self.head().sequence;
        if let base @ 1.. = self.layout().base_sequence() {
            return Ok(base);
        }
        if head == 0 || self.find(1).await?.is_some() {
            return Ok(1);
        }
        let mut oldest = head;
        for folder in self.store().folders(&super::names::commits()).await? {
            let commits = self.store().objects(&folder).await?;
            oldest = commits.iter().filter_map(super::names::number).min().unwrap_or(head).min(oldest);
        }
        Ok(oldest)
    }

    /// Checks that everything after commit `sequence` is still kept; 0 is the beginning of whatever is.
    ///
    /// Fails with [`crate::ErrorKind::Config`] when retention has dropped it, with [`crate::ErrorKind::Conflict`] when it is gone
    /// for no reason, and says what is kept.
    pub async fn check_kept(&self, sequence: u64) -> Result<()> {
        if let Some(base) = &self.layout().base {
            if sequence == 0 || sequence >= base.last {
                return Ok(());
            }
            let message = format!(
                "what was staged up to commit {} is not kept any more (`retention` under `staging`)",
                base.last
            );
            return Err(Error::config(message).hint(format!(
                "give a moment from {} on (`seq:{}`), or `beginning` for all that is kept",
                base.watermark, base.last
            )));
        }
        let oldest = self.oldest().await?;
        if sequence + 1 >= oldest {
            return Ok(());
        }
        let commit = self.commit(oldest).await?;
        Err(Error::conflict(format!("what was staged before commit {oldest} is missing")).hint(format!(
            "restore it from a backup, or begin with `seq:{}` ({}) or later",
            oldest - 1,
            commit.time()
        )))
    }
}

impl Commit {
    /// Whether all of it is at or before `place`.
    fn is_before(&self, place: Place<'_>) -> bool {
        match place {
            Place::Sequence(sequence) => self.sequence() <= sequence,
            Place::Time(time) => self.watermark() <= time,
            Place::Source(place) => self.header().source_position.as_deref().is_none_or(|last| last <= place),
        }
    }
}
