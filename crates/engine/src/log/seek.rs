//! Finding the commit of a moment: watermarks never go back, so a binary search does it.

use std::{fmt, str::FromStr};

use super::Log;
use crate::{Error, Result, Time};

/// A moment of the log, as people name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Before the first commit: `beginning`.
    Beginning,
    /// Right after commit n: `seq:N`.
    Sequence(u64),
    /// After everything with a watermark up to a time: `2013-01-01T05:00:00Z`, `2013-01-01`.
    Time(Time),
}

impl FromStr for Moment {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let sequence = || text.strip_prefix("seq:")?.parse().ok();
        if text == "beginning" {
            return Ok(Self::Beginning);
        }
        sequence().map(Self::Sequence).or_else(|| Time::parse(text).map(Self::Time)).ok_or_else(|| {
            Error::config(format!("`{text}` is no moment of the log")).hint(
                "give `beginning`, a time such as `2013-01-01T05:00:00Z` or `2013-01-01`, or a commit such as `seq:42`",
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
        }
    }
}

impl Log {
    /// The last commit whose every transaction is at or before `moment`. Transactions up to the moment may stand in the
    /// next commit, together with later ones.
    pub async fn seek(&self, moment: Moment) -> Result<u64> {
        let head = self.head().sequence;
        match moment {
            Moment::Beginning => Ok(0),
            Moment::Sequence(sequence) if sequence <= head => Ok(sequence),
            Moment::Sequence(sequence) => {
                Err(Error::config(format!("the log ends at commit {head}, before {sequence}"))
                    .hint(format!("give a commit up to `seq:{head}`")))
            }
            Moment::Time(time) => {
                // Invariant: commits up to `before` have watermarks <= time, those after `after` have later ones.
                let (mut before, mut after) = (0, head);
                while before < after {
                    let middle = before + (after - before).div_ceil(2);
                    if self.commit(middle).await?.watermark() <= time {
                        before = middle;
                    } else {
                        after = middle - 1;
                    }
                }
                Ok(before)
            }
        }
    }
}
