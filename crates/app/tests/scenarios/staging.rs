//! The staging log in trouble: going on could lose data, so the run stops with exit code 3 and moves nothing.

use std::{fs, path::PathBuf};

use crate::{
    rows::{count_in_sqlite, files_below},
    workbench::Workbench,
};

const PIPELINE: &str = r#"
name: trouble
source: {type: files, path: ./data, streams: {orders: {key: [id]}}}
destinations:
  copy: {type: sqlite, path: ./copy.db, write: mirror}
  later: {type: sqlite, path: ./later.db, write: append, live: false}
"#;

/// Two commits of one order each are staged and have arrived.
fn two_orders() -> Workbench {
    let bench = Workbench::with_pipeline(PIPELINE);
    bench.write("data/orders.csv", "id,amount\n1,10\n");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    bench.append("data/orders.csv", "2,20\n");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(count_in_sqlite(&bench.path("copy.db"), "orders"), 2);
    bench
}

fn commit(bench: &Workbench, sequence: u64) -> PathBuf {
    bench.path(&format!("staging/trouble/log/00000000/{sequence:012}"))
}

#[test]
fn a_damaged_or_missing_commit_stops_a_replay_and_nothing_after_it_is_delivered() {
    let flip: fn(Vec<u8>) -> Option<Vec<u8>> = |mut bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        Some(bytes)
    };
    let cut: fn(Vec<u8>) -> Option<Vec<u8>> = |bytes| Some(bytes[..bytes.len() - 1].to_vec());
    let remove: fn(Vec<u8>) -> Option<Vec<u8>> = |_| None;
    for (damage, said) in [(flip, "is damaged"), (cut, "is damaged"), (remove, "is missing")] {
        let bench = two_orders();
        let first = commit(&bench, 1);
        match damage(fs::read(&first).unwrap()) {
            Some(bytes) => fs::write(&first, bytes).unwrap(),
            None => fs::remove_file(&first).unwrap(),
        }
        let ended = bench.tidemark("replay pipeline.yaml --to later").exits_with(3);
        assert!(ended.stderr.contains(said) && ended.stderr.contains("hint:"), "{}", ended.stderr);
        assert_eq!(count_in_sqlite(&bench.path("later.db"), "orders"), 0);
    }
}

#[test]
fn a_damaged_segment_stops_a_replay_before_its_first_change() {
    let bench = Workbench::with_pipeline(PIPELINE);
    let rows: String = (0..60_000).map(|id| format!("{id},{}\n", id * 7)).collect();
    bench.write("data/orders.csv", &format!("id,amount\n{rows}"));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let segments = files_below(&bench.path("staging/trouble/data/orders/init"), "parquet");
    let segment = segments.first().expect("so many rows stand in a segment");
    let mut bytes = fs::read(segment).unwrap();
    bytes[1_000] ^= 1;
    fs::write(segment, bytes).unwrap();

    let ended = bench.tidemark("replay pipeline.yaml --to later").exits_with(3);
    assert!(ended.stderr.contains("is damaged"), "{}", ended.stderr);
    assert_eq!(count_in_sqlite(&bench.path("later.db"), "orders"), 0);
}

#[test]
fn a_destination_that_stands_in_another_log_is_not_taken_on() {
    let bench = two_orders();
    fs::remove_dir_all(bench.path("staging")).unwrap();
    let ended = bench.tidemark("run pipeline.yaml --once").exits_with(3);
    assert!(ended.stderr.contains("it stands in log"), "{}", ended.stderr);
    // And the same after a restart.
    bench.tidemark("run pipeline.yaml --once").exits_with(3);
}

#[test]
fn a_log_restored_from_an_older_backup_is_noticed() {
    let bench = two_orders();
    fs::remove_file(commit(&bench, 2)).unwrap();
    bench.append("data/orders.csv", "3,30\n");
    let ended = bench.tidemark("run pipeline.yaml --once").exits_with(3);
    assert!(ended.stderr.contains("it stands at commit 2"), "{}", ended.stderr);
    // By now another commit stands there; that is no better.
    let ended = bench.tidemark("run pipeline.yaml --once").exits_with(3);
    assert!(ended.stderr.contains("it stands at commit 2"), "{}", ended.stderr);
    assert_eq!(count_in_sqlite(&bench.path("copy.db"), "orders"), 2);
}

#[test]
fn a_destination_filled_in_part_is_not_taken_for_whole() {
    let bench = Workbench::with_pipeline(PIPELINE);
    bench.write("data/orders.csv", "id,amount\n1,10\n");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    bench.append("data/orders.csv", "2,20\n");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    bench.tidemark("replay pipeline.yaml --to later --from seq:1").succeeds();
    assert_eq!(count_in_sqlite(&bench.path("later.db"), "orders"), 1);

    bench.write("pipeline.yaml", &PIPELINE.replace(", live: false", ""));
    let ended = bench.tidemark("run pipeline.yaml --once").exits_with(2);
    assert!(ended.stderr.contains("`later` was filled by a replay of a part"), "{}", ended.stderr);

    // Removed and replayed from the beginning, it is whole.
    bench.write("pipeline.yaml", PIPELINE);
    fs::remove_file(bench.path("later.db")).unwrap();
    bench.tidemark("replay pipeline.yaml --to later").succeeds();
    assert_eq!(count_in_sqlite(&bench.path("later.db"), "orders"), 2);
    bench.write("pipeline.yaml", &PIPELINE.replace(", live: false", ""));
    bench.tidemark("run pipeline.yaml --once").succeeds();
}

#[test]
fn what_cannot_be_replayed_is_refused_before_anything_is_written() {
    let bench = two_orders();
    for (arguments, said) in [
        ("--to latter", "did you mean `later`?"),
        ("--to copy --as-of seq:1", "`run` keeps `copy` up to date"),
        ("--to copy --until seq:1", "`run` writes to `copy`"),
        ("--to later --as-of source:0/1", "is no place in a source of type `files`"),
        ("--to later --as-of 2001-01-01", "nothing was staged at `2001-01-01"),
        ("--to later --stream order", "did you mean `orders`?"),
        ("--to later --from seq:9", "the log ends at commit 2"),
        ("--to later --from seq:2 --until seq:1", "`--from` is after the end"),
    ] {
        let ended = bench.tidemark(&format!("replay pipeline.yaml {arguments}")).exits_with(2);
        assert!(ended.stderr.contains(said), "{arguments}: {}", ended.stderr);
    }
    assert!(!bench.path("later.db").exists());
}
