//! What people and programs ask to be read now, on its way to whoever reads.

use std::{collections::BTreeSet, sync::Arc};

use tokio::sync::watch;

/// Wishes that the source be looked at now, instead of when it would be next. Cheap to clone; clones share what they know.
///
/// Whoever reads [looks](Self::seen) how many there are before it begins, and begins again when there are
/// [more](Self::more_than): any number of them during one reading are one more reading. A wish with an id is kept somewhere until it is
/// [met](Self::meet), by a reading that began after it and has ended, durably.
#[derive(Debug, Clone, Default)]
pub struct Nudges(Arc<watch::Sender<State>>);

#[derive(Debug, Default)]
struct State {
    /// How many there have been.
    count: u64,
    /// Those with an id that wait.
    waiting: BTreeSet<String>,
    /// Those with an id that are met, and not forgotten yet.
    met: BTreeSet<String>,
}

/// The wishes there were at a moment.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    count: u64,
    waiting: BTreeSet<String>,
}

impl Nudges {
    /// Asks for a reading.
    pub fn nudge(&self) {
        self.0.send_modify(|state| state.count += 1);
    }

    /// The same by request `id`. A request that is known already is not asked again.
    pub fn ask(&self, id: &str) {
        self.0.send_if_modified(|state| {
            let is_new = !state.met.contains(id) && state.waiting.insert(id.to_owned());
            state.count += u64::from(is_new);
            is_new
        });
    }

    /// What has been asked by now.
    pub fn seen(&self) -> Seen {
        let state = self.0.borrow();
        Seen { count: state.count, waiting: state.waiting.clone() }
    }

    /// Returns once there is more than `seen`.
    pub async fn more_than(&self, seen: &Seen) {
        // The sender lives in `self`, so the wait cannot fail.
        let _ = self.0.subscribe().wait_for(|state| state.count > seen.count).await;
    }

    /// Notes that everything in `seen` has been met.
    pub fn meet(&self, seen: &Seen) {
        self.0.send_if_modified(|state| {
            for id in &seen.waiting {
                if state.waiting.remove(id) {
                    state.met.insert(id.clone());
                }
            }
            !seen.waiting.is_empty()
        });
    }

    /// The requests that are met, and not forgotten yet.
    pub fn met(&self) -> Vec<String> {
        self.0.borrow().met.iter().cloned().collect()
    }

    /// Notes that the request `id` is kept nowhere any more.
    pub fn forgotten(&self, id: &str) {
        self.0.send_modify(|state| _ = state.met.remove(id));
    }

    /// Returns once a request is met and not forgotten.
    pub async fn any_met(&self) {
        let _ = self.0.subscribe().wait_for(|state| !state.met.is_empty()).await;
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn several_during_one_reading_are_one_more_reading() {
        let nudges = Nudges::default();
        let nothing = nudges.seen();
        assert!(nudges.more_than(&nothing).now_or_never().is_none());
        nudges.ask("1");
        nudges.more_than(&nothing).await;

        let first = nudges.seen();
        nudges.nudge();
        nudges.ask("2");
        nudges.ask("1");
        nudges.meet(&first);
        assert_eq!(nudges.met(), ["1"], "what was asked meanwhile waits");
        nudges.more_than(&first).await;

        let second = nudges.seen();
        nudges.meet(&second);
        assert_eq!(nudges.met(), ["1", "2"]);
        assert!(nudges.more_than(&second).now_or_never().is_none());
        nudges.ask("2");
        assert!(nudges.more_than(&second).now_or_never().is_none(), "what is met is not asked again");
        for id in ["1", "2"] {
            nudges.forgotten(id);
        }
        assert!(nudges.any_met().now_or_never().is_none());
    }
}
