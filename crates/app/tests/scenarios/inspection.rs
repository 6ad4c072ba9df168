//! `tidemark fsck`, as a person and a program see it.

use std::fs;

use crate::workbench::Workbench;

const PIPELINE: &str = r#"
name: inspected
source: {type: files, path: ./data, streams: {orders: {key: [id]}}}
staging: {url: ./staging, fold_after: 1d}
destinations:
  copy: {type: sqlite, path: ./copy.db, write: mirror}
"#;

fn with_orders(commits: u32) -> Workbench {
    let bench = Workbench::with_pipeline(PIPELINE);
    bench.write("data/orders.csv", "id,amount\n0,0\n");
    for id in 1..=commits {
        bench.append("data/orders.csv", &format!("{id},{id}\n"));
        bench.tidemark("run pipeline.yaml --once").succeeds();
    }
    bench
}

/// What is the same in every run.
fn lasting(said: &str, bench: &Workbench) -> String {
    let identity = fs::read(bench.path("staging/inspected/pipeline.json")).unwrap();
    let identity: serde_json::Value = serde_json::from_slice(&identity).unwrap();
    let said = said.replace(identity["log"].as_str().unwrap(), "LOG");
    let is_time = |word: &str| {
        word.trim_matches(['"', ','])
            .strip_suffix('Z')
            .is_some_and(|time| time.len() >= 19 && time.as_bytes()[10] == b'T')
    };
    let lines = said.lines().map(|line| {
        let words = line.split(' ').map(|word| if is_time(word) { "TIME" } else { word });
        words.collect::<Vec<_>>().join(" ")
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_whole_log() {
    let bench = with_orders(3);
    let said = bench.tidemark("fsck pipeline.yaml").succeeds().stdout;
    insta::assert_snapshot!(lasting(&said, &bench));
}

#[test]
fn a_log_with_a_hole_and_rot() {
    let bench = with_orders(6);
    let commit = |number: u32| bench.path(&format!("staging/inspected/log/00000000/{number:012}"));
    fs::remove_file(commit(2)).unwrap();
    let mut bytes = fs::read(commit(4)).unwrap();
    bytes[100] ^= 4;
    fs::write(commit(4), bytes).unwrap();
    fs::write(bench.path("staging/inspected/note.txt"), "a person's").unwrap();
    let before = fs::read_dir(bench.path("staging/inspected/log/00000000")).unwrap().count();
    let said = bench.tidemark("fsck pipeline.yaml").exits_with(3).stdout;
    insta::assert_snapshot!(lasting(&said, &bench));
    let said = bench.tidemark("fsck pipeline.yaml --json").exits_with(3).stdout;
    insta::assert_snapshot!(lasting(&said, &bench));
    assert_eq!(fs::read_dir(bench.path("staging/inspected/log/00000000")).unwrap().count(), before);
}

#[test]
fn where_nothing_is_staged_there_is_nothing_to_inspect() {
    let bench = Workbench::with_pipeline(PIPELINE);
    let said = bench.tidemark("fsck pipeline.yaml").exits_with(2).stderr;
    assert!(said.contains("has staged nothing yet"), "{said}");
    assert!(!bench.path("staging").exists(), "nothing is made");
}

/// Commits come, are folded and removed while it looks.
#[test]
fn a_log_that_is_being_written_and_folded_is_whole() {
    let bench = with_orders(2);
    bench.write("pipeline.yaml", &PIPELINE.replace("fold_after: 1d", "fold_after: 1s"));
    let mut running = bench.start("run pipeline.yaml");
    let layouts =
        || fs::read_dir(bench.path("staging/inspected/layout")).map_or(0, |entries| entries.count());
    for id in 10..40 {
        bench.append("data/orders.csv", &format!("{id},{id}\n"));
        let inspected = bench.tidemark("fsck pipeline.yaml").succeeds();
        assert!(inspected.stdout.contains("are whole"), "{}", inspected.stdout);
    }
    running.until("something is folded", || layouts() > 1);
    bench.tidemark("fsck pipeline.yaml").succeeds();
    running.terminate().succeeds();
    bench.tidemark("fsck pipeline.yaml").succeeds();
}
