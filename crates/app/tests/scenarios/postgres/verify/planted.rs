//! What was planted is found, whatever it is, and nothing else.

use rusqlite::Connection;
use tidemark_test_servers::{Database, Postgres};

use super::Found;
use crate::{
    postgres::{destination, pipeline, value},
    workbench::Workbench,
};

/// A database, its copies in PostgreSQL and SQLite, and a history.
struct Copied<'s> {
    source: Database<'s>,
    mirror: Database<'s>,
    bench: Workbench,
}

impl<'s> Copied<'s> {
    fn of(server: &'s Postgres, tables: &str) -> Self {
        let (source, mirror) = (server.database(), server.database());
        source.execute(tables);
        let destinations = destination("mirror", &mirror, "mirror")
            + "  copy: {type: sqlite, path: ./copy.db, write: mirror, table: \"{stream}\"}\n"
            + "  log: {type: sqlite, path: ./log.db, write: append}\n";
        let bench = pipeline(&source, "[\"public.*\"]", &destinations);
        bench.tidemark("run pipeline.yaml --once").succeeds();
        Self { source, mirror, bench }
    }

    fn sqlite(&self, sql: &str) {
        let connection = Connection::open(self.bench.path("copy.db")).unwrap();
        connection.execute_batch(sql).unwrap();
    }
}

const ORDERS: &str = "
    CREATE TABLE orders (id int PRIMARY KEY, amount numeric, price float8, note text, at timestamptz, tags text[]);
    INSERT INTO orders SELECT i, 1.10, i / 3.0, 'note ' || i, '2020-01-01'::timestamptz + i * interval '1 s', array['a', NULL]
    FROM generate_series(1, 1000) i;";

/// What is done to a copy, and how it is found.
const PLANTED: [(&str, &[&str]); 6] = [
    ("DELETE FROM {t} WHERE id = 17", &["missing id=17"]),
    ("INSERT INTO {t} (id, note) VALUES (1001, 'new')", &["extra id=1001"]),
    ("UPDATE {t} SET note = 'note 18 ' WHERE id = 18", &["different id=18 in note"]),
    ("UPDATE {t} SET amount = '1.1' WHERE id = 19", &["different id=19 in amount"]),
    (
        "UPDATE {t} SET note = NULL, price = 6.666666666666668 WHERE id = 20",
        &["different id=20 in price, note"],
    ),
    ("UPDATE {t} SET id = 1002 WHERE id = 21", &["missing id=21", "extra id=1002"]),
];

#[test]
fn each_sort_of_difference_is_found() {
    let copied = Copied::of(Postgres::shared(), ORDERS);
    let Copied { mirror, bench, .. } = &copied;
    let found = Found::of(bench, "", 0);
    found.assert_equal(1_000);
    assert_eq!(found.stream("mirror", "public.orders")["hashed_by"], "servers");
    assert_eq!(found.stream("copy", "public.orders")["hashed_by"], "tidemark");
    let people = bench.tidemark("verify pipeline.yaml").succeeds().stdout;
    assert!(people.contains("log (append): not compared: `append` keeps every change as a row"), "{people}");

    for (sql, _) in PLANTED {
        mirror.execute(&sql.replace("{t}", "orders"));
        copied.sqlite(&sql.replace("{t}", "\"public.orders\""));
    }
    let mut expected: Vec<_> =
        PLANTED.iter().flat_map(|(_, found)| *found).map(ToString::to_string).collect();
    expected.sort_unstable();
    for against in ["source", "staging"] {
        let found = Found::of(bench, &format!("--against {against}"), 1);
        for destination in ["mirror", "copy"] {
            let (mut differences, confirmed) = found.differences(destination, "public.orders");
            differences.sort_unstable();
            assert_eq!(differences, expected, "{destination} against {against}");
            // Nobody runs the pipeline; what is staged does not change.
            assert_eq!(confirmed, against == "staging", "{:#}", found.0);
        }
    }
    let people = bench.tidemark("verify pipeline.yaml --limit 2").exits_with(1).stdout;
    assert!(people.contains("nobody runs the pipeline: differences may be changes on their way"), "{people}");
    assert!(people.contains("give a larger `--limit`"), "{people}");

    let mut running = bench.start("run pipeline.yaml");
    running.until("the stream is open", || {
        value(&copied.source, "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") != "0"
    });
    let found = Found::of(bench, "", 1);
    for destination in ["mirror", "copy"] {
        let (mut differences, confirmed) = found.differences(destination, "public.orders");
        differences.sort_unstable();
        assert_eq!((differences, confirmed), (expected.clone(), true), "{destination}");
    }
    running.terminate().succeeds();
}

