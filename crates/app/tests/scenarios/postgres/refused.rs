//! Values and tables that a destination refuses: the stream is held, alone, by name, until somebody sees to it.

use tidemark_test_servers::{Database, Postgres};

use super::{comparison::assert_equal, destination, pipeline, value};
use crate::workbench::Workbench;

/// A source with these tables, a destination with those, and the pipeline between them.
fn made(tables: &str, adopted: &str, more: &str) -> (Database<'static>, Database<'static>, Workbench) {
    let server = Postgres::shared();
    let (source, copy) = (server.database(), server.database());
    source.execute(tables);
    copy.execute(adopted);
    let lines = destination("copy", &copy, &format!("mirror{more}"));
    let bench = pipeline(&source, "[\"public.*\"]", &lines);
    (source, copy, bench)
}

/// Runs until `done`, asks it to stop while the streams `held` are, and tells what it said.
fn run_until(bench: &Workbench, held: &[&str], code: i32, what: &str, done: impl Fn() -> bool) -> String {
    let mut running = bench.start("run pipeline.yaml");
    running.until(what, done);
    running.until("the status names those that are held", || {
        let status = bench.tidemark("status pipeline.yaml").succeeds().stdout;
        held.iter().all(|stream| status.contains(&format!("stream `{stream}` held")))
    });
    running.terminate().exits_with(code).stderr
}

/// Failure modes 34 and 35.
#[test]
fn a_value_that_is_refused_holds_its_stream_alone_until_the_table_can_take_it() {
    let (source, copy, bench) = made(
        "CREATE TABLE narrow (id int PRIMARY KEY, v text);
         CREATE TABLE checked (id int PRIMARY KEY, v int);
         CREATE TABLE required (id int PRIMARY KEY, v text);
         CREATE TABLE small (id int PRIMARY KEY, v bigint);
         CREATE TABLE linked (id int PRIMARY KEY, v int);
         CREATE TABLE free (id int PRIMARY KEY, v text);
         INSERT INTO narrow VALUES (1, 'short'); INSERT INTO checked VALUES (1, 1); INSERT INTO required VALUES (1, 'a');
         INSERT INTO small VALUES (1, 1); INSERT INTO linked VALUES (1, 1); INSERT INTO free VALUES (1, 'a');",
        "CREATE TABLE known (id int PRIMARY KEY); INSERT INTO known VALUES (1);
         CREATE TABLE narrow (id int PRIMARY KEY, v text CONSTRAINT short CHECK (length(v) <= 5));
         CREATE TABLE checked (id int PRIMARY KEY, v int CONSTRAINT low CHECK (v < 100));
         CREATE TABLE required (id int PRIMARY KEY, v text NOT NULL);
         CREATE TABLE small (id int PRIMARY KEY, v smallint);
         CREATE TABLE linked (id int PRIMARY KEY, v int CONSTRAINT known REFERENCES known DEFERRABLE);",
        "",
    );
    bench.tidemark("run pipeline.yaml --once").succeeds();
    source.execute(
        "INSERT INTO narrow VALUES (2, 'much too long'); UPDATE checked SET v = 100;
         INSERT INTO required VALUES (2, NULL); UPDATE small SET v = 40000; INSERT INTO linked VALUES (2, 2);
         INSERT INTO free VALUES (2, 'b');",
    );
    source.execute("INSERT INTO narrow SELECT i, 'fine' FROM generate_series(10, 40) i");
    source.execute("INSERT INTO free VALUES (3, 'c'); DELETE FROM free WHERE id = 1");
    let held = ["public.narrow", "public.checked", "public.required", "public.small", "public.linked"];
    let said = run_until(&bench, &held, 1, "the free stream goes on", || {
        value(&copy, "SELECT string_agg(v, '' ORDER BY id) FROM free") == "bc"
    });
    for stream in held {
        assert!(said.contains(&format!("stream={stream} ")), "it names `{stream}`:\n{said}");
    }
    for secret in ["much too long", "40000"] {
        assert!(!said.contains(secret), "it shows a value:\n{said}");
    }
    for (sql, was) in [
        ("SELECT string_agg(v, ' ') FROM narrow", "short"),
        ("SELECT string_agg(v::text, ' ') FROM checked", "1"),
        ("SELECT string_agg(v, ' ') FROM required", "a"),
        ("SELECT string_agg(v::text, ' ') FROM small", "1"),
        ("SELECT string_agg(v::text, ' ') FROM linked", "1"),
    ] {
        assert_eq!(value(&copy, sql), was, "{sql}");
    }
    // While they are held, more happens to them.
    source.execute(
        "UPDATE narrow SET v = v || '!' WHERE id < 12; DELETE FROM required WHERE id = 1;
         UPDATE small SET id = 7; INSERT INTO free VALUES (4, 'd')",
    );
    let again = bench.tidemark("run pipeline.yaml --once").exits_with(1);
    assert!(again.stderr.contains("hint: alter the table"), "it says what can be done:\n{}", again.stderr);

    copy.execute(
        "ALTER TABLE narrow DROP CONSTRAINT short; ALTER TABLE checked DROP CONSTRAINT low;
         ALTER TABLE required ALTER v DROP NOT NULL; ALTER TABLE small ALTER v TYPE bigint;
         INSERT INTO known VALUES (2);",
    );
    bench.tidemark("run pipeline.yaml --once").succeeds();
    for table in ["narrow", "checked", "required", "small", "linked", "free"] {
        assert_equal(&source, &copy, &format!("public.{table}"));
    }
    assert!(!bench.tidemark("status pipeline.yaml").succeeds().stdout.contains("held"));
}

