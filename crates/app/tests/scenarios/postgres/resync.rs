//! Tables that are read anew while everything goes on: because somebody asks for it, because the pipeline file says something else
//! of them, because the source has lost changes; and tables that come and go.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use rusqlite::Connection;
use serde_json::Value as Json;
use tidemark_test_servers::{Database, Postgres};

use super::{
    comparison::assert_equal,
    destination,
    kept::{Kept, commit, of_slot, ops, slot, staged},
    pipeline, value,
};
use crate::{
    growth::Chance,
    process::{Running, pause},
    workbench::Workbench,
};

/// What `tidemark status` says.
fn status(bench: &Workbench) -> Json {
    serde_json::from_str(&bench.tidemark("status pipeline.yaml --json").succeeds().stdout).unwrap()
}

/// The streams that are being read, with what there is of them meanwhile.
fn syncing(bench: &Workbench) -> Vec<(String, String)> {
    let text = |value: &Json| value.as_str().unwrap().to_owned();
    let all = status(bench)["streams"]["syncing"].as_array().unwrap().clone();
    all.iter().map(|it| (text(&it["stream"]), text(&it["former"]))).collect()
}

/// Waits until no stream is being read, nowhere is one filled anew, and every destination has all.
fn until_all_is_quiet(bench: &Workbench, running: &mut Running) {
    running.until("everything is read and filled", || {
        let status = status(bench);
        let none = |value: &Json| value.as_array().is_some_and(Vec::is_empty);
        let destinations = status["destinations"].as_array().unwrap();
        none(&status["streams"]["syncing"])
            && none(&status["streams"]["asked"])
            && destinations.iter().all(|it| none(&it["anew"]) && it["behind"] == 0)
    });
}

/// Three tables of which `big` is read in several chunks; commits are so far apart that a test can act between two.
fn three(source: &Database<'_>, destinations: &str) -> Workbench {
    source.execute(
        "CREATE TABLE big (id int PRIMARY KEY, n int, filler text); ALTER TABLE big ALTER filler SET STORAGE PLAIN;
         INSERT INTO big SELECT i, 0, repeat('x', 3500) FROM generate_series(1, 24000) i; ANALYZE big;
         CREATE TABLE small (id int PRIMARY KEY, n int); INSERT INTO small SELECT i, 0 FROM generate_series(1, 200) i;
         CREATE TABLE other (id int PRIMARY KEY, t text); INSERT INTO other VALUES (0, 'begin')",
    );
    Workbench::with_pipeline(&format!(
        "name: {}
source:
  type: postgres
  url: \"{}\"
  readers: 1
  streams: {{public.big: {{exclude: [filler]}}, public.small: {{}}, public.other: {{}}}}
staging: {{path: ./staging, max_delay: 1s}}
destinations:
{destinations}",
        source.name(),
        source.url(),
    ))
}

/// Rows come, change, move and go in all three, until told to stop.
fn write_on(source: &Database<'_>, stop: &AtomicBool, seed: u64) {
    let mut chance = Chance::new(seed);
    let mut next = 100_000;
    while !stop.load(Ordering::Relaxed) {
        next += 1;
        let mut id = |below: u64| chance.below(below) + 1;
        source.execute(&format!(
            "UPDATE big SET n = n + 1 WHERE id IN ({}, {}); DELETE FROM big WHERE id = {};
             INSERT INTO big VALUES ({next}, 1, 'y'); UPDATE big SET id = -{next} WHERE id = {};
             UPDATE small SET n = n + 1 WHERE id = {}; DELETE FROM small WHERE id = {};
             INSERT INTO small VALUES ({next}, 1); INSERT INTO other VALUES ({next}, 'w')",
            id(24_000),
            id(24_000),
            id(24_000),
            id(24_000),
            id(200),
            id(200),
        ));
        pause(Duration::from_millis(10));
    }
}

/// A destination of those tables.
enum Target<'s> {
    Postgres(Database<'s>),
    Sqlite(PathBuf),
}

