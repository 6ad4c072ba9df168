//! Retention: what a log keeps of its past. What is older or more than that is dropped, whole volumes from the beginning on, and a
//! base stands for it from then on ([`base`](super::base)). A log without a policy keeps everything.
//!
//! A base costs as much to write as there are records, so commits are dropped in portions that are worth it: at least a quarter of
//! what the base takes, or what is half as old again as it may be.
//!
//! | Question | Module |
//! |---|---|
//! | Who still needs what? | `needs` |
//! | Up to where is it dropped? | `choice` |
//! | How does that come to be? | `dropping` |

mod choice;
mod dropping;
mod needs;

use std::time::Duration;

use super::{Log, layout::Layout};
use crate::{Result, Time};
use choice::Choice;
pub use needs::Need;

/// What a log keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retention {
    /// Commits that were recorded longer ago may go. `None`: none goes for its age.
    pub age: Option<Duration>,
    /// When folded commits take more bytes than this, beside the base, the oldest may go. `None`: none goes for that.
    pub size: Option<u64>,
    /// Whether what somebody still needs goes all the same: it is they who stop then.
    pub expires_slow: bool,
    /// The destinations that are written to while the pipeline runs. One that has never said where it stands needs everything.
    pub live: Vec<String>,
    /// Other destinations. They need what they have dead letters of.
    pub others: Vec<String>,
}

/// What is kept of a log, and what would not be if nobody needed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The commit that stands for everything before it, which is not kept, and its watermark; `None` when all is kept.
    pub base: Option<(u64, Time)>,
    /// Bytes that the base takes.
    pub base_bytes: u64,
    /// Bytes that folded commits after it take.
    pub bytes: u64,
    /// Bytes of them that are to go, but for those who need them.
    pub held_back: u64,
    /// Who needs them, those who need most of them first. With a policy that waits for nobody, those who will stop.
    pub by: Vec<Need>,
}

impl Retention {
    /// Whether everything is kept.
    pub fn is_everything(&self) -> bool {
        self.age.is_none() && self.size.is_none()
    }
}

impl Log {
    /// What is kept of it under `policy`, as of the newest layout.
    pub async fn kept(&self, policy: &Retention) -> Result<Kept> {
        self.refresh_layout().await?;
        let layout = self.layout();
        let (needs, now) = (self.needs(policy).await?, self.world().now());
        let wanted = Choice::wanted(&layout, policy, now);
        let least = needs.iter().map(|need| need.after).min().unwrap_or(u64::MAX);
        let may_go = wanted.and_then(|wanted| wanted.within(&layout, least));
        let bytes = |choice: Option<Choice>| choice.map_or(0, |choice| choice.bytes);
        let mut by = needs;
        by.retain(|need| wanted.is_some_and(|wanted| need.after < wanted.upper));
        by.sort_by(|a, b| (a.after, &a.who).cmp(&(b.after, &b.who)));
        Ok(Kept {
            base: layout.base.as_ref().map(|base| (base.last, base.watermark)),
            base_bytes: base_bytes(&layout),
            bytes: layout.volumes.iter().map(|volume| volume.bytes).sum(),
            held_back: bytes(wanted) - bytes(may_go),
            by,
        })
    }
}

fn base_bytes(layout: &Layout) -> u64 {
    layout.base.as_ref().map_or(0, |base| base.bytes)
}