/// Failure mode 35: rows that collide on their way and not at their end.
#[test]
fn unique_values_that_are_swapped_converge_on_a_table_with_a_constraint() {
    let constraint = |deferrable: &str| {
        format!(
            "CREATE TABLE codes (id int PRIMARY KEY, code int UNIQUE);
             CREATE TABLE late (id int PRIMARY KEY, code int UNIQUE {deferrable});"
        )
    };
    let tables = constraint("DEFERRABLE");
    let (source, copy, bench) = made(&tables, &tables, "");
    source.execute(
        "INSERT INTO codes SELECT i, i FROM generate_series(1, 40) i;
         INSERT INTO late SELECT i, i FROM generate_series(1, 40) i;",
    );
    bench.tidemark("run pipeline.yaml --once").succeeds();
    for last in [2, 40] {
        source.execute(&format!(
            "BEGIN; UPDATE codes SET code = -code WHERE id <= {last};
             UPDATE codes SET code = {last} + 1 + code WHERE id <= {last}; COMMIT;"
        ));
        source.execute(&format!(
            "BEGIN; SET CONSTRAINTS ALL DEFERRED; UPDATE late SET code = {last} + 1 - code WHERE id <= {last}; COMMIT;"
        ));
        // A value that goes from one row to another through a delete.
        source.execute(&format!(
            "BEGIN; DELETE FROM codes WHERE id = {last}; UPDATE codes SET code = 1 WHERE id = 1 AND {last} = 2;
             INSERT INTO codes SELECT {last}, 100 + {last}; COMMIT;"
        ));
        bench.tidemark("run pipeline.yaml --once").succeeds();
        assert_equal(&source, &copy, "public.codes");
        assert_equal(&source, &copy, "public.late");
    }
}

#[test]
fn somebody_elses_table_is_refused_unless_it_is_to_be_adopted() {
    let tables =
        "CREATE TABLE theirs (id int PRIMARY KEY, v text); CREATE TABLE ours (id int PRIMARY KEY, v text);
         INSERT INTO theirs VALUES (1, 'new'); INSERT INTO ours VALUES (1, 'a');";
    let adopted = "CREATE TABLE theirs (id int PRIMARY KEY, v text, kept text DEFAULT 'default');
         INSERT INTO theirs VALUES (1, 'old', 'kept'), (7, 'theirs', 'kept');";
    let (source, copy, bench) = made(tables, adopted, "");
    let said = run_until(&bench, &["public.theirs"], 2, "the other stream has arrived", || {
        value(&copy, "SELECT to_regclass('ours') IS NOT NULL") == "t"
            && value(&copy, "SELECT count(*) FROM ours") == "1"
    });
    assert!(said.contains("adopt: true"), "{said}");
    assert_eq!(value(&copy, "SELECT string_agg(v, ' ' ORDER BY id) FROM theirs"), "old theirs");

    let lines = destination("copy", &copy, "mirror, adopt: true");
    let file = std::fs::read_to_string(bench.path("pipeline.yaml")).unwrap();
    let (before, _) = file.split_once("destinations:").unwrap();
    bench.write("pipeline.yaml", &format!("{before}destinations:\n{lines}"));
    source.execute("INSERT INTO theirs VALUES (2, 'streamed')");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    // What they have besides is theirs: a column of a row that was there stays.
    assert_eq!(
        value(&copy, "SELECT string_agg(id || v || kept, ' ' ORDER BY id) FROM theirs WHERE id < 7"),
        "1newkept 2streameddefault"
    );
}

#[test]
fn a_column_that_would_cut_or_round_is_refused_by_name() {
    let (source, copy, bench) = made(
        "CREATE TABLE moments (id int PRIMARY KEY, v timestamp); INSERT INTO moments VALUES (1, '2013-01-01 05:00:00.123456');
         CREATE TABLE amounts (id int PRIMARY KEY, v numeric); INSERT INTO amounts VALUES (1, 1.005);
         CREATE TABLE free (id int PRIMARY KEY); INSERT INTO free VALUES (1);",
        "CREATE TABLE moments (id int PRIMARY KEY, v date); CREATE TABLE amounts (id int PRIMARY KEY, v numeric(12,2));",
        "",
    );
    let ended = bench.tidemark("run pipeline.yaml --once").exits_with(2);
    for stream in ["moments", "amounts"] {
        assert!(ended.stderr.contains(&format!("public.{stream}")), "{}", ended.stderr);
        assert_eq!(value(&copy, &format!("SELECT count(*) FROM {stream}")), "0");
    }
    assert!(ended.stderr.contains("change its type to `timestamp without time zone`"), "{}", ended.stderr);
    assert_equal(&source, &copy, "public.free");
    copy.execute(
        "ALTER TABLE moments ALTER v TYPE timestamp USING v; ALTER TABLE amounts ALTER v TYPE numeric",
    );
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_equal(&source, &copy, "public.moments");
    assert_equal(&source, &copy, "public.amounts");
}