impl Target<'_> {
    /// `sql` with the tables as they are called there.
    fn named(&self, sql: &str) -> String {
        let tables = ["big", "small", "other"];
        match self {
            Self::Postgres(_) => {
                tables.iter().fold(sql.to_owned(), |sql, table| sql.replace(&format!("{{{table}}}"), table))
            }
            Self::Sqlite(_) => tables.iter().fold(sql.to_owned(), |sql, table| {
                sql.replace(&format!("{{{table}}}"), &format!("\"public.{table}\""))
            }),
        }
    }

    fn execute(&self, sql: &str) {
        match self {
            Self::Postgres(database) => database.execute(&self.named(sql)),
            Self::Sqlite(path) => Connection::open(path).unwrap().execute_batch(&self.named(sql)).unwrap(),
        }
    }

    fn value(&self, sql: &str) -> String {
        match self {
            Self::Postgres(database) => value(database, &self.named(sql)),
            Self::Sqlite(path) => {
                let connection = Connection::open(path).unwrap();
                connection.busy_timeout(Duration::from_secs(30)).unwrap();
                connection.query_row(&self.named(sql), [], |row| row.get(0)).unwrap()
            }
        }
    }

    /// Every row of the three, as text.
    fn rows(&self) -> String {
        let tables = ["{big}", "{small}"]
            .map(|table| format!("SELECT '{table}' AS t, id, CAST(n AS text) AS v FROM {table}"));
        let all =
            format!("{} UNION ALL SELECT '{{other}}', id, t FROM {{other}}", tables.join(" UNION ALL "));
        let line = "replace(replace(t, 'public.', ''), '\"', '') || ' ' || id || ' ' || v";
        self.value(&match self {
            Self::Postgres(_) => {
                format!("SELECT string_agg({line}, ',' ORDER BY {line} COLLATE \"C\") FROM ({all}) a")
            }
            Self::Sqlite(_) => {
                format!("SELECT group_concat(line, ',') FROM (SELECT {line} AS line FROM ({all}) ORDER BY 1)")
            }
        })
    }
}

#[test]
fn a_table_is_read_anew_into_postgres_while_everything_goes_on() {
    let mirror = Postgres::shared().database();
    let line = destination("mirror", &mirror, "mirror");
    assert_a_table_is_read_anew_while_everything_goes_on(&line, |_| Target::Postgres(mirror));
}

#[test]
fn a_table_is_read_anew_into_sqlite_while_everything_goes_on() {
    let line = "  mirror: {type: sqlite, path: ./mirror.db, write: mirror}\n";
    assert_a_table_is_read_anew_while_everything_goes_on(line, |bench| {
        Target::Sqlite(bench.path("mirror.db"))
    });
}

/// One of three tables is asked for, under load and through kills: it is what the source has in the end, whatever the destination had
/// instead; its own changes and those of the others go on arriving meanwhile.
fn assert_a_table_is_read_anew_while_everything_goes_on<'s>(
    line: &str,
    target: impl FnOnce(&Workbench) -> Target<'s>,
) {
    let source = Postgres::shared().database();
    let bench = three(&source, line);
    let mirror = target(&bench);
    bench.tidemark("run pipeline.yaml --once").succeeds();
    // What nobody has told it: a re-sync mends it.
    mirror.execute(
        "UPDATE {big} SET n = -1 WHERE id % 7 = 0; DELETE FROM {big} WHERE id % 11 = 0; INSERT INTO {big} VALUES (-5, -5)",
    );
    let (stop, seed) = (AtomicBool::new(false), Chance::from_the_environment().below(u64::MAX));
    thread::scope(|scope| {
        let load = scope.spawn(|| write_on(&source, &stop, seed));
        // A test that fails must not wait for a load without an end.
        let end = Ending(&stop);
        let mut running = bench.start("run pipeline.yaml");
        running.until_it_says("running");
        let asked = bench.tidemark("resync pipeline.yaml --stream public.big").succeeds().stdout;
        assert!(asked.contains("will be read anew now, by process"), "{asked}");
        running.until("it is being read anew", || {
            syncing(&bench) == [("public.big".to_owned(), "current".to_owned())]
        });
        source.execute("INSERT INTO other VALUES (-1, 'meanwhile'); INSERT INTO big VALUES (500000, 7, '')");
        running.until("changes arrive meanwhile", || {
            mirror.value("SELECT CAST(count(*) AS text) FROM {other} WHERE id = -1") == "1"
                && mirror.value("SELECT CAST(count(*) AS text) FROM {big} WHERE id = 500000") == "1"
        });
        assert_eq!(syncing(&bench).len(), 1, "they arrive while it is being read");
        let kept = mirror.value("SELECT CAST(count(*) AS text) FROM {big} WHERE id = -5");
        assert_eq!(kept, "1", "it keeps what it has");
        for _ in 0..4 {
            let before = commit(&bench);
            running.until("something more is staged", || commit(&bench) > before);
            running.kill().was_killed();
            running = bench.start("run pipeline.yaml");
        }
        until_all_is_quiet(&bench, &mut running);
        running.terminate().succeeds();
        drop(end);
        load.join().unwrap();
    });
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let (found, expected) = (mirror.rows(), Target::Postgres(source).rows());
    let differ = found.split(',').zip(expected.split(',')).find(|(found, expected)| found != expected);
    assert!(found == expected, "a table differs; first at {differ:?}");
    for (table, rows) in [("small", 200), ("other", 1)] {
        let read = ops(&bench, table).chars().filter(|op| *op == 'r').count();
        assert_eq!(read, rows, "`{table}` was read again");
    }
    assert!(!ops(&bench, "big").contains('t'), "it never was void");
}

