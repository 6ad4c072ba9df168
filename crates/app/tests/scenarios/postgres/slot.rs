//! A slot that does not continue where the staged changes end: the run stops with exit code 3, moves nothing, and says why,
//! again and again, until a person decides.

use tidemark_test_servers::{Database, Postgres};

use super::{
    destination,
    kept::{Kept, commit, of_slot, slot},
    pipeline,
};
use crate::workbench::Workbench;

pub(super) const ORDERS: &str =
    "CREATE TABLE orders (id int PRIMARY KEY, note text); INSERT INTO orders VALUES (1, 'a')";
pub(super) const NEXT_ORDER: &str = "INSERT INTO orders SELECT max(id) + 1 FROM orders";

/// Two runs in a row end with exit code 3 and these words, and the log does not grow.
pub(super) fn assert_stops(bench: &Workbench, words: &[&str]) {
    let before = commit(bench);
    for _ in ["at first", "after a restart"] {
        let said = bench.tidemark("run pipeline.yaml --once").exits_with(3).stderr;
        for word in words {
            assert!(said.contains(word), "it should say `{word}`:\n{said}");
        }
    }
    assert_eq!(commit(bench), before, "the position moved");
}

/// Failure mode 1: the server has removed log that was not read.
#[test]
fn a_lost_slot_stops_the_run() {
    let server = Postgres::with_settings(&[("max_slot_wal_keep_size", "1MB"), ("autovacuum", "off")]);
    let kept = Kept::of(&server, ORDERS);
    kept.catch_up();
    for _ in 0..10 {
        kept.source.execute(NEXT_ORDER);
        kept.source.query("SELECT pg_switch_wal()");
        kept.source.execute("CHECKPOINT");
        if of_slot(&kept.source, "wal_status") == "lost" {
            break;
        }
    }
    assert_eq!(of_slot(&kept.source, "wal_status"), "lost");
    assert_stops(&kept.bench, &["has removed the log", &slot(&kept.source), "max_slot_wal_keep_size"]);
    assert_eq!(kept.of_mirror("SELECT count(*) FROM orders"), "1");
}

/// Failure mode 1: the server removes it while the stream is open.
#[test]
fn a_slot_that_is_lost_while_it_is_read_stops_the_run() {
    let server = Postgres::with_settings(&[("max_slot_wal_keep_size", "1MB"), ("autovacuum", "off")]);
    let kept = Kept::of(&server, ORDERS);
    let mut running = kept.bench.start("run pipeline.yaml");
    running.until("the first order has arrived", || {
        kept.of_mirror("SELECT to_regclass('orders')") == "orders"
            && kept.of_mirror("SELECT count(*) FROM orders") == "1"
    });
    // A transaction that stays open holds the slot back while the log goes on.
    kept.source.execute("CREATE TABLE gate (id int)");
    std::thread::scope(|scope| {
        let open = scope.spawn(|| {
            kept.source.execute(&format!("BEGIN; {NEXT_ORDER}; {UNTIL_THE_GATE_OPENS}; COMMIT"));
        });
        for _ in 0..20 {
            if of_slot(&kept.source, "wal_status") == "lost" {
                break;
            }
            kept.source.execute("INSERT INTO gate SELECT 0 WHERE false");
            kept.source.query("SELECT pg_logical_emit_message(false, 'filler', repeat('x', 1000000))");
            kept.source.query("SELECT pg_switch_wal()");
            kept.source.execute("CHECKPOINT");
        }
        kept.source.execute("INSERT INTO gate VALUES (1)");
        open.join().unwrap();
    });
    assert_eq!(of_slot(&kept.source, "wal_status"), "lost");
    running.ends().exits_with(3);
    assert_stops(&kept.bench, &["has removed the log"]);
}

/// A statement that waits until table `gate` has a row.
pub(super) const UNTIL_THE_GATE_OPENS: &str =
    "DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM gate) LOOP PERFORM pg_sleep(0.02); END LOOP; END $$";

/// Failure mode 2: somebody else has read from the slot.
#[test]
fn a_slot_that_was_advanced_elsewhere_stops_the_run() {
    let kept = Kept::of(Postgres::shared(), ORDERS);
    kept.catch_up();
    kept.source.execute(NEXT_ORDER);
    let name = slot(&kept.source);
    kept.source.query(&format!("SELECT pg_replication_slot_advance('{name}', pg_current_wal_lsn())"));
    assert_stops(&kept.bench, &["beyond", &name, "somebody else has read"]);
    assert_eq!(kept.of_mirror("SELECT count(*) FROM orders"), "1");
}

