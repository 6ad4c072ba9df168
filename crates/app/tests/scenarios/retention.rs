//! What is old is dropped: the state before what is kept stands for it, and whoever needs more is told so by name.

use std::fs;

use rusqlite::Connection;
use serde_json::Value as Json;

use crate::{
    process::Outcome,
    rows::{count_in_sqlite, files_below},
    workbench::Workbench,
};

/// A pipeline of orders that drops what it can, and writes to `destinations`.
fn pipeline(slow: &str, destinations: &str) -> String {
    format!(
        "
name: shop
source: {{type: files, path: ./data, streams: {{orders: {{key: [id]}}, notes: {{}}}}}}
staging: {{path: ./staging, fold_after: 1ms, retention: {{age: 1ms, slow: {slow}}}}}
destinations:
{destinations}"
    )
}

fn mirror(name: &str) -> String {
    format!("  {name}: {{type: sqlite, path: ./{name}.db, write: mirror, table: \"{name}_{{stream}}\"}}\n")
}

const ORDERS_ONLY: &str = "
name: shop
source: {type: files, path: ./data, streams: {orders: {key: [id]}}}
staging: {path: ./staging, fold_after: 1ms, retention: {age: 1ms}}
destinations:
";

/// Orders are made and changed, a run for each step.
fn trade(bench: &Workbench, file: &str, from: u32, steps: u32) {
    for step in from..from + steps {
        if step == 0 {
            bench.write("data/orders.csv", "id,amount\n1,10\n2,20\n");
        } else {
            // Order 1 has another amount, and one more comes to be.
            bench.append("data/orders.csv", &format!("1,{}\n{},5\n", 10 + step, 100 + step));
        }
        bench.tidemark(&format!("run {file} --once")).succeeds();
    }
}

fn status(bench: &Workbench, file: &str) -> Json {
    serde_json::from_str(&bench.tidemark(&format!("status {file} --json")).succeeds().stdout).unwrap()
}

/// The commit that the log begins with, and its last.
fn kept(bench: &Workbench, file: &str) -> (Option<u64>, u64) {
    let status = status(bench, file);
    (status["kept"]["after_commit"].as_u64(), status["log"]["commit"].as_u64().unwrap())
}