/// Ends a load when it goes.
struct Ending<'s>(&'s AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

const ORDERS: &str =
    "CREATE TABLE orders (id int PRIMARY KEY, note text); INSERT INTO orders VALUES (1, 'a'), (2, 'b');
    CREATE TABLE quiet (id int PRIMARY KEY); INSERT INTO quiet VALUES (1)";
/// Changes that nobody will ever tell of.
const UNSEEN: &str = "INSERT INTO orders VALUES (3, 'c'); UPDATE orders SET note = 'z' WHERE id = 1; DELETE FROM orders WHERE id = 2";

/// It stops with exit code 3; a re-sync of one table is no way out, one of all is; and then it goes on as ever.
fn assert_a_resync_is_the_way_out(kept: &Kept<'_>) {
    let before = commit(&kept.bench);
    let run = || kept.bench.tidemark("run pipeline.yaml --once");
    let said = run().exits_with(3).stderr;
    assert!(said.contains("tidemark resync FILE"), "it should say what to do:\n{said}");
    kept.bench.tidemark("resync pipeline.yaml --stream public.orders").succeeds();
    run().exits_with(3);
    assert_eq!(
        (commit(&kept.bench), kept.of_mirror("SELECT count(*) FROM orders")),
        (before, "2".to_owned())
    );
    let asked = kept.bench.tidemark("resync pipeline.yaml").succeeds().stdout;
    assert!(asked.contains("by the next run"), "{asked}");

    run().succeeds();
    kept.assert_mirrored(&["orders", "quiet"]);
    let status = status(&kept.bench);
    assert_eq!(status["streams"], serde_json::json!({"syncing": [], "asked": [], "left": []}));
    let read = staged(&kept.bench, "orders");
    let generations: String = read.iter().map(|change| change["op"].as_str().unwrap()).collect();
    assert_eq!(generations, "rrtrr", "it was read twice");
    kept.source.execute("INSERT INTO orders VALUES (4, 'd'); INSERT INTO quiet VALUES (4)");
    run().succeeds();
    kept.assert_mirrored(&["orders", "quiet"]);
    assert_eq!(ops(&kept.bench, "orders"), "rrtrrc", "and goes on");
}

/// Failure mode 1: the server has removed log that was not read.
#[test]
fn a_resync_is_the_way_out_of_a_lost_slot() {
    let server = Postgres::with_settings(&[("max_slot_wal_keep_size", "1MB"), ("autovacuum", "off")]);
    let kept = Kept::of(&server, ORDERS);
    kept.catch_up();
    kept.source.execute(UNSEEN);
    for _ in 0..10 {
        kept.source.query("SELECT pg_logical_emit_message(false, 'filler', repeat('x', 1000000))");
        kept.source.query("SELECT pg_switch_wal()");
        kept.source.execute("CHECKPOINT");
        if of_slot(&kept.source, "wal_status") == "lost" {
            break;
        }
    }
    assert_eq!(of_slot(&kept.source, "wal_status"), "lost");
    assert_a_resync_is_the_way_out(&kept);
}

