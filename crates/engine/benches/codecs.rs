//! What the formats of segments cost: 8,192 rows of twelve typed columns, written and read.
#![expect(clippy::unwrap_used, reason = "a benchmark has nobody to hand an error to")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use tidemark_engine::{
    change::ChangeBatch,
    codec::Format,
    contract::{codec::assert_same, samples},
};

const ROWS: usize = 8_192;

fn codecs(criterion: &mut Criterion) {
    let changes = samples::orders(ROWS);
    let batch = changes.to_record_batch().unwrap();
    let mut group = criterion.benchmark_group("codec");
    group.throughput(Throughput::Elements(ROWS as u64));
    for format in Format::ALL {
        let encode = || {
            let mut encoder = format.codec().encode(batch.schema()).unwrap();
            encoder.write(&batch).unwrap();
            encoder.finish().unwrap()
        };
        let decode = |blob| format.codec().decode(blob).unwrap().map(Result::unwrap).collect::<Vec<_>>();
        let blob = encode();
        let read = decode(blob.clone());
        let read = read.iter().map(|batch| ChangeBatch::from_record_batch(changes.schema().clone(), batch));
        assert_same(&read.collect::<Result<Vec<_>, _>>().unwrap(), std::slice::from_ref(&changes));

        let name = format.codec().extension().to_owned();
        group.bench_function(format!("{name}/encode"), |bencher| bencher.iter(encode));
        group.bench_function(format!("{name}/decode"), |bencher| {
            bencher.iter_batched(|| blob.clone(), |blob| black_box(decode(blob)), BatchSize::SmallInput);
        });
    }
}

criterion_group!(benches, codecs);
criterion_main!(benches);