fn content(bench: &Workbench, name: &str) -> Vec<(i64, i64)> {
    let database = Connection::open(bench.path(&format!("{name}.db"))).unwrap();
    let mut rows = database.prepare(&format!("SELECT id, amount FROM {name}_orders ORDER BY id")).unwrap();
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

fn says(outcome: &Outcome, words: &[&str]) {
    for words in words {
        assert!(outcome.stderr.contains(words), "`{words}` is not said: {}", outcome.stderr);
    }
}

#[test]
fn what_is_dropped_is_kept_as_a_state_and_a_new_destination_begins_with_it() {
    let bench = Workbench::with_pipeline(&format!("{ORDERS_ONLY}{}", mirror("copy")));
    trade(&bench, "pipeline.yaml", 0, 6);
    let (base, head) = kept(&bench, "pipeline.yaml");
    let base = base.expect("something is dropped");
    assert!(base >= head - 1, "all that can go has gone: {base} of {head}");
    let shown = bench.tidemark("status pipeline.yaml").succeeds().stdout;
    assert!(shown.contains(&format!("keeps what came after commit {base}")), "{shown}");
    bench.tidemark("fsck pipeline.yaml").succeeds();

    // Whoever is new, in whatever mode that is made of states, has it all.
    let more = ["mirror", "soft-delete", "history"].map(|mode| {
        let name = mode.replace('-', "_");
        mirror(&name).replace("write: mirror", &format!("write: {mode}"))
    });
    let later =
        "  later: {type: sqlite, path: ./later.db, write: mirror, live: false, table: \"later_{stream}\"}\n";
    bench.write("pipeline.yaml", &format!("{ORDERS_ONLY}{}{}{later}", mirror("copy"), more.concat()));
    trade(&bench, "pipeline.yaml", 6, 2);
    let expected = content(&bench, "copy");
    assert_eq!(expected.len(), 9);
    for name in ["mirror", "soft_delete"] {
        assert_eq!(content(&bench, name), expected, "{name}");
    }
    let current = Connection::open(bench.path("history.db")).unwrap();
    let valid: i64 = current
        .query_row("SELECT count(*) FROM history_orders WHERE _tidemark_valid_to IS NULL", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(valid, 9);
    bench.tidemark("replay pipeline.yaml --to later").succeeds();
    assert_eq!(content(&bench, "later"), expected);
    bench.tidemark("replay pipeline.yaml --to mirror").succeeds();
    assert_eq!(content(&bench, "mirror"), expected, "one in use is filled anew");
    bench.tidemark("verify pipeline.yaml --against staging").succeeds();
    trade(&bench, "pipeline.yaml", 8, 1);
    assert_eq!(content(&bench, "mirror"), content(&bench, "copy"));
}

#[test]
fn moments_that_are_not_kept_are_refused_by_name() {
    let later = "  later: {type: sqlite, path: ./later.db, write: append, live: false, table: \"later_{stream}\"}\n  then: {type: sqlite, path: ./then.db, write: mirror, live: false, table: \"then_{stream}\"}\n";
    let bench = Workbench::with_pipeline(&format!("{ORDERS_ONLY}{}{later}", mirror("copy")));
    trade(&bench, "pipeline.yaml", 0, 5);
    let (base, head) = kept(&bench, "pipeline.yaml");
    let base = base.unwrap();
    let from = "give a moment from";
    for command in [
        "replay pipeline.yaml --to then --from seq:1".to_owned(),
        "replay pipeline.yaml --to then --until seq:1".to_owned(),
        "replay pipeline.yaml --to then --as-of seq:1".to_owned(),
        "replay pipeline.yaml --to then --as-of 2001-01-01".to_owned(),
        "replay pipeline.yaml --to later --from seq:1".to_owned(),
        "changes pipeline.yaml --from seq:1".to_owned(),
    ] {
        let refused = bench.tidemark(&command).exits_with(2);
        says(&refused, &["is not kept any more", from, &format!("seq:{base}")]);
    }
    // What takes every change cannot begin with a state.
    let refused = bench.tidemark("replay pipeline.yaml --to later").exits_with(2);
    says(&refused, &["`append` takes every change", &format!("--from seq:{base}")]);
    bench.tidemark(&format!("replay pipeline.yaml --to later --from seq:{base}")).succeeds();
    let changes = bench.tidemark("changes pipeline.yaml --json").succeeds().stdout;
    let first: Json = serde_json::from_str(changes.lines().next().unwrap()).unwrap();
    assert_eq!(first["op"], "r", "what is kept begins with a state");
    bench.tidemark(&format!("replay pipeline.yaml --to then --as-of seq:{head}")).succeeds();
    assert_eq!(content(&bench, "then"), content(&bench, "copy"));
    // Once it has what is kept, it may be written to while the pipeline runs.
    let live = later.replacen(", live: false", "", 1);
    bench.write("pipeline.yaml", &format!("{ORDERS_ONLY}{}{live}", mirror("copy")));
    trade(&bench, "pipeline.yaml", 5, 1);
    assert_eq!(
        count_in_sqlite(&bench.path("later.db"), "later_orders"),
        2 + usize::try_from((head - base) * 2).unwrap()
    );
}

#[test]
fn what_is_needed_is_waited_for_and_status_says_by_whom() {
    let both = format!("{ORDERS_ONLY}{}{}", mirror("copy"), mirror("slow"));
    let bench = Workbench::with_pipeline(&both);
    trade(&bench, "pipeline.yaml", 0, 1);
    let refuse =
        "CREATE TRIGGER refuse BEFORE INSERT ON slow_orders BEGIN SELECT RAISE(ABORT, 'not now'); END";
    Connection::open(bench.path("slow.db")).unwrap().execute_batch(refuse).unwrap();
    for step in 1..5 {
        bench.append("data/orders.csv", &format!("{},5\n", 100 + step));
        bench.tidemark("run pipeline.yaml --once");
    }
    let (base, head) = kept(&bench, "pipeline.yaml");
    assert!(base.is_none_or(|base| base <= 1), "{base:?} of {head}");
    let shown = bench.tidemark("status pipeline.yaml").succeeds().stdout;
    assert!(shown.contains("is old enough to be dropped, but `slow` waits with stream `orders`"), "{shown}");
    assert_eq!(status(&bench, "pipeline.yaml")["kept"]["held_back_by"][0]["destination"], "slow");

    Connection::open(bench.path("slow.db")).unwrap().execute_batch("DROP TRIGGER refuse").unwrap();
    bench.tidemark("run pipeline.yaml --once").succeeds();
    trade(&bench, "pipeline.yaml", 5, 2);
    assert!(kept(&bench, "pipeline.yaml").0 > Some(1), "nobody needs it any more");
    assert_eq!(content(&bench, "slow"), content(&bench, "copy"));
}

#[test]
fn a_destination_that_is_left_behind_stops_and_is_filled_anew() {
    let both = format!("{ORDERS_ONLY}{}{}", mirror("copy"), mirror("slow"));
    let bench = Workbench::with_pipeline(&both);
    trade(&bench, "pipeline.yaml", 0, 2);
    // For a while nobody writes to it, and nobody waits for it.
    bench.write("alone.yaml", &format!("{ORDERS_ONLY}{}", mirror("copy")));
    trade(&bench, "alone.yaml", 2, 4);
    let (base, _) = kept(&bench, "pipeline.yaml");
    assert!(base > Some(2));

    bench.append("data/orders.csv", "7,7\n");
    for _ in 0..2 {
        let stopped = bench.tidemark("run pipeline.yaml --once").exits_with(3);
        let command = "tidemark replay FILE --to slow --from beginning";
        says(&stopped, &["destination `slow`", "where it stands", "is not kept any more", command]);
    }
    assert!(bench.tidemark("status pipeline.yaml").succeeds().stdout.contains("left behind by the log"));
    bench.tidemark("replay pipeline.yaml --to slow --from beginning").succeeds();
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(content(&bench, "slow"), content(&bench, "copy"));
    trade(&bench, "pipeline.yaml", 6, 2);
    assert_eq!(content(&bench, "slow"), content(&bench, "copy"));
}

#[test]
fn a_stream_that_is_held_is_left_behind_only_when_that_is_asked_for() {
    let destinations = format!("{}{}", mirror("copy"), mirror("slow"));
    let bench = Workbench::with_pipeline(&pipeline("expire", &destinations).replace(", notes: {}", ""));
    trade(&bench, "pipeline.yaml", 0, 1);
    let refuse =
        "CREATE TRIGGER refuse BEFORE INSERT ON slow_orders BEGIN SELECT RAISE(ABORT, 'not now'); END";
    Connection::open(bench.path("slow.db")).unwrap().execute_batch(refuse).unwrap();
    for step in 1..5 {
        bench.append("data/orders.csv", &format!("{},5\n", 100 + step));
        bench.tidemark("run pipeline.yaml --once");
    }
    assert!(kept(&bench, "pipeline.yaml").0 > Some(1), "nobody is waited for");
    Connection::open(bench.path("slow.db")).unwrap().execute_batch("DROP TRIGGER refuse").unwrap();
    let held = bench.tidemark("run pipeline.yaml --once").exits_with(3);
    says(&held, &["is held", "is not kept any more", "tidemark resync FILE --stream orders"]);
    bench.tidemark("resync pipeline.yaml --stream orders").succeeds();
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(content(&bench, "slow"), content(&bench, "copy"));
}

#[test]
fn a_stream_without_a_key_is_cut_off_by_name() {
    let bench = Workbench::with_pipeline(&pipeline(
        "wait",
        "  copy: {type: sqlite, path: ./copy.db, write: append}\n",
    ));
    bench.write("data/notes.csv", "text\nhello\n");
    trade(&bench, "pipeline.yaml", 0, 5);
    let fresh = "  copy: {type: sqlite, path: ./copy.db, write: append}\n  fresh: {type: sqlite, path: ./fresh.db, write: append}\n";
    bench.write("pipeline.yaml", &pipeline("wait", fresh));
    let refused = bench.tidemark("run pipeline.yaml --once").exits_with(2);
    says(&refused, &["destination `fresh`", "`append` takes every change"]);
}

#[test]
fn what_nothing_needs_goes_from_the_store() {
    let bench = Workbench::with_pipeline(&format!("{ORDERS_ONLY}{}", mirror("copy")));
    trade(&bench, "pipeline.yaml", 0, 8);
    let volumes = fs::read_dir(bench.path("staging/shop/volumes")).unwrap().count();
    let segments = files_below(&bench.path("staging/shop/data"), "parquet").len();
    // What was dropped stays ten minutes, for those who are reading it.
    assert!(volumes >= 2 && segments >= 2, "{volumes} {segments}");
    assert!(!bench.path("staging/shop/scratch").exists(), "traces of keys were few enough for memory");
}