/// Failure modes 2 and 3: somebody has dropped the slot, read from it, or dropped the publication.
#[test]
fn a_resync_is_the_way_out_of_a_slot_or_a_publication_that_is_not_ours_any_more() {
    for what in [
        "SELECT pg_drop_replication_slot('SLOT')",
        "SELECT pg_replication_slot_advance('SLOT', pg_current_wal_lsn())",
        "DROP PUBLICATION \"SLOT\"",
        "DROP PUBLICATION \"SLOT\"; CREATE PUBLICATION \"SLOT\" FOR TABLE orders, quiet WITH (publish_via_partition_root = true)",
    ] {
        let kept = Kept::of(Postgres::shared(), ORDERS);
        kept.catch_up();
        kept.source.execute(UNSEEN);
        kept.source.execute(&what.replace("SLOT", &slot(&kept.source)));
        assert_a_resync_is_the_way_out(&kept);
    }
}

/// Failure mode 17: the server goes on as a copy of itself.
#[test]
fn a_resync_is_the_way_out_of_another_timeline() {
    let server = Postgres::start();
    let kept = Kept::of(&server, ORDERS);
    kept.catch_up();
    kept.source.execute(UNSEEN);
    server.fail_over();
    assert_a_resync_is_the_way_out(&kept);
}

/// Another server has taken the old one's place. A slot that is there already is not ours to drop.
#[test]
fn a_resync_leads_to_another_server() {
    let (first, second) = (Postgres::start(), Postgres::start());
    let (source, mirror) = (first.database(), Postgres::shared().database());
    let bench = pipeline(&source, "[\"public.*\"]", &destination("mirror", &mirror, "mirror"));
    source.execute(ORDERS);
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let name = slot(&source);

    let other = second.database();
    assert_eq!(source.name(), other.name());
    other.execute(&format!("{ORDERS}; {UNSEEN}"));
    other.query(&format!("SELECT pg_create_logical_replication_slot('{name}', 'pgoutput')"));
    let file = std::fs::read_to_string(bench.path("pipeline.yaml")).unwrap();
    bench.write("pipeline.yaml", &file.replace(&source.url(), &other.url()));
    bench.tidemark("resync pipeline.yaml").succeeds();
    let said = bench.tidemark("run pipeline.yaml --once").exits_with(3).stderr;
    assert!(said.contains(&format!("there is a replication slot `{name}` on this other server")), "{said}");
    other.query(&format!("SELECT pg_drop_replication_slot('{name}')"));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    other.execute("INSERT INTO orders VALUES (9, 'i')");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    for table in ["public.orders", "public.quiet"] {
        assert_equal(&other, &mirror, table);
    }
}

