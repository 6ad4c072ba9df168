//! What people ask to be read anew, on its way to the strategy and back.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio::sync::watch;

use crate::schema::StreamName;

/// What has been asked of a source to read anew while it may be being read. Cheap to clone; clones share what they know.
///
/// Whoever keeps requests [asks](Self::ask); the read loop ends the attempt that is running and begins another; the strategy looks
/// at what is [asked](Self::asked) when it begins, and says what it has [met](Self::meet) once that is durable. Only then is a
/// request to be forgotten: one that is not met stays, for the next attempt or the next process.
#[derive(Debug, Clone, Default)]
pub struct Resyncs(Arc<watch::Sender<State>>);

#[derive(Debug, Default)]
struct State {
    /// Requests that are waiting, by their ids: which streams; none: all.
    waiting: BTreeMap<String, Vec<StreamName>>,
    /// Requests that are met and not forgotten yet.
    met: BTreeSet<String>,
    /// How many there have been.
    count: u64,
}

/// What is asked at a moment, over all requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    requests: BTreeMap<String, Vec<StreamName>>,
}

impl Resyncs {
    /// Asks for `streams` (none: all) by request `id`. A request that is known already is not asked again.
    pub fn ask(&self, id: &str, streams: &[StreamName]) {
        self.0.send_if_modified(|state| {
            let is_new = !state.met.contains(id) && !state.waiting.contains_key(id);
            if is_new {
                state.waiting.insert(id.to_owned(), streams.to_vec());
                state.count += 1;
            }
            is_new
        });
    }

    /// What is asked now.
    pub fn asked(&self) -> Asked {
        Asked { requests: self.0.borrow().waiting.clone() }
    }

    /// Notes that everything in `asked` is being read anew, durably.
    pub fn meet(&self, asked: &Asked) {
        self.0.send_if_modified(|state| {
            for id in asked.requests.keys() {
                if state.waiting.remove(id).is_some() {
                    state.met.insert(id.clone());
                }
            }
            !asked.is_empty()
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
        // The sender lives in `self`, so the wait cannot fail.
        let _ = self.0.subscribe().wait_for(|state| !state.met.is_empty()).await;
    }

    /// Returns once a request is waiting.
    pub async fn any_asked(&self) {
        let _ = self.0.subscribe().wait_for(|state| !state.waiting.is_empty()).await;
    }

    /// How many requests there have been so far.
    pub(super) fn count(&self) -> u64 {
        self.0.borrow().count
    }

    /// Returns once there have been more than `count` requests.
    pub(super) async fn more_than(&self, count: u64) {
        let _ = self.0.subscribe().wait_for(|state| state.count > count).await;
    }
}

impl Asked {
    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Whether all streams are asked for at once.
    pub fn is_all(&self) -> bool {
        self.requests.values().any(Vec::is_empty)
    }

    /// Whether `stream` is to be read anew.
    pub fn takes(&self, stream: &StreamName) -> bool {
        self.is_all() || self.streams().contains(stream)
    }

    /// The streams that are asked for by name.
    pub fn streams(&self) -> BTreeSet<&StreamName> {
        self.requests.values().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_request_waits_until_it_is_met_and_is_then_known_until_it_is_forgotten() {
        let (resyncs, [a, b]) = (Resyncs::default(), ["a", "b"].map(StreamName::new));
        assert!(resyncs.asked().is_empty() && resyncs.more_than(0).now_or_never().is_none());
        resyncs.ask("1", std::slice::from_ref(&a));
        resyncs.more_than(0).await;
        let first = resyncs.asked();
        assert!(first.takes(&a) && !first.takes(&b) && !first.is_all());
        resyncs.ask("2", &[]);
        assert!(resyncs.asked().takes(&b) && resyncs.asked().is_all());

        resyncs.meet(&first);
        assert_eq!(resyncs.met(), ["1"]);
        resyncs.ask("1", &[a]);
        assert_eq!(resyncs.asked().streams().len(), 0, "what is met is not asked again");
        assert!(resyncs.asked().is_all(), "what came later waits");
        resyncs.forgotten("1");
        assert!(resyncs.met().is_empty() && resyncs.any_met().now_or_never().is_none());
        assert_eq!(resyncs.count(), 2);
    }
}