#[test]
fn composite_keys_and_keys_of_texts_and_of_odd_types() {
    let copied = Copied::of(
        Postgres::shared(),
        "CREATE TABLE pairs (a int, b text, c int, PRIMARY KEY (b, a));
         INSERT INTO pairs SELECT i % 7, 'b ''\\ ' || i, i FROM generate_series(1, 500) i;
         CREATE TABLE texts (k text PRIMARY KEY, v int);
         INSERT INTO texts SELECT chr(60 + i % 100) || ' ' || i, i FROM generate_series(1, 500) i;
         CREATE TABLE ordered (k text COLLATE \"C\" PRIMARY KEY, v int);
         INSERT INTO ordered SELECT chr(60 + i % 100) || ' ' || i, i FROM generate_series(1, 500) i;
         CREATE TABLE moments (at timestamptz, on_day date, is_so bool, id uuid, raw bytea, PRIMARY KEY (at, on_day, is_so, id, raw));
         INSERT INTO moments SELECT '-infinity', '0044-03-15 BC', true, gen_random_uuid(), '\\x00ff';
         INSERT INTO moments SELECT '2020-01-01'::timestamptz + i * interval '1.5 s', '2020-01-01'::date + i, i % 2 = 0, md5(i::text)::uuid, '\\x01'
         FROM generate_series(1, 300) i;
         CREATE TABLE numbers (n numeric, f float8, PRIMARY KEY (n, f));
         INSERT INTO numbers VALUES ('NaN', 'NaN'), (1.10, '-Infinity'), (1e30, 1e300), (0, '-0');
         CREATE TABLE nothing (id int PRIMARY KEY);",
    );
    let Copied { mirror, bench, .. } = &copied;
    Found::of(bench, "", 0).assert_equal(3 * 500 + 301 + 4);
    Found::of(bench, "--against staging", 0);

    mirror.execute(
        "UPDATE pairs SET c = -c WHERE c = 77; DELETE FROM texts WHERE v = 99; UPDATE ordered SET v = 0 WHERE v = 101;
         DELETE FROM moments WHERE on_day = '0044-03-15 BC'; DELETE FROM numbers WHERE n = 'NaN'",
    );
    copied.sqlite(
        "UPDATE \"public.pairs\" SET c = -c WHERE c = 77; DELETE FROM \"public.texts\" WHERE v = 99;
         UPDATE \"public.ordered\" SET v = 0 WHERE v = 101;
         DELETE FROM \"public.moments\" WHERE at = '-infinity'; DELETE FROM \"public.numbers\" WHERE n = 'NaN'",
    );
    let id = value(&copied.source, "SELECT id FROM moments WHERE at = '-infinity'");
    for (against, code) in [("source", 1), ("staging", 1)] {
        let found = Found::of(bench, &format!("--against {against}"), code);
        for destination in ["mirror", "copy"] {
            let of = |table: &str| found.differences(destination, &format!("public.{table}")).0;
            assert_eq!(of("pairs"), ["different b=b '\\ 77 a=0 in c"], "{destination} {against}");
            assert_eq!(of("texts"), ["missing k=\u{9f} 99"], "{destination} {against}");
            assert_eq!(of("ordered"), ["different k== 101 in v"], "{destination} {against}");
            assert_eq!(of("numbers").len(), 1, "{destination} {against}");
            assert!(of("numbers")[0].starts_with("missing n=NaN f=NaN"), "{destination} {against}");
            let moment = of("moments").pop().unwrap();
            assert!(moment.contains(&id) && moment.starts_with("missing at=-infinity"), "{moment}");
        }
    }
}

/// A difference among many rows is found by fetching few.
#[test]
fn few_rows_are_fetched_of_a_large_table() {
    let copied = Copied::of(
        Postgres::shared(),
        "CREATE TABLE large (id bigint PRIMARY KEY, filler text, n numeric);
         INSERT INTO large SELECT i, repeat(md5(i::text), 10), i FROM generate_series(1, 200000) i; ANALYZE large;",
    );
    let found = Found::of(&copied.bench, "", 0);
    found.assert_equal(200_000);
    for destination in ["mirror", "copy"] {
        let stream = found.stream(destination, "public.large");
        assert_eq!(stream["rows_fetched"], 0, "{stream:#}");
        // About 80 MB, in ranges of 16 MiB.
        assert!(stream["ranges"].as_u64().unwrap() >= 3, "{stream:#}");
    }
    copied.mirror.execute("UPDATE large SET n = n + 0.1 WHERE id = 77777");
    copied.sqlite("UPDATE \"public.large\" SET n = '77777.1' WHERE id = 77777");
    let found = Found::of(&copied.bench, "", 1);
    for destination in ["mirror", "copy"] {
        assert_eq!(found.differences(destination, "public.large").0, ["different id=77777 in n"]);
        let fetched = found.stream(destination, "public.large")["rows_fetched"].as_u64().unwrap();
        assert!((2..2_000).contains(&fetched), "{fetched} rows were fetched by {destination}");
    }
}

#[test]
fn what_cannot_be_compared_is_told() {
    let server = Postgres::shared();
    let (source, mirror) = (server.database(), server.database());
    source.execute(
        "CREATE TABLE orders (id int PRIMARY KEY, secret text, n int); INSERT INTO orders VALUES (1, 'hidden', 5), (2, 'hidden', 50);
         CREATE TABLE logs (a int); INSERT INTO logs VALUES (1);",
    );
    let destinations = destination("mirror", &mirror, "mirror")
        + "  files: {type: files, path: ./archive, format: jsonl, write: append}\n";
    let streams = "{\"public.orders\": {exclude: [secret], where: \"n < 10\"}, \"public.logs\": {}}";
    let bench = pipeline(&source, streams, &destinations);
    // The stream without a key is held at the mirror.
    bench.tidemark("run pipeline.yaml --once").exits_with(2);
    mirror.execute("ALTER TABLE orders ADD COLUMN secret text DEFAULT 'x', ADD COLUMN own int DEFAULT 1");
    let found = Found::of(&bench, "", 0);
    let orders = found.stream("mirror", "public.orders");
    assert_eq!((&orders["equal"], &orders["rows"]), (&true.into(), &1.into()), "{orders:#}");
    let why = found.stream("mirror", "public.logs")["why_not"].as_str().unwrap().to_owned();
    assert!(why.contains("held"), "{why}");
    let people = bench.tidemark("verify pipeline.yaml").succeeds().stdout;
    assert!(people.contains("files (append): not compared: files hold every change"), "{people}");

    let refused = bench.tidemark("verify pipeline.yaml --destination files").exits_with(2).stderr;
    assert!(refused.contains("no destination can be compared"), "{refused}");
    let refused = bench.tidemark("verify pipeline.yaml --destination miror").exits_with(2).stderr;
    assert!(refused.contains("did you mean `mirror`?"), "{refused}");
    let refused = bench.tidemark("verify pipeline.yaml --stream public.order").exits_with(2).stderr;
    assert!(refused.contains("did you mean `public.orders`?"), "{refused}");
}