/// Failure modes 2 and 3: the slot is gone; one that was made anew is another one, though nothing at all happened meanwhile.
#[test]
fn a_slot_that_was_dropped_and_made_anew_stops_the_run() {
    for is_quiet in [false, true] {
        let own = is_quiet.then(|| Postgres::with_settings(&[("autovacuum", "off")]));
        let kept = Kept::of(own.as_ref().unwrap_or_else(|| Postgres::shared()), ORDERS);
        kept.catch_up();
        let name = slot(&kept.source);
        kept.source.query(&format!("SELECT pg_drop_replication_slot('{name}')"));
        if !is_quiet {
            assert_stops(&kept.bench, &["is gone", &name, "changes may be missing"]);
            kept.source.execute(NEXT_ORDER);
        }
        kept.source.query(&format!("SELECT pg_create_logical_replication_slot('{name}', 'pgoutput')"));
        assert_stops(&kept.bench, &["beyond", &name, "made it anew"]);
        assert_eq!(kept.of_mirror("SELECT count(*) FROM orders"), "1");
    }
}

/// Failure mode 3: the same names on another server.
#[test]
fn another_server_under_the_same_names_stops_the_run() {
    let (first, second) = (Postgres::start(), Postgres::start());
    let (source, other, mirror) = (first.database(), second.database(), Postgres::shared().database());
    let bench = pipeline(&source, "[\"public.*\"]", &destination("mirror", &mirror, "mirror"));
    source.execute(ORDERS);
    bench.tidemark("run pipeline.yaml --once").succeeds();

    assert_eq!(source.name(), other.name());
    other.execute(ORDERS);
    other.query(&format!("SELECT pg_create_logical_replication_slot('{}', 'pgoutput')", slot(&source)));
    point_at(&bench, &source, &other);
    assert_stops(&bench, &["this is another server", "system identifier"]);
    point_at(&bench, &other, &source);
    bench.tidemark("run pipeline.yaml --once").succeeds();
}

fn point_at(bench: &Workbench, from: &Database<'_>, to: &Database<'_>) {
    let pipeline = std::fs::read_to_string(bench.path("pipeline.yaml")).unwrap();
    bench.write("pipeline.yaml", &pipeline.replace(&from.url(), &to.url()));
}

/// Failure mode 17: the server goes on as a copy of itself, which may have lost commits of the former.
#[test]
fn another_timeline_stops_the_run() {
    let server = Postgres::start();
    let kept = Kept::of(&server, ORDERS);
    kept.catch_up();
    server.fail_over();
    kept.source.execute(NEXT_ORDER);
    assert_stops(&kept.bench, &["timeline went from 1 to 2", "changes may be missing"]);
    assert_eq!(kept.of_mirror("SELECT count(*) FROM orders"), "1");
}

/// A slot and a publication that a DBA has made are used as they are.
#[test]
fn what_a_dba_made_is_used_and_never_altered() {
    let server = Postgres::shared();
    let (source, mirror) = (server.database(), server.database());
    let name = format!("dba_{}", source.name());
    source.execute(&format!("{ORDERS}; CREATE TABLE other (id int PRIMARY KEY)"));
    source.execute("CREATE PUBLICATION theirs FOR TABLE orders WITH (publish_via_partition_root = true)");
    let bench = Workbench::with_pipeline(&format!(
        "name: dba
source: {{type: postgres, url: \"{}\", publication: theirs, slot: {name}, streams: [public.orders]}}
destinations:
{}",
        source.url(),
        destination("mirror", &mirror, "mirror")
    ));
    let said = bench.tidemark("run pipeline.yaml --once").exits_with(2).stderr;
    assert!(said.contains(&format!("there is no replication slot `{name}`")), "{said}");
    source.query(&format!("SELECT pg_create_logical_replication_slot('{name}', 'pgoutput')"));
    let made = "SELECT p.xmin, p.*, r.xmin, r.* FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid";
    let before = source.query(made);
    for orders in ["1", "2"] {
        bench.tidemark("run pipeline.yaml --once").succeeds();
        assert_eq!(super::value(&mirror, "SELECT count(*) FROM orders"), orders);
        source.execute(NEXT_ORDER);
    }
    assert_eq!(source.query(made), before, "the DBA's publication was altered");
    assert_eq!(source.query("SELECT pubname FROM pg_publication"), [[Some("theirs".to_owned())]]);
    assert_eq!(slot(&source), name, "another slot was made");
}
