//! Destinations that somebody pauses, and resumes.

use serde_json::Value as Json;

use crate::{rows::count_in_sqlite, workbench::Workbench};

const PIPELINE: &str = "
name: pausing
source: {type: files, path: ./data, streams: {orders: {key: [id]}}}
destinations:
  copy: {type: sqlite, path: ./copy.db, write: mirror}
  other: {type: sqlite, path: ./other.db, write: mirror, on_error: dead-letter}
  later: {type: sqlite, path: ./later.db, write: mirror, live: false}
";

fn state(bench: &Workbench, destination: usize) -> String {
    let status = bench.tidemark("status pipeline.yaml --json").succeeds().stdout;
    let status: Json = serde_json::from_str(&status).unwrap();
    status["destinations"][destination]["state"].as_str().unwrap().to_owned()
}

#[test]
fn a_paused_destination_is_given_nothing_until_it_is_resumed() {
    let bench = Workbench::with_pipeline(PIPELINE);
    let count = |name: &str| count_in_sqlite(&bench.path(name), "orders");
    bench.write("data/orders.csv", "id,amount\n1,10\n");
    let mut running = bench.start("run pipeline.yaml");
    running.until("both have the first", || count("copy.db") == 1 && count("other.db") == 1);
    bench.tidemark("pause --wait pipeline.yaml copy").succeeds();
    assert_eq!(state(&bench, 0), "paused");
    bench.append("data/orders.csv", "2,20\n");
    running.until("the other has the second", || count("other.db") == 2);
    running.terminate().succeeds();
    assert_eq!(count("copy.db"), 1);

    // It lasts through a restart, and `--once` does not wait for it.
    bench.append("data/orders.csv", "3,30\n");
    let ended = bench.tidemark("run pipeline.yaml --once").succeeds();
    assert!(ended.stderr.contains("is paused"), "{}", ended.stderr);
    assert_eq!((count("copy.db"), count("other.db")), (1, 3));
    assert_eq!((state(&bench, 0), state(&bench, 1)), ("paused".to_owned(), "stopped".to_owned()));

    let mut running = bench.start("run pipeline.yaml");
    running.until_it_says("the destination is paused");
    let said = bench.tidemark("resume pipeline.yaml copy --json").succeeds().stdout;
    assert!(said.contains("\"was_paused\": true"), "{said}");
    running.until("it has what it has missed", || count("copy.db") == 3);
    assert_eq!(state(&bench, 0), "running");
    running.terminate().succeeds();
}

#[test]
fn what_cannot_be_paused_is_refused_and_pausing_twice_is_pausing() {
    let bench = Workbench::with_pipeline(PIPELINE);
    bench.write("data/orders.csv", "id,amount\n1,10\n");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let refused = bench.tidemark("pause pipeline.yaml cpoy").exits_with(2).stderr;
    assert!(refused.contains("cpoy") && refused.contains("copy"), "{refused}");
    let refused = bench.tidemark("pause pipeline.yaml later").exits_with(2).stderr;
    assert!(refused.contains("live"), "{refused}");

    bench.tidemark("pause pipeline.yaml copy").succeeds();
    let said = bench.tidemark("pause --wait pipeline.yaml copy").succeeds().stdout;
    assert!(said.contains("was paused already"), "{said}");
    bench.tidemark("resume pipeline.yaml copy").succeeds();
    let said = bench.tidemark("resume pipeline.yaml copy").succeeds().stdout;
    assert!(said.contains("was not paused"), "{said}");
    bench.append("data/orders.csv", "2,20\n");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(count_in_sqlite(&bench.path("copy.db"), "orders"), 2);
}

#[test]
fn dead_letters_wait_while_their_destination_is_paused() {
    let bench = Workbench::with_pipeline(PIPELINE);
    let other = rusqlite::Connection::open(bench.path("other.db")).unwrap();
    bench.write("data/orders.csv", "id,amount\n1,10\n");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let limit = "CREATE TRIGGER small BEFORE INSERT ON orders WHEN NEW.amount > 1000
        BEGIN SELECT RAISE(ABORT, 'too much'); END";
    other.execute_batch(limit).unwrap();
    bench.append("data/orders.csv", "2,2000\n");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    other.execute_batch("DROP TRIGGER small").unwrap();

    bench.tidemark("pause pipeline.yaml other").succeeds();
    let refused = bench.tidemark("dead-letters pipeline.yaml retry").exits_with(2).stderr;
    assert!(refused.contains("destination `other`: it is paused"), "{refused}");
    assert_eq!(count_in_sqlite(&bench.path("other.db"), "orders"), 1);
    bench.tidemark("resume pipeline.yaml other").succeeds();
    // What was asked in vain is done when it can be.
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(count_in_sqlite(&bench.path("other.db"), "orders"), 2);
}