/// A slot that a DBA made is the DBA's to make again; then everything is read anew from there.
#[test]
fn a_dbas_slot_is_made_again_by_the_dba() {
    let server = Postgres::shared();
    let (source, mirror) = (server.database(), server.database());
    let name = format!("dba_{}", source.name());
    source.execute(ORDERS);
    let make = || source.query(&format!("SELECT pg_create_logical_replication_slot('{name}', 'pgoutput')"));
    make();
    let bench = Workbench::with_pipeline(&format!(
        "name: dba_{}
source: {{type: postgres, url: \"{}\", slot: {name}}}
destinations:
{}",
        source.name(),
        source.url(),
        destination("mirror", &mirror, "mirror")
    ));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    source.execute(UNSEEN);
    source.query(&format!("SELECT pg_drop_replication_slot('{}')", slot(&source)));
    bench.tidemark("resync pipeline.yaml").succeeds();
    let said = bench.tidemark("run pipeline.yaml --once").exits_with(2).stderr;
    assert!(said.contains(&format!("there is no replication slot `{name}`")), "{said}");
    make();
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_equal(&source, &mirror, "public.orders");
    assert_eq!(slot(&source), name, "another slot was made");
}

/// The slot is lost, somebody asks for everything, and the process is killed again and again: what a destination shows is what it had,
/// or all that is new.
#[test]
fn a_resync_of_everything_goes_on_through_kills() {
    let kept = Kept::of(Postgres::shared(), ORDERS);
    kept.catch_up();
    kept.source.execute(UNSEEN);
    kept.source.query(&format!("SELECT pg_drop_replication_slot('{}')", slot(&kept.source)));
    kept.bench.tidemark("resync pipeline.yaml").succeeds();
    let shown = "SELECT string_agg(id || note, ' ' ORDER BY id) FROM orders";
    let (old, new) = (kept.of_mirror(shown), kept.of_source(shown));
    let mut chance = Chance::from_the_environment();
    for _ in 0..12 {
        let running = kept.bench.start("run pipeline.yaml");
        pause(Duration::from_millis(chance.below(400)));
        running.kill().was_killed();
        let now = kept.of_mirror(shown);
        assert!(now == old || now == new, "half of it was seen: {now}");
    }
    kept.catch_up();
    kept.assert_mirrored(&["orders", "quiet"]);
}

/// Another `key`, another `exclude`: `check` tells before, the run when it does it, and the destination gets the new shape, while what
/// it had stays until then.
#[test]
fn a_table_that_is_read_in_another_way_gets_its_new_shape() {
    let kept = Kept::streams(
        Postgres::shared(),
        "CREATE TABLE t (id int PRIMARY KEY, code text NOT NULL UNIQUE, more text); ALTER TABLE t REPLICA IDENTITY FULL;
         INSERT INTO t VALUES (1, 'a', 'x'), (2, 'b', 'y'); CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u VALUES (1)",
        "{public.t: {exclude: [more]}, public.u: {}}",
    );
    kept.catch_up();
    let file = std::fs::read_to_string(kept.bench.path("pipeline.yaml")).unwrap();
    let key = "SELECT string_agg(a.attname, ',') FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
               WHERE i.indrelid = 't'::regclass AND i.indisprimary";
    for (streams, why, expected_key) in [
        ("{public.t: {}, public.u: {}}", "its `exclude` changed", "id"),
        ("{public.t: {key: [code]}, public.u: {}}", "its `key` changed", "code"),
        ("{public.t: {key: [id], where: id > 1}, public.u: {}}", "its `key` and `where` changed", "id"),
    ] {
        kept.bench
            .write("pipeline.yaml", &file.replace("{public.t: {exclude: [more]}, public.u: {}}", streams));
        let told = kept.bench.tidemark("check pipeline.yaml").succeeds().stderr;
        assert!(told.contains(&format!("`public.t` will be read anew, because {why}")), "{told}");
        let said = kept.catch_up().stderr;
        assert!(said.contains(&format!("`public.t` is read anew, because {why}")), "{said}");
        assert_eq!(kept.of_mirror(key), expected_key);
        let rows = "SELECT string_agg(concat(id, code, more), ' ' ORDER BY id) FROM t";
        let condition = if streams.contains("where") { " WHERE id > 1" } else { "" };
        assert_eq!(kept.of_mirror(rows), kept.of_source(&format!("{rows}{condition}")));
        let told = kept.bench.tidemark("check pipeline.yaml").succeeds().stderr;
        assert!(!told.contains("read anew"), "{told}");
    }
    kept.source.execute("INSERT INTO t VALUES (3, 'c', 'z'); UPDATE t SET code = 'bb' WHERE id = 2");
    kept.catch_up();
    assert_eq!(
        kept.of_mirror("SELECT string_agg(concat(id, code, more), ' ' ORDER BY id) FROM t"),
        "2bby 3cz"
    );
    assert_eq!(ops(&kept.bench, "u"), "r", "the other table was left alone");
}

/// A table that comes while the pipeline runs is read, and the others go on; one that goes is told of, once, and what destinations have
/// of it stays.
#[test]
fn tables_may_come_and_go_while_it_runs() {
    let kept = Kept::of(
        Postgres::shared(),
        "CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1); CREATE TABLE b (id int PRIMARY KEY); INSERT INTO b VALUES (1)",
    );
    let mut running = kept.bench.start("run pipeline.yaml");
    running.until("the first are there", || kept.of_mirror("SELECT to_regclass('a')") == "a");
    kept.source.execute("CREATE TABLE c (id int PRIMARY KEY, t text); INSERT INTO c VALUES (1, 'x')");
    running.until("the new table is there", || kept.of_mirror("SELECT to_regclass('c')") == "c");
    kept.source.execute("INSERT INTO c VALUES (2, 'y'); INSERT INTO a VALUES (2)");
    running.until("it goes on", || kept.of_mirror("SELECT count(*) FROM c") == "2");
    kept.source.execute("DROP TABLE b; INSERT INTO a VALUES (3)");
    running.until_it_says("table `public.b` is not read any more");
    let said = running.terminate().succeeds().stderr;
    assert_eq!(said.matches("`public.b` is not read any more").count(), 1, "{said}");
    let said = kept.catch_up().stderr;
    assert!(!said.contains("is not read any more"), "it was told of already:\n{said}");
    kept.assert_mirrored(&["a", "c"]);
    assert_eq!(
        (ops(&kept.bench, "a"), kept.of_mirror("SELECT count(*) FROM b")),
        ("rcc".to_owned(), "1".to_owned())
    );
    let shown = kept.bench.tidemark("status pipeline.yaml").succeeds().stdout;
    assert!(shown.contains("not read any more: `public.b`"), "{shown}");
    let asked = kept.bench.tidemark("resync pipeline.yaml --stream public.b").exits_with(2).stderr;
    assert!(asked.contains("stream `public.b` is not read any more"), "{asked}");
}

/// A column that a publication hides while the pipeline runs is told of, and a table that cannot be published does not stop the others.
#[test]
fn what_is_hidden_or_cannot_be_read_while_it_runs_is_told_of() {
    let (server, copy) = (Postgres::shared(), Postgres::shared().database());
    let source = server.database();
    source.execute(
        "CREATE TABLE a (id int PRIMARY KEY, n int); INSERT INTO a VALUES (1, 1);
         CREATE PUBLICATION theirs FOR TABLE a WITH (publish_via_partition_root = true)",
    );
    let bench = Workbench::with_pipeline(&format!(
        "name: hidden_{}
source: {{type: postgres, url: \"{}\", publication: theirs}}
destinations:
{}",
        source.name(),
        source.url(),
        destination("mirror", &copy, "mirror")
    ));
    let mut running = bench.start("run pipeline.yaml");
    running.until("it is there", || value(&copy, "SELECT to_regclass('a')") == "a");
    source.execute("CREATE TABLE b (id int PRIMARY KEY)");
    running.until_it_says("publication `theirs` does not have `public.b`");
    source.execute("ALTER PUBLICATION theirs ADD TABLE b; INSERT INTO b VALUES (1)");
    running.until("the new table is there", || value(&copy, "SELECT to_regclass('b')") == "b");
    source.execute("ALTER PUBLICATION theirs SET TABLE a (id), b");
    running.until_it_says("publication `theirs` leaves out column `n` of `public.a`");
    running.terminate().succeeds();
    bench.tidemark("run pipeline.yaml --once").exits_with(2);
}

/// What cannot be met is not asked.
#[test]
fn a_stream_that_nobody_knows_is_refused() {
    let database = Postgres::shared().database();
    database.execute("CREATE TABLE orders (id int PRIMARY KEY); CREATE TABLE others (id int PRIMARY KEY)");
    let bench =
        pipeline(&database, "[\"public.*\"]", "  copy: {type: sqlite, path: ./copy.db, write: mirror}\n");
    let said = bench.tidemark("resync pipeline.yaml").exits_with(2).stderr;
    assert!(said.contains("has staged nothing yet"), "{said}");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let said = bench.tidemark("resync pipeline.yaml --stream public.order").exits_with(2).stderr;
    assert!(
        said.contains("no stream `public.order`") && said.contains("did you mean `public.orders`?"),
        "{said}"
    );
    assert_eq!(status(&bench)["streams"]["asked"], serde_json::json!([]));
    let asked = bench.tidemark("resync pipeline.yaml --stream public.orders --json").succeeds().stdout;
    let asked: Json = serde_json::from_str(&asked).unwrap();
    assert_eq!((&asked["streams"], &asked["running"]), (&serde_json::json!(["public.orders"]), &Json::Null));
    assert_eq!(status(&bench)["streams"]["asked"], serde_json::json!([["public.orders"]]));
    // What could be met then cannot be any more: it is told and forgotten.
    database.execute("DROP TABLE orders");
    let said = bench.tidemark("run pipeline.yaml --once").succeeds().stderr;
    assert!(said.contains("`public.orders` was to be read anew, and is not read any more"), "{said}");
    assert_eq!(status(&bench)["streams"]["asked"], serde_json::json!([]));
}
