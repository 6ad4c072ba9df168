//! The machine's clock is days ahead or behind, between runs and during one: order, replay, requests and what is kept do not depend on
//! it.

use std::{
    fs::{self, OpenOptions},
    io::{Seek, Write},
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use rusqlite::Connection;
use serde_json::Value as Json;
use tempfile::TempDir;

use crate::{
    process::{Outcome, Running},
    rows::count_in_sqlite,
    workbench::Workbench,
};

const DAY: i64 = 24 * 60 * 60;

/// A workbench with a clock of its own.
struct Clocked {
    bench: Workbench,
    variables: [(&'static str, String); 2],
}

impl Clocked {
    fn with_pipeline(pipeline: &str) -> Self {
        let bench = Workbench::with_pipeline(pipeline);
        let clock = bench.path("clock");
        fs::write(&clock, [0; 8]).unwrap();
        let variables = [
            ("LD_PRELOAD", shim().display().to_string()),
            ("TIDEMARK_TEST_CLOCK", clock.display().to_string()),
        ];
        Self { bench, variables }
    }

    /// Sets the clock so many days ahead.
    fn is_ahead(&self, days: i64) {
        // Never cut off: a process may be looking at it.
        let mut clock = OpenOptions::new().write(true).open(self.bench.path("clock")).unwrap();
        clock.rewind().unwrap();
        clock.write_all(&(days * DAY).to_ne_bytes()).unwrap();
    }

    fn start(&self, arguments: &str) -> Running {
        let variables: Vec<_> = self.variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.bench.start_with(&variables, arguments)
    }

    fn tidemark(&self, arguments: &str) -> Outcome {
        self.start(arguments).ends()
    }
}

/// What shifts a process's clock, made once by the C compiler that a build needs anyway.
fn shim() -> &'static Path {
    static MADE: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, library) = MADE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let (source, library) = (folder.path().join("shifted.c"), folder.path().join("shifted.so"));
        fs::write(&source, include_str!("shifted.c")).unwrap();
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]).args([&library, &source]);
        assert!(compiler.status().unwrap().success(), "{compiler:?}");
        (folder, library)
    });
    library
}

const PIPELINE: &str = "
name: clock
source: {type: files, path: ./data, streams: {orders: {key: [id]}}}
trigger: {every: 100ms}
destinations:
  copy: {type: sqlite, path: ./copy.db, write: mirror}
  all: {type: sqlite, path: ./all.db, write: append}
  later: {type: sqlite, path: ./later.db, write: mirror, live: false}
";

/// Where the clock stands in each of a series of runs, in days.
const SHIFTS: [i64; 7] = [0, 10, -20, 3, 400, -400, 0];

fn value(database: &Path, sql: &str) -> String {
    Connection::open(database).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

/// The records of a mirror: `1=10 2=20`.
fn records(database: &Path) -> String {
    value(database, "SELECT group_concat(id || '=' || amount, ' ') FROM (SELECT * FROM orders ORDER BY id)")
}

fn kept(clocked: &Clocked) -> Json {
    serde_json::from_str(&clocked.tidemark("status pipeline.yaml --json").succeeds().stdout).unwrap()
}

/// Failure mode 42.
#[test]
fn order_and_replay_do_not_depend_on_the_clock() {
    let clocked = Clocked::with_pipeline(PIPELINE);
    let (copy, all, later) = ["copy.db", "all.db", "later.db"].map(|name| clocked.bench.path(name)).into();
    let mut shown = Vec::new();
    clocked.bench.write("data/orders.csv", "id,amount\n");
    for (round, shift) in SHIFTS.iter().enumerate() {
        clocked.is_ahead(*shift);
        // One record again and again, and one that is new.
        clocked.bench.append("data/orders.csv", &format!("0,{round}\n{},7\n", round + 1));
        clocked.tidemark("run pipeline.yaml --once").succeeds();
        shown.push((kept(&clocked)["log"]["commit"].as_u64().unwrap(), records(&copy)));
    }
    let rounds = SHIFTS.len();
    assert_eq!(records(&copy).split(' ').next(), Some(&*format!("0={}", rounds - 1)), "the last one counts");
    let order = "SELECT group_concat(amount, ' ') FROM (SELECT * FROM orders WHERE id = 0 ORDER BY _tidemark_position)";
    let expected: Vec<_> = (0..rounds).map(|round| round.to_string()).collect();
    assert_eq!(value(&all, order), expected.join(" "), "every change, in order");
    for (commit, records_then) in &shown {
        clocked.tidemark(&format!("replay pipeline.yaml --to later --as-of seq:{commit}")).succeeds();
        assert_eq!(records(&later), *records_then, "as of commit {commit}");
    }
    clocked.tidemark("fsck pipeline.yaml").succeeds();
}

#[test]
fn a_run_goes_on_and_hears_requests_while_the_clock_is_set() {
    let clocked = Clocked::with_pipeline(PIPELINE);
    let all = clocked.bench.path("all.db");
    clocked.bench.write("data/orders.csv", "id,amount\n0,0\n");
    let mut running = clocked.start("run pipeline.yaml");
    running.until("the first order has arrived", || count_in_sqlite(&all, "orders") == 1);
    let mut changes = 1;
    for (round, shift) in SHIFTS.iter().enumerate() {
        clocked.is_ahead(*shift);
        clocked.bench.append("data/orders.csv", &format!("{},1\n", round + 1));
        changes += 1;
        running.until("the order has arrived", || count_in_sqlite(&all, "orders") == changes);
        // Whoever asks may have another idea of the time than whoever hears it.
        clocked.is_ahead(-shift);
        clocked.tidemark("resync pipeline.yaml").succeeds();
        // A truncate, and every record once more.
        changes += round + 3;
        running.until("what was asked for is done", || count_in_sqlite(&all, "orders") == changes);
    }
    running.terminate().succeeds();
    assert_eq!(count_in_sqlite(&clocked.bench.path("copy.db"), "orders"), SHIFTS.len() + 1);
    clocked.tidemark("fsck pipeline.yaml").succeeds();
}

/// With a clock that is ahead more is old, and with one that is behind less; what is dropped is in the state before what is kept.
#[test]
fn nothing_that_is_needed_is_dropped_whatever_the_clock_says() {
    let retention = "staging: {path: ./staging, fold_after: 1ms, retention: {age: 30d}}\ndestinations:";
    let clocked = Clocked::with_pipeline(&PIPELINE.replace("destinations:", retention));
    let copy = clocked.bench.path("copy.db");
    let mut after = Vec::new();
    clocked.bench.write("data/orders.csv", "id,amount\n");
    for (round, shift) in SHIFTS.iter().enumerate() {
        clocked.is_ahead(*shift);
        for part in 0..3 {
            clocked.bench.append("data/orders.csv", &format!("{part},{round}\n{},7\n", round * 3 + part));
            clocked.tidemark("run pipeline.yaml --once").succeeds();
        }
        after.push(kept(&clocked)["kept"]["after_commit"].as_u64());
        let new = clocked.bench.path("later.db");
        if new.exists() {
            fs::remove_file(&new).unwrap();
        }
        clocked.tidemark("replay pipeline.yaml --to later").succeeds();
        assert_eq!(records(&new), records(&copy), "whoever begins now has all of it ({shift} days)");
    }
    assert_eq!(after[0..4], [None; 4], "nothing was older than it may be");
    assert!(after[4].is_some(), "400 days ahead something is old");
    clocked.tidemark("verify pipeline.yaml --against staging").succeeds();
    clocked.tidemark("fsck pipeline.yaml").succeeds();
}
