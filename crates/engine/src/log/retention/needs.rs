//! Who still needs commits, and which.
//!
//! A destination tells by its marks where it stands. They lag behind what is true, never ahead of it, so what they need is kept.

use std::fmt;

use object_store::path::Path;

use super::Retention;
use crate::{
    Result, Time,
    log::{LetterId, Log, Mark, MarkState, names},
};

/// A replay that has not said anything for so long is over, microseconds.
const DEAD: u64 = 86_400_000_000;

/// Somebody needs what came after a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// Whose need it is: the name of a destination.
    pub who: String,
    /// The commit after which they need everything.
    pub after: u64,
    /// What for.
    pub why: Why,
}

/// What somebody needs commits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// It stands there.
    StandsThere,
    /// It has never said where it stands.
    HasNotBegun,
    /// It holds a stream there, or fills one anew from there.
    Stream(String),
    /// It has a dead letter of the commit after that.
    DeadLetter,
    /// A replay is under way.
    Replay,
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { who, after, why } = self;
        match why {
            Why::StandsThere => write!(f, "`{who}` stands at commit {after}"),
            Why::HasNotBegun => write!(f, "`{who}` has not begun"),
            Why::Stream(stream) => write!(f, "`{who}` waits with stream `{stream}` after commit {after}"),
            Why::DeadLetter => write!(f, "`{who}` has dead letters from commit {} on", after + 1),
            Why::Replay => write!(f, "a replay into `{who}` is at commit {after}"),
        }
    }
}

impl Need {
    /// Whether it is of one who cannot be told to do without: whoever replays has asked for it just now.
    pub(super) fn is_of_a_replay(&self) -> bool {
        self.why == Why::Replay
    }
}

impl Log {
    /// What each destination needs, in as far as it needs any of what is kept.
    pub(super) async fn needs(&self, policy: &Retention) -> Result<Vec<Need>> {
        let mut needs = Vec::new();
        let mut folders = self.store().folders(&names::all_positions()).await?;
        for who in &policy.live {
            let folder = names::positions(who);
            folders.retain(|other| *other != folder);
            let mark = self.newest_mark(&folder).await?.filter(|mark| &mark.position.log == self.id());
            needs.push(match mark {
                Some(mark) => of_mark(who, &mark),
                None => Need { who: who.clone(), after: 0, why: Why::HasNotBegun },
            });
        }
        let now = self.world().now();
        for folder in folders {
            let Some(mark) = self.newest_mark(&folder).await? else { continue };
            if is_under_way(&mark, now) {
                let who = folder.filename().unwrap_or_default();
                let who = who.strip_suffix(".replay").unwrap_or(who);
                needs.push(Need { why: Why::Replay, ..of_mark(who, &mark) });
            }
        }
        for who in policy.live.iter().chain(&policy.others) {
            let letters = self.store().objects(&names::dead_letters(who)).await?;
            if let Some(first) = letters.iter().filter_map(sequence_of).min() {
                needs.push(Need { who: who.clone(), after: first.saturating_sub(1), why: Why::DeadLetter });
            }
        }
        Ok(needs)
    }
}

/// What the destination `who` needs that left `mark`.
fn of_mark(who: &str, mark: &Mark) -> Need {
    let held = mark.held.iter().map(|(stream, hold)| (hold.after, stream));
    // A shadow that is lost is filled from where it began.
    let anew = mark.anew.iter().map(|(stream, anew)| (anew.from.min(anew.after), stream));
    let least = held.chain(anew).min();
    let (after, why) = match least.filter(|(after, _)| *after < mark.position.sequence) {
        Some((after, stream)) => (after, Why::Stream(stream.to_string())),
        None => (mark.position.sequence, Why::StandsThere),
    };
    Need { who: who.to_owned(), after, why }
}

fn is_under_way(mark: &Mark, now: Time) -> bool {
    let is_running = matches!(mark.state, MarkState::Running | MarkState::Retrying { .. });
    is_running && now.micros_since(mark.time) < DEAD
}

/// The commit of a dead letter, by its name.
fn sequence_of(path: &Path) -> Option<u64> {
    let id: LetterId = path.filename()?.strip_suffix(".json")?.parse().ok()?;
    Some(id.sequence)
}
