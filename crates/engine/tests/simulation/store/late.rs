//! Calls of a store that have failed for whoever made them, and are on their way all the same: in a queue of the network or the
//! service, they take effect when nobody thinks of them any more.

use std::sync::{Arc, Mutex, MutexGuard};

use object_store::{
    ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, memory::InMemory, path::Path,
};

/// Calls that are on their way.
#[derive(Debug, Clone, Default)]
pub(crate) struct OnTheirWay(Arc<Mutex<Calls>>);

#[derive(Debug, Default)]
struct Calls {
    /// How many calls have been made.
    made: u64,
    /// Each with the number of the call before which it takes effect.
    late: Vec<(u64, Sent)>,
    landed: u64,
}

/// What was asked of the store.
#[derive(Debug)]
pub(crate) enum Sent {
    PutIfAbsent(Path, PutPayload),
    Remove(Path),
}

impl OnTheirWay {
    /// `sent` takes effect after so many other calls.
    pub(crate) fn send(&self, sent: Sent, after: u64) {
        let mut calls = self.calls();
        let due = calls.made + after;
        calls.late.push((due, sent));
    }

    /// A call is made: first those take effect whose time has come.
    pub(crate) async fn arrive(&self, objects: &InMemory) {
        let due = {
            let mut calls = self.calls();
            calls.made += 1;
            let made = calls.made;
            calls.late.extract_if(.., |(due, _)| *due <= made).map(|(_, sent)| sent).collect::<Vec<_>>()
        };
        for sent in due {
            self.land(objects, sent).await;
        }
    }

    /// All of them take effect now.
    pub(crate) async fn arrive_all(&self, objects: &InMemory) {
        let all = std::mem::take(&mut self.calls().late);
        for (_, sent) in all {
            self.land(objects, sent).await;
        }
    }

    /// How many have changed something.
    pub(crate) fn landed(&self) -> u64 {
        self.calls().landed
    }

    async fn land(&self, objects: &InMemory, sent: Sent) {
        let create = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let changed = match sent {
            Sent::PutIfAbsent(path, payload) => objects.put_opts(&path, payload, create).await.is_ok(),
            Sent::Remove(path) => objects.head(&path).await.is_ok() && objects.delete(&path).await.is_ok(),
        };
        self.calls().landed += u64::from(changed);
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.0.lock().expect("nobody panics while calling")
    }
}
