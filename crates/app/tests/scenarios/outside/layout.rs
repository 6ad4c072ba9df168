//! A reader that was written from `docs/staging-layout.md` alone sees what `tidemark changes` does.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;
use tidemark_test_servers::Postgres;

use super::output;
use crate::{samples::readers, workbench::Workbench};

fn reader(staging: &Path) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/staging-reader/read_staging.py");
    let mut python = Command::new("python3");
    python.arg(script).arg(staging).env("PYTHONPATH", readers());
    python
}

/// Changes by their places. Lines of one commit may come in any order.
fn by_position(lines: &str) -> BTreeMap<String, Value> {
    let changes = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let changes: Vec<_> =
        changes.map(|change| (change["position"].as_str().unwrap().to_owned(), change)).collect();
    let count = changes.len();
    let by_position: BTreeMap<_, _> = changes.into_iter().collect();
    assert_eq!(by_position.len(), count, "no place is there twice");
    by_position
}

/// Both see the same; returns how many changes.
fn sees_the_same(bench: &Workbench, staging: &str) -> usize {
    let own = by_position(&bench.tidemark("changes pipeline.yaml --json --from beginning").succeeds().stdout);
    let others = by_position(&output(&mut reader(&bench.path(staging))));
    for (position, change) in &own {
        assert_eq!(others.get(position), Some(change), "at {position}");
    }
    assert_eq!(own.len(), others.len());
    own.len()
}

/// Folds everything but the newest commits.
fn fold(bench: &Workbench, staging: &str) {
    let newest = || {
        let entries = fs::read_dir(bench.path(staging).join("layout")).into_iter().flatten();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| !name.contains('#')).max()
    };
    let before = newest();
    let mut running = bench.start("run pipeline.yaml");
    running.until("the log is folded", || newest() > before);
    running.terminate().succeeds();
}

#[test]
fn a_log_of_files_by_its_documentation() {
    let bench = Workbench::with_pipeline(
        r#"
name: read
source: {type: files, path: ./data, streams: {"orders / ä": {files: "orders.csv", key: [id]}, people: {key: [id]}}}
staging: {path: ./staging, fold_after: 1s}
destinations: {copy: {type: sqlite, path: ./copy.db, write: mirror}}
"#,
    );
    let rows =
        |range: std::ops::Range<u32>| range.map(|id| format!("{id},{},n{id}\n", id * 3)).collect::<String>();
    bench.write("data/orders.csv", &format!("id,amount,note\n{}", rows(0..40_000)));
    bench.write("data/people.csv", "id,name\n1,ä\n2,\n");
    for round in 1..5 {
        bench.tidemark("run pipeline.yaml --once").succeeds();
        bench.append("data/orders.csv", &rows(round * 50_000..round * 50_000 + 3));
        bench.append("data/people.csv", &format!("{round}0,{round}\n"));
    }
    let unfolded = sees_the_same(&bench, "staging/read");
    fold(&bench, "staging/read");
    bench.append("data/people.csv", "99,last\n");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert!(sees_the_same(&bench, "staging/read") > unfolded);

    // What is damaged is not believed.
    let volume = fs::read_dir(bench.path("staging/read/volumes")).unwrap();
    for volume in volume {
        let path = volume.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).unwrap();
    }
    let refused = reader(&bench.path("staging/read")).stdin(Stdio::null()).output().unwrap();
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("its hash does not match"));
}

#[test]
fn a_log_of_a_database_by_its_documentation() {
    let source = Postgres::shared().database();
    source.execute(
        "CREATE TABLE items (id int PRIMARY KEY, n bigint, t text, b bool, big text);
         ALTER TABLE items ALTER big SET STORAGE EXTERNAL;
         INSERT INTO items SELECT i, i * 9007199254740993, 't' || i, i % 2 = 0, repeat(md5(i::text), 100)
             FROM generate_series(1, 500) i",
    );
    let bench = Workbench::with_pipeline(&format!(
        "name: read
source: {{type: postgres, url: \"{}\", streams: [public.items]}}
staging: {{path: ./staging, format: arrow, fold_after: 1s}}
destinations: {{copy: {{type: sqlite, path: ./copy.db, write: mirror}}}}
",
        source.url()
    ));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    source.execute("UPDATE items SET n = 1 WHERE id < 20; DELETE FROM items WHERE id = 30; UPDATE items SET id = 1000 WHERE id = 40");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    source.execute(
        "ALTER TABLE items ADD COLUMN late text; UPDATE items SET late = 'x', t = NULL WHERE id < 300",
    );
    bench.tidemark("run pipeline.yaml --once").succeeds();
    source.execute("TRUNCATE items; INSERT INTO items (id) VALUES (1)");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let unfolded = sees_the_same(&bench, "staging/read");
    fold(&bench, "staging/read");
    assert_eq!(sees_the_same(&bench, "staging/read"), unfolded);
}
