//! Two that write to one destination, and a position that is not what it was: whoever is not sure stops with exit code 3.

use std::{fs, path::Path};

use tidemark_test_servers::{Database, Postgres};

use super::{destination, value};
use crate::workbench::Workbench;

/// Orders in files, to `copy`.
fn orders(copy: &Database<'_>) -> Workbench {
    let bench = Workbench::with_pipeline(&format!(
        "name: fenced
source: {{type: files, path: ./data, streams: {{orders: {{key: [id]}}}}}}
trigger: {{every: 100ms}}
destinations:
{}",
        destination("copy", copy, "mirror")
    ));
    bench.write("data/orders.csv", "id,amount\n1,10\n");
    bench
}

fn count(copy: &Database<'_>) -> String {
    match value(copy, "SELECT to_regclass('orders') IS NOT NULL").as_str() {
        "t" => value(copy, "SELECT count(*) FROM orders"),
        _ => "no table".to_owned(),
    }
}

/// Whether so many orders are there and the position has moved past them: rows of an initial sync are there before.
fn has_arrived(copy: &Database<'_>, orders: &str) -> bool {
    count(copy) == orders
        && value(copy, "SELECT count(*) FROM _tidemark.positions WHERE log IS NOT NULL") == "1"
        && value(copy, "SELECT count(*) FROM _tidemark.loaded") == "0"
}

pub(super) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (from, to) = entry.map(|entry| (entry.path(), to.join(entry.file_name()))).unwrap();
        if from.is_dir() { copy_folder(&from, &to) } else { fs::copy(from, to).map(|_| ()).unwrap() }
    }
}

/// Failure modes 33 and 43: a copy of the staging log goes on under the same destination.
#[test]
fn of_two_processes_with_copies_of_one_log_the_older_is_fenced() {
    let copy = Postgres::shared().database();
    let older = orders(&copy);
    let mut zombie = older.start("run pipeline.yaml");
    zombie.until("the first order has arrived", || has_arrived(&copy, "1"));

    let newer = orders(&copy);
    copy_folder(&older.path("staging"), &newer.path("staging"));
    newer.append("data/orders.csv", "2,20\n");
    let mut running = newer.start("run pipeline.yaml");
    running.until("the second order has arrived", || count(&copy) == "2");

    older.append("data/orders.csv", "3,30\n");
    let ended = zombie.ends().exits_with(3);
    assert!(ended.stderr.contains("another process has taken over destination `copy`"), "{}", ended.stderr);
    assert_eq!(value(&copy, "SELECT string_agg(id::text, ' ' ORDER BY id) FROM orders"), "1 2");

    newer.append("data/orders.csv", "4,40\n");
    running.until("the successor goes on", || count(&copy) == "3");
    running.terminate().succeeds();
    // Once it is fenced it stays so: its log and the destination have parted.
    older.tidemark("run pipeline.yaml --once").exits_with(3);
    assert_eq!(value(&copy, "SELECT string_agg(id::text, ' ' ORDER BY id) FROM orders"), "1 2 4");
}

/// Failure mode 33.
#[test]
fn a_position_altered_by_hand_stops_the_run() {
    for altered in [
        "sequence = sequence + 5",
        "hash = reverse(hash)",
        "hash = 'nonsense'",
        "log = 'another'",
        "sequence = -1",
        "notes = '{'",
    ] {
        let copy = Postgres::shared().database();
        let bench = orders(&copy);
        bench.tidemark("run pipeline.yaml --once").succeeds();
        copy.execute(&format!("UPDATE _tidemark.positions SET {altered}"));
        bench.append("data/orders.csv", "2,20\n");
        for _ in 0..2 {
            let ended = bench.tidemark("run pipeline.yaml --once").exits_with(3);
            assert!(ended.stderr.contains("destination `copy`"), "{altered}: {}", ended.stderr);
            assert!(ended.stderr.contains("hint:"), "{altered}: {}", ended.stderr);
        }
        assert_eq!(count(&copy), "1", "{altered}");
    }
}

/// Failure mode 33: the guard is in the transaction itself, not only at the start.
#[test]
fn a_position_altered_while_it_runs_stops_the_run() {
    for altered in ["epoch = epoch + 1", "sequence = sequence + 5"] {
        let copy = Postgres::shared().database();
        let bench = orders(&copy);
        let mut running = bench.start("run pipeline.yaml");
        running.until("the first order has arrived", || has_arrived(&copy, "1"));
        copy.execute(&format!("UPDATE _tidemark.positions SET {altered}"));
        bench.append("data/orders.csv", "2,20\n");
        let ended = running.ends().exits_with(3);
        assert!(ended.stderr.contains("destination `copy`"), "{altered}: {}", ended.stderr);
        assert_eq!(count(&copy), "1", "{altered}");
    }
}
