//! What the log itself costs, without a disk: commits of 100 rows of twelve typed columns, written to a store in memory and read
//! back, changes and all.
#![expect(clippy::unwrap_used, reason = "a benchmark has nobody to hand an error to")]

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use futures::TryStreamExt;
use tidemark_engine::{
    Cursor, PartId, Result, Stop,
    change::ChangeBatch,
    codec::Format,
    contract::samples,
    log::{Log, Playing, Selection, Store},
    read::{End, Outlet, Phase, ReadContext, ReadLoop, ReadSettings, ReadStrategy},
    world::World,
    write::WriteMode,
};
use tokio::runtime::Runtime;

const COMMITS: usize = 50;
const ROWS: usize = 100;

/// A source that waits for each of its commits.
struct Source(ChangeBatch);

#[async_trait]
impl ReadStrategy for Source {
    async fn run(&mut self, _: Cursor, out: Outlet, _: ReadContext) -> Result<End> {
        let mut lane = out.lane(PartId::new("orders"), Phase::Changes);
        for number in 0..COMMITS {
            lane.batch(self.0.clone()).await?;
            lane.boundary(Bytes::from(number.to_string()), None).await?.durable().await?;
        }
        Ok(End::CaughtUp)
    }
}

async fn write(changes: ChangeBatch) -> Log {
    let log = Log::open_or_create(Store::memory(), "measured", World::real()).await.unwrap();
    let settings = ReadSettings {
        format: Format::Parquet,
        max_delay: Duration::ZERO,
        memory: 32 << 20,
        until_caught_up: true,
    };
    ReadLoop::new(log.clone(), settings, Stop::new()).run(&mut Source(changes)).await.unwrap();
    log
}

/// As a process reads it that has not written it.
async fn read(store: Store) -> usize {
    let log = Log::open(store, World::real()).await.unwrap().unwrap();
    let last = log.commit(log.head().sequence).await.unwrap();
    let played = log.played(log.commits(1, last), &Selection::default(), Playing::new(0, WriteMode::Append));
    played.try_fold(0, async |rows, delivery| Ok(rows + delivery.changes.rows())).await.unwrap()
}

fn log(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let changes = samples::orders(ROWS);
    let mut group = criterion.benchmark_group("log");
    group.throughput(Throughput::Elements(COMMITS as u64));
    group.bench_function("write", |bencher| {
        bencher.iter_batched(
            || changes.clone(),
            |changes| runtime.block_on(write(changes)),
            BatchSize::PerIteration,
        );
    });
    let store = runtime.block_on(write(changes)).store().clone();
    assert_eq!(runtime.block_on(read(store.clone())), COMMITS * ROWS);
    group.bench_function("read", |bencher| bencher.iter(|| runtime.block_on(read(store.clone()))));
}

criterion_group!(benches, log);
criterion_main!(benches);
