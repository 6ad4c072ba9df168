//! A bench for read strategies: a log in memory, filled by the real loop.

use std::time::Duration;

use futures::TryStreamExt;

use crate::{
    Result, Stop,
    codec::Format,
    log::{Log, Playing, Selection, Store},
    read::{End, ReadLoop, ReadSettings, ReadStrategy},
    schema::StreamName,
    world::World,
    write::{Delivery, WriteMode},
};

/// A log in memory that strategies read into.
#[derive(Debug)]
pub struct ReadBench {
    log: Log,
    seen: u64,
}

impl ReadBench {
    /// An empty log.
    pub async fn new() -> Self {
        Self::over(Store::memory()).await
    }

    /// An empty log in `store`.
    pub async fn over(store: Store) -> Self {
        let log = Log::open_or_create(store, "bench", World::real()).await;
        Self { log: log.expect("a log opens"), seen: 0 }
    }

    /// Runs `strategy` from the log's cursor until it has caught up, and returns what it added to the log, as it was
    /// staged.
    pub async fn catch_up(&mut self, strategy: &mut dyn ReadStrategy) -> Result<Vec<Delivery>> {
        self.catch_up_asked(strategy, None).await
    }

    /// The same when these streams (none: all) are asked for, if any are; returns once the strategy has met that.
    pub async fn catch_up_asked(
        &mut self,
        strategy: &mut dyn ReadStrategy,
        asked: Option<&[StreamName]>,
    ) -> Result<Vec<Delivery>> {
        let settings = ReadSettings {
            format: Format::Parquet,
            max_delay: Duration::ZERO,
            memory: 16 << 20,
            until_caught_up: true,
        };
        let mut read_loop = ReadLoop::new(self.log.clone(), settings, Stop::new());
        let resyncs = read_loop.resyncs();
        asked.iter().for_each(|streams| resyncs.ask("asked", streams));
        let end = read_loop.run(strategy).await?;
        assert_eq!(end, End::CaughtUp, "a strategy told to catch up ends when it has");
        assert!(resyncs.asked().is_empty(), "what is asked is met");
        self.news().await
    }

    /// What was added to the log since the last look.
    pub async fn news(&mut self) -> Result<Vec<Delivery>> {
        let mut commits = Vec::new();
        for sequence in self.seen + 1..=self.log.head().sequence {
            commits.push(self.log.commit(sequence).await?);
        }
        self.seen = self.log.head().sequence;
        self.log.deliveries(commits, &Selection::default()).try_collect().await
    }

    /// Everything from the beginning, as a destination would get it: changes that meet an initial sync wait for its end.
    pub async fn played(&self) -> Result<Vec<Delivery>> {
        let last = self.log.commit(self.log.head().sequence).await?;
        let commits = self.log.commits(1, last);
        self.log
            .played(commits, &Selection::default(), Playing::new(0, WriteMode::Mirror))
            .try_collect()
            .await
    }

    /// The log.
    pub fn log(&self) -> &Log {
        &self.log
    }
}
