//! A lake of Parquet files in object storage, partitioned by a column, read by PyArrow: it holds each change once while processes are
//! killed, and in the end what the source has.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use tidemark_test_servers::{Bucket, Cloud, Database, Postgres};

use crate::{
    growth::Chance,
    process::pause,
    samples::{examples, readers},
    stores::in_every_cloud,
    workbench::Workbench,
};

in_every_cloud!(
    a_partitioned_lake_is_the_source_through_kills,
    what_cannot_be_in_a_cloud_is_said_before_anything_is_written
);

/// How often the process is killed while the table changes.
const KILLS: u64 = 8;
/// What folders are made of: names that say something elsewhere, nothing, and no value.
const KINDS: &str = "(ARRAY['order', 'a/b', 'x=1 %2F', '..', 'ü', '', NULL])[1 + %% 7]";

/// The example, with its bucket in `cloud`, and not so patient.
fn bench(cloud: Option<Cloud>, source: &Database<'_>) -> (Workbench, Bucket) {
    let bucket = cloud.unwrap().shared().bucket();
    let example = fs::read_to_string(examples("files/lake.yaml")).unwrap();
    let pipeline = example.replace("s3://my-bucket", &bucket.url).replace("linger: 10s", "linger: 100ms");
    assert!(pipeline.contains(&bucket.url) && pipeline.contains("100ms"), "{pipeline}");
    // One server holds the tables of all tests, and a slot is named after its pipeline.
    let pipeline = pipeline.replace("name: lake", &format!("name: {}", source.name()));
    let mut variables = bucket.variables.clone();
    variables.push(("DATABASE_URL", source.url()));
    (Workbench::with_pipeline(&pipeline).in_environment(&variables), bucket)
}

fn a_partitioned_lake_is_the_source_through_kills(cloud: Option<Cloud>) {
    let source = Postgres::shared().database();
    let kind = |number: &str| KINDS.replace("%%", &format!("{number} %"));
    source.execute(&format!(
        "CREATE TABLE events (id int PRIMARY KEY, kind text, amount numeric(12,2));
         INSERT INTO events SELECT i, {}, i * 1.01 FROM generate_series(1, 5000) i",
        kind("i")
    ));
    let (bench, bucket) = bench(cloud, &source);
    let mut chance = Chance::from_the_environment();
    let running = bench.start("run pipeline.yaml");
    pause(Duration::from_millis(100 + chance.below(1_500)));
    running.kill().was_killed();
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(lake(&bucket).rows, rows(&source));

    let stop = AtomicBool::new(false);
    let mut seen = BTreeSet::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut next = 5_001;
            while !stop.load(Ordering::Relaxed) {
                let last = next + 20;
                source.execute(&format!(
                    "INSERT INTO events SELECT i, {}, i FROM generate_series({next}, {last}) i;
                     UPDATE events SET kind = {}, amount = amount + 1 WHERE id % 500 = {next} % 500;
                     DELETE FROM events WHERE id % 1000 = {last} % 1000",
                    kind("i"),
                    kind(&format!("(id + {next})")),
                ));
                next = last + 1;
                pause(Duration::from_millis(5));
            }
        });
        let _stops = Stopping(&stop);
        for _ in 0..KILLS {
            let mut running = bench.start("run pipeline.yaml");
            pause(Duration::from_millis(300 + chance.below(1_200)));
            assert!(running.runs(), "it gave up: {}", running.ends().stderr);
            running.kill().was_killed();
            // Whoever was killed in the middle has left nothing that is gone or doubled later.
            let now = lake(&bucket).positions;
            assert!(seen.is_subset(&now), "what a reader has seen is gone");
            seen = now;
        }
    });
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let lake = lake(&bucket);
    assert_eq!(lake.rows, rows(&source));
    assert!(seen.is_subset(&lake.positions) && lake.positions.len() > 5_500, "{}", lake.positions.len());
    assert_eq!(lake.hidden, 0, "nothing is left that was not committed");
}

fn what_cannot_be_in_a_cloud_is_said_before_anything_is_written(cloud: Option<Cloud>) {
    let source = Postgres::shared().database();
    source.execute("CREATE TABLE events (id int PRIMARY KEY, kind text)");
    let (bench, bucket) = bench(cloud, &source);
    bench.tidemark("check pipeline.yaml").succeeds();
    assert!(lake(&bucket).positions.is_empty());
    let sound = fs::read_to_string(bench.path("pipeline.yaml")).unwrap();
    for (from, to, words) in [
        ("write: append", "write: mirror", "files are never changed, so `mirror` cannot be written to them"),
        ("format: parquet", "file_size: 1GiB", "too large for an object"),
        ("{value.kind}", "{kind}", "a placeholder that is not known"),
    ] {
        assert!(sound.contains(from));
        bench.write("pipeline.yaml", &sound.replace(from, to));
        let refused = bench.tidemark("check pipeline.yaml").exits_with(2);
        assert!(refused.stderr.contains(words), "{}", refused.stderr);
        assert!(refused.stderr.contains("hint:"), "{}", refused.stderr);
    }
    bench.write("pipeline.yaml", &sound.replace("://test", "://no-test"));
    let refused = bench.tidemark("check pipeline.yaml").exits_with(2);
    assert!(refused.stderr.contains("make the bucket or container"), "{}", refused.stderr);
}

/// Ends the load, also when the test fails.
struct Stopping<'a>(&'a AtomicBool);

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What PyArrow finds in a lake.
struct Lake {
    /// The identities of the changes, of which no two are the same.
    positions: BTreeSet<String>,
    /// The table that they make.
    rows: Vec<Value>,
    /// How many objects no reader sees.
    hidden: u64,
}

fn lake(bucket: &Bucket) -> Lake {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios/lake/lake.py");
    let mut python = Command::new("python3");
    let (_, name) = bucket.url.split_once("://").unwrap();
    python.arg(script).arg(name).envs(bucket.variables.iter().cloned()).env("PYTHONPATH", readers());
    let run = python.stdin(Stdio::null()).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let found: Value = serde_json::from_slice(&run.stdout).unwrap();
    let positions: Vec<_> =
        found["positions"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    let once: BTreeSet<_> = positions.iter().map(|it| (*it).to_owned()).collect();
    assert_eq!(once.len(), positions.len(), "a reader finds changes twice");
    Lake {
        positions: once,
        rows: found["rows"].as_array().unwrap().clone(),
        hidden: found["hidden"].as_u64().unwrap(),
    }
}

/// The table as the source has it.
fn rows(source: &Database<'_>) -> Vec<Value> {
    let rows = source.query("SELECT id, kind, amount FROM events ORDER BY id");
    let row = |row: Vec<Option<String>>| {
        json!([row[0].as_ref().map(|id| id.parse::<i64>().unwrap()), row[1], row[2]])
    };
    rows.into_iter().map(row).collect()
}
