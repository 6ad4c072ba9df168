//! What PostgreSQL's formats cost: 8,192 rows of twelve typed columns, as COPY in binary takes and gives them, and as inserts of
//! the replication stream.
#![expect(clippy::unwrap_used, reason = "a benchmark has nobody to hand an error to")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tidemark_connectors::postgres::measured::Table;
use tidemark_engine::contract::samples;

const ROWS: usize = 8_192;

fn postgres(criterion: &mut Criterion) {
    let changes = samples::orders(ROWS);
    let values = &changes.columns().values;
    let table = Table::of(changes.schema());
    let copy = table.write_copy(&changes).unwrap();
    let inserts = table.inserts(copy.clone()).unwrap();
    assert_eq!(&table.read_copy(copy.clone()).unwrap(), values);
    assert_eq!(&table.read_inserts(&inserts).unwrap(), values);

    let mut group = criterion.benchmark_group("postgres");
    group.throughput(Throughput::Elements(ROWS as u64));
    group.bench_function("copy/encode", |bencher| bencher.iter(|| table.write_copy(&changes).unwrap()));
    group.bench_function("copy/decode", |bencher| {
        bencher.iter(|| black_box(table.read_copy(copy.clone()).unwrap()));
    });
    group.bench_function("pgoutput/decode", |bencher| {
        bencher.iter(|| black_box(table.read_inserts(&inserts).unwrap()));
    });
}

criterion_group!(benches, postgres);
criterion_main!(benches);
