//! Everything that outlives a process, and what must hold of it in the end.

use tidemark_engine::{
    codec::Format,
    log::{Log, MasterKey, MasterKeys, Store},
};
use tokio::runtime::{Builder, Runtime};

use crate::{
    destination::{self, Appended, Mirrored},
    fate::Fate,
    model::Model,
    patiently, source, store, world,
};

/// Everything that outlives a process.
pub(crate) struct Universe {
    pub(crate) model: Model,
    pub(crate) store: store::Durable,
    /// Whether the store is encrypted. Then each process has another key than the one before.
    encrypted: bool,
    /// Of folded changes.
    pub(crate) format: Format,
    pub(crate) source: source::Durable,
    pub(crate) appended: destination::Durable<Appended>,
    pub(crate) mirrored: destination::Durable<Mirrored>,
    pub(crate) keeping: Keeping,
    /// Whether there is a destination that takes every change: one that begins late cannot have those that were dropped.
    pub(crate) appends: bool,
    /// Whether other processes may be at work beside one, or calls of former ones on their way.
    pub(crate) has_rivals: bool,
    /// Whether things take hours, so that what nobody needs is removed while somebody still reads.
    pub(crate) takes_its_time: bool,
}

/// What the log keeps of what is folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeping {
    Everything,
    /// What somebody needs.
    WhatIsNeeded,
    /// Nothing: nobody is waited for.
    Nothing,
}

impl Universe {
    pub(crate) fn new(seed: u64) -> Self {
        let model = Model::new(seed);
        Self {
            source: source::Durable::new(&model),
            model,
            store: store::Durable::default(),
            encrypted: seed.is_multiple_of(2),
            format: if seed % 8 == 5 { Format::Parquet } else { Format::Arrow },
            appended: destination::Durable::default(),
            mirrored: destination::Durable::default(),
            keeping: Keeping::Everything,
            appends: true,
            has_rivals: false,
            takes_its_time: false,
        }
    }

    /// The same, but that the log drops what nobody needs.
    pub(crate) fn dropping(seed: u64) -> Self {
        Self { keeping: Keeping::WhatIsNeeded, ..Self::new(seed) }
    }

    /// The same, but that nobody is waited for.
    pub(crate) fn expiring(seed: u64) -> Self {
        Self { keeping: Keeping::Nothing, appends: false, ..Self::new(seed) }
    }

    /// Encrypted and dropping what is old, each apart and both together.
    pub(crate) fn of_any_kind(seed: u64) -> Self {
        if seed % 4 < 2 { Self::new(seed) } else { Self::dropping(seed) }
    }

    /// The same on a disk that loses what is not synced when the power goes.
    pub(crate) fn on_disk(self) -> Self {
        Self { store: store::Durable::on_disk(), ..self }
    }

    /// The same with a source that several processes read at once.
    pub(crate) fn shared(self) -> Self {
        Self { source: self.source.shared(), has_rivals: true, ..self }
    }

    /// The same with calls of processes that are on their way when these are dead.
    pub(crate) fn late(self) -> Self {
        Self { has_rivals: true, ..self }
    }

    /// The same, in which things take hours.
    pub(crate) fn slow(self) -> Self {
        Self { takes_its_time: true, ..self }
    }

    /// The same source, store and policy, with destinations that have nothing yet.
    pub(crate) fn with_new_destinations(&self) -> Self {
        Self {
            model: self.model.clone(),
            store: self.store.clone(),
            encrypted: self.encrypted,
            format: self.format,
            source: self.source.clone(),
            appended: destination::Durable::default(),
            mirrored: destination::Durable::default(),
            keeping: match self.keeping {
                Keeping::Everything => Keeping::Everything,
                _ => Keeping::WhatIsNeeded,
            },
            appends: self.begins_after().is_none(),
            has_rivals: false,
            takes_its_time: false,
        }
    }

    /// The store as a process sees it.
    pub(crate) fn store(&self, seed: u64, fate: &Fate) -> Store {
        let store = self.store.connect(fate);
        if !self.encrypted {
            return store;
        }
        let key = |number| MasterKey::parse(&format!("{:064x}", number % 3)).expect("these are keys");
        let keys = MasterKeys::new(key(seed), vec![key(seed + 1), key(seed + 2)]);
        store.encrypted(keys.expect("they differ"), world::simulated(seed))
    }

    /// Does `work` with the log, while nothing befalls anybody.
    pub(crate) fn with_log<T>(&self, work: impl AsyncFn(&Log) -> T) -> T {
        in_simulated_time(async {
            let store = self.store(1, &Fate::kind());
            let open = || Log::open_or_create(store.clone(), "simulation", world::simulated(1));
            work(&patiently(open).await.expect("the log opens")).await
        })
    }

    /// The commit that stands for all before it, where the log does not reach back to its beginning any more.
    pub(crate) fn begins_after(&self) -> Option<u64> {
        self.with_log(async |log| log.begins_after())
    }
}

/// Runs `work` to its end. When all of it waits, time goes on at once.
pub(crate) fn in_simulated_time<T>(work: impl Future<Output = T>) -> T {
    runtime().block_on(Box::pin(work))
}

fn runtime() -> Runtime {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime starts")
}
