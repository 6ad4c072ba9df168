//! What it costs to compare records of a source without a log with those that are known: 100,000 by default, or as many as
//! `TIDEMARK_KEYS` says, of which one in a hundred changes, within 64 MiB.
#![expect(clippy::unwrap_used, reason = "a benchmark has nobody to hand an error to")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tidemark_connectors::polling::known::measured::Compared;
use tidemark_engine::{contract::states::states, log::Store};

const PAGE: u64 = 5_000;
const MEMORY: usize = 64 << 20;

fn known(criterion: &mut Criterion) {
    let keys = std::env::var("TIDEMARK_KEYS").map_or(100_000, |keys| keys.parse::<u64>().unwrap());
    let pages = || (0..keys).step_by(PAGE as usize).map(|begin| begin..keys.min(begin + PAGE));
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let new = || async {
        let store = match std::env::var("TIDEMARK_STORE").as_deref() {
            Ok("memory") => Store::memory(),
            _ => Store::local(folder.path()).unwrap(),
        };
        Compared::new(states(&store).await, MEMORY).await.unwrap()
    };

    let mut group = criterion.benchmark_group("known");
    group.throughput(Throughput::Elements(keys)).sample_size(10);
    group.bench_function("sweep/first", |bencher| {
        bencher.iter(|| runtime.block_on(async { new().await.sweep(pages(), |_| 0).await.unwrap() }));
    });

    let mut known = runtime.block_on(new());
    runtime.block_on(known.sweep(pages(), |_| 0)).unwrap();
    assert_eq!(known.records(), keys);
    group.bench_function("sweep/same", |bencher| {
        bencher.iter(|| assert_eq!(runtime.block_on(known.sweep(pages(), |_| 0)).unwrap(), (0, 0)));
    });
    let mut sweeps = 0;
    group.bench_function("sweep/changing", |bencher| {
        bencher.iter(|| {
            sweeps += 1;
            let content = |number: u64| if number % 100 == sweeps % 100 { sweeps } else { 0 };
            runtime.block_on(known.sweep(pages(), content)).unwrap()
        });
    });
    // Keys in no order, as many at once as are worth it.
    let at_once = keys.div_ceil(10);
    let scattered = || {
        let pages = (0..keys).step_by(at_once as usize).map(move |begin| begin..keys.min(begin + at_once));
        pages.map(move |page| page.map(move |at| at * 7_919 % keys))
    };
    group.bench_function("sweep/scattered", |bencher| {
        bencher.iter(|| runtime.block_on(known.sweep(scattered(), |_| 0)).unwrap());
    });
}

criterion_group!(benches, known);
criterion_main!(benches);
