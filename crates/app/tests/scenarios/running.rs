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

/// A table of somebody else's, in the way.
fn their_orders(bench: &Workbench) {
    let theirs = rusqlite::Connection::open(bench.path("theirs.db")).unwrap();
    theirs
        .execute_batch("CREATE TABLE orders (id INTEGER PRIMARY KEY); INSERT INTO orders VALUES (7);")
        .unwrap();
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
    bench.write("theirs.db", "somebody's notes, and no database at all");

    bench.write("data/orders.csv", "id,amount\n1,10\n");
    let mut running = bench.start("run pipeline.yaml");
    running.until("the first order has arrived", || count_in_sqlite(&copy, "orders") == 1);
    bench.append("data/orders.csv", "2,20\n");
    running.until("the second order has arrived", || count_in_sqlite(&copy, "orders") == 2);
    let ended = running.terminate();
    assert!(ended.code() != 0 && ended.stderr.contains("destination `theirs`"), "{}", ended.stderr);
    assert!(ended.stderr.contains("remove this one"), "it says what can be done:\n{}", ended.stderr);

    let status = bench.tidemark("status pipeline.yaml").succeeds().stdout;
    assert!(status.contains("theirs  failed"), "{status}");
    let theirs = std::fs::read_to_string(bench.path("theirs.db")).unwrap();
    assert!(theirs.starts_with("somebody's notes"), "somebody's file was written to");
}

#[test]
fn a_stream_that_fails_is_held_alone_and_plays_up_when_the_cause_is_gone() {
    let bench = Workbench::with_pipeline(
        "
name: alone
source: {type: files, path: ./data, streams: {orders: {key: [id]}, customers: {key: [id]}}}
destinations:
  copy: {type: sqlite, path: ./copy.db, write: mirror}
  theirs: {type: sqlite, path: ./theirs.db, write: mirror}
",
    );
    their_orders(&bench);
    let theirs = bench.path("theirs.db");
    bench.write("data/orders.csv", "id,amount\n1,10\n");
    bench.write("data/customers.csv", "id,name\n1,Ada\n");
    let mut running = bench.start("run pipeline.yaml");
    running.until("the other stream has arrived", || count_in_sqlite(&theirs, "customers") == 1);
    bench.append("data/orders.csv", "2,20\n");
    bench.append("data/customers.csv", "2,Grace\n");
    running.until("the other stream goes on", || count_in_sqlite(&theirs, "customers") == 2);
    let copy = bench.path("copy.db");
    running.until("the other destination has both", || count_in_sqlite(&copy, "orders") == 2);
    running.until("the status says so", || {
        let status = bench.tidemark("status pipeline.yaml").succeeds().stdout;
        status.contains("stream `orders` held after commit ") && status.contains("theirs  running")
    });
    let ended = running.terminate();
    ended.exits_with(2);
    assert_eq!(count_in_sqlite(&theirs, "orders"), 1, "somebody's table was written to");

    // Without a remedy it is the same again.
    let ended = bench.tidemark("run pipeline.yaml --once").exits_with(2);
    assert!(ended.stderr.contains("destination `theirs`: stream `orders` is held"), "{}", ended.stderr);
    assert!(ended.stderr.contains("adopt"), "it says what can be done:\n{}", ended.stderr);
    let status = bench.tidemark("status pipeline.yaml --json").succeeds().stdout;
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let held = &status["destinations"][1]["held"][0];
    assert_eq!((held["stream"].as_str(), held["kind"].as_str()), (Some("orders"), Some("config")));

    let connection = rusqlite::Connection::open(&theirs).unwrap();
    connection.execute_batch("DROP TABLE orders").unwrap();
    drop(connection);
    bench.append("data/orders.csv", "3,30\n");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(count_in_sqlite(&theirs, "orders"), 3, "it has what it missed");
    let status = bench.tidemark("status pipeline.yaml").succeeds().stdout;
    assert!(!status.contains("held"), "{status}");
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

/// In a folder it has the place to itself for as long as it lives.
#[test]
fn a_process_that_stands_still_is_not_replaced_and_goes_on() {
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
    running.suspend();
    bench.append("data/orders.csv", "2,20\n");
    let second = bench.tidemark("run pipeline.yaml --once").exits_with(2);
    assert!(second.stderr.contains(&running.id().to_string()), "{}", second.stderr);
    assert_eq!(count_in_sqlite(&copy, "orders"), 1);
    running.resume();
    running.until("the second order has arrived", || count_in_sqlite(&copy, "orders") == 2);
    running.terminate().succeeds();
}
