//! A pipeline that stays up: triggers, signals, destinations that do not hold back one another.

use crate::{rows::count_in_sqlite, workbench::Workbench};

const SOURCE: &str = "
name: running
source: {type: files, path: ./data, streams: {orders: {key: [id]}}}
";

#[test]
fn with_a_timer_the_source_is_read_again_and_again() {
    let bench = Workbench::with_pipeline(&format!(
        "{SOURCE}
trigger: {{every: 100ms}}
destinations:
  copy: {{type: sqlite, path: ./copy.db, write: mirror}}
"
    ));
    let copy = bench.path("copy.db");
    bench.write("data/orders.csv", "id,amount\n1,10\n");
    let mut running = bench.start("run pipeline.yaml");
    running.until("the first order has arrived", || count_in_sqlite(&copy, "orders") == 1);
    bench.append("data/orders.csv", "2,20\n");
    running.until("the second order has arrived", || count_in_sqlite(&copy, "orders") == 2);
    running.terminate().succeeds();
}

#[test]
fn a_destination_that_fails_stops_alone_and_the_others_go_on() {
    let bench = Workbench::with_pipeline(&format!(
        "{SOURCE}
destinations:
  copy: {{type: sqlite, path: ./copy.db, write: mirror}}
  theirs: {{type: sqlite, path: ./theirs.db, write: mirror}}
"
    ));
    let copy = bench.path("copy.db");
    let theirs = rusqlite::Connection::open(bench.path("theirs.db")).unwrap();
    theirs
        .execute_batch("CREATE TABLE orders (id INTEGER PRIMARY KEY); INSERT INTO orders VALUES (7);")
        .unwrap();
    drop(theirs);

    bench.write("data/orders.csv", "id,amount\n1,10\n");
    let mut running = bench.start("run pipeline.yaml");
    running.until("the first order has arrived", || count_in_sqlite(&copy, "orders") == 1);
    bench.append("data/orders.csv", "2,20\n");
    running.until("the second order has arrived", || count_in_sqlite(&copy, "orders") == 2);
    let ended = running.terminate();
    assert!(ended.code() != 0 && ended.stderr.contains("destination `theirs`"), "{}", ended.stderr);
    assert!(ended.stderr.contains("adopt"), "the error should say what can be done:\n{}", ended.stderr);

    let status = bench.tidemark("status pipeline.yaml").succeeds().stdout;
    assert!(status.contains("theirs  failed"), "{status}");
    let theirs = rusqlite::Connection::open(bench.path("theirs.db")).unwrap();
    let ids: i64 = theirs.query_row("SELECT sum(id) FROM orders", [], |row| row.get(0)).unwrap();
    assert_eq!(ids, 7, "somebody's table was written to");
}

#[test]
fn a_destination_that_is_down_is_waited_for_until_a_signal() {
    let bench = Workbench::with_pipeline(&format!(
        "{SOURCE}
destinations:
  copy: {{type: sqlite, path: ./copy.db, write: mirror}}
  busy: {{type: sqlite, path: ./busy.db, write: mirror}}
"
    ));
    let copy = bench.path("copy.db");
    let busy = rusqlite::Connection::open(bench.path("busy.db")).unwrap();
    busy.execute_batch("PRAGMA journal_mode = WAL; BEGIN IMMEDIATE; CREATE TABLE mine (id INTEGER);")
        .unwrap();

    bench.write("data/orders.csv", "id,amount\n1,10\n");
    let mut running = bench.start("run pipeline.yaml");
    running.until("the other destination has it", || count_in_sqlite(&copy, "orders") == 1);
    running.until("the loop says that it waits", || {
        bench.tidemark("status pipeline.yaml").succeeds().stdout.contains("retrying")
    });
    busy.execute_batch("COMMIT").unwrap();
    running.until("the destination has caught up", || count_in_sqlite(&bench.path("busy.db"), "orders") == 1);
    running.terminate().succeeds();
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let bench = Workbench::with_pipeline(&format!(
        "{SOURCE}
destinations:
  copy: {{type: sqlite, path: ./copy.db, write: mirror}}
  busy: {{type: sqlite, path: ./busy.db, write: mirror}}
"
    ));
    // The loop waits for this transaction, for seconds, and hears no signal meanwhile.
    let busy = rusqlite::Connection::open(bench.path("busy.db")).unwrap();
    busy.execute_batch("PRAGMA journal_mode = WAL; BEGIN IMMEDIATE; CREATE TABLE mine (id INTEGER);")
        .unwrap();
    bench.write("data/orders.csv", "id,amount\n1,10\n");
    let mut running = bench.start("run pipeline.yaml");
    running.until("the other destination has it", || count_in_sqlite(&bench.path("copy.db"), "orders") == 1);
    running.ask_to_stop();
    running.until_it_says("stopping; a second signal leaves at once");
    running.terminate().exits_with(130);

    // Leaving at once is safe.
    busy.execute_batch("COMMIT").unwrap();
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(count_in_sqlite(&bench.path("busy.db"), "orders"), 1);
}
