//! Tables that change their shape, and tables out of the ordinary.

use tidemark_test_servers::Postgres;

use super::{
    destination,
    kept::{Kept, ops, staged},
    pipeline, value,
};
use crate::rows::count_in_sqlite;

/// Changes of a table's shape, each between two changes of its rows.
const ALTERATIONS: [&str; 9] = [
    "ALTER TABLE t ADD COLUMN added text",
    "UPDATE t SET added = 'x' || id; INSERT INTO t (id, n, gone, added) VALUES (10, 1, 'y', 'z')",
    "ALTER TABLE t DROP COLUMN gone",
    "UPDATE t SET n = n + 1; INSERT INTO t (id, n) VALUES (11, 2)",
    "ALTER TABLE t ALTER n TYPE bigint",
    "UPDATE t SET n = 9000000000 + id; INSERT INTO t (id, n) VALUES (12, 9000000012)",
    "ALTER TABLE t RENAME n TO m",
    "UPDATE t SET m = m + 1; INSERT INTO t (id, m) VALUES (13, 9000000000000)",
    "DELETE FROM t WHERE id = 10",
];

fn altered() -> Kept<'static> {
    let kept = Kept::of(
        Postgres::shared(),
        "CREATE TABLE t (id int PRIMARY KEY, n int, gone text); INSERT INTO t SELECT i, i, 'g' FROM generate_series(1, 3) i",
    );
    kept.catch_up();
    kept
}

fn assert_history_of_alterations(kept: &Kept<'_>) {
    kept.assert_mirrored(&["t"]);
    assert_eq!(ops(&kept.bench, "t"), "rrruuucuuuucuuuuucuuuuuucd");
    let in_history = |what: &str| kept.of_history(&format!("SELECT {what} FROM t"));
    assert_eq!(in_history("count(*)"), "26");
    assert_eq!(in_history("string_agg(gone, '' ORDER BY _tidemark_position)"), "gggggg".to_owned() + "y");
    assert_eq!(in_history("max(m) FILTER (WHERE id = 13)"), "9000000000000");
    assert_eq!(in_history("max(n) FILTER (WHERE id = 12)"), "9000000012");
}

/// Failure mode 12: each change is read by the definition of its time.
#[test]
fn a_table_altered_while_nobody_looked_is_read_as_it_was_each_time() {
    let kept = altered();
    ALTERATIONS.iter().for_each(|sql| kept.source.execute(sql));
    kept.catch_up();
    assert_history_of_alterations(&kept);
}

/// Failure mode 12: the same under way, with kills, after which old definitions come again.
#[test]
fn a_table_altered_under_way_is_read_as_it_was_through_kills() {
    let kept = altered();
    for pair in ALTERATIONS.chunks(2) {
        let running = kept.bench.start("run pipeline.yaml");
        pair.iter().for_each(|sql| kept.source.execute(sql));
        crate::process::pause(std::time::Duration::from_millis(300));
        running.kill().was_killed();
    }
    kept.catch_up();
    assert_history_of_alterations(&kept);
}

/// Failure mode 12: whether NULL is allowed is no part of the stream, and may be another matter now than it was then.
#[test]
fn a_column_may_begin_or_cease_to_allow_null() {
    let kept = Kept::of(
        Postgres::shared(),
        "CREATE TABLE ceases (id int PRIMARY KEY, n int); CREATE TABLE begins (id int PRIMARY KEY, n int NOT NULL);
         INSERT INTO begins VALUES (0, 0)",
    );
    kept.catch_up();
    kept.source.execute("INSERT INTO ceases VALUES (1, NULL)");
    kept.source.execute("UPDATE ceases SET n = 1");
    kept.source.execute("ALTER TABLE ceases ALTER n SET NOT NULL");
    kept.source.execute("INSERT INTO ceases VALUES (2, 2)");
    kept.catch_up();
    let mut running = kept.bench.start("run pipeline.yaml");
    kept.source.execute("INSERT INTO begins VALUES (1, 1)");
    running.until("it has arrived", || kept.of_mirror("SELECT count(*) FROM begins") == "2");
    kept.source.execute("ALTER TABLE begins ALTER n DROP NOT NULL");
    kept.source.execute("INSERT INTO begins VALUES (2, NULL)");
    running.until("it has arrived", || kept.of_mirror("SELECT count(*) FROM begins") == "3");
    running.terminate().succeeds();
    kept.assert_mirrored(&["ceases", "begins"]);
}

/// A table that was dropped and made again, or replaced by another, is not the one that was read: it is read from the beginning.
#[test]
fn a_table_that_was_made_again_is_read_anew() {
    for again in [
        "DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (7, 7)",
        "CREATE TABLE next (id int PRIMARY KEY, n int); INSERT INTO next VALUES (7, 7);
         ALTER TABLE t RENAME TO former; ALTER TABLE next RENAME TO t",
    ] {
        let kept = Kept::streams(
            Postgres::shared(),
            "CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 1)",
            "[public.t]",
        );
        kept.catch_up();
        kept.source.execute(again);
        let said = kept.catch_up().stderr;
        assert!(said.contains("`public.t` is read anew, because it was made anew, or replaced"), "{said}");
        kept.assert_mirrored(&["t"]);
        kept.source.execute("INSERT INTO t VALUES (8, 8); DELETE FROM t WHERE id = 7");
        kept.catch_up();
        kept.assert_mirrored(&["t"]);
    }
}

/// A table that was taken out of our publication has changed since without a word: it is read from the beginning.
#[test]
fn a_table_that_was_not_published_for_a_while_is_read_anew() {
    let kept = Kept::of(
        Postgres::shared(),
        "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY); INSERT INTO a VALUES (5)",
    );
    kept.catch_up();
    let publication = kept.of_source("SELECT pubname FROM pg_publication");
    kept.source.execute(&format!("ALTER PUBLICATION {publication} DROP TABLE a"));
    kept.source.execute("INSERT INTO a VALUES (1); DELETE FROM a WHERE id = 5; INSERT INTO b VALUES (2)");
    let said = kept.catch_up().stderr;
    assert!(said.contains("`public.a` is read anew, because it was not published for a while"), "{said}");
    kept.assert_mirrored(&["a", "b"]);
    assert_eq!(ops(&kept.bench, "b"), "c", "the other table goes on as it was");
}

/// The same when it is in the publication again by the time that somebody looks, while it runs or while it does not: the others, and what
/// is read anew, are left alone.
#[test]
fn a_table_that_was_published_again_meanwhile_is_read_anew() {
    let kept = Kept::of(
        Postgres::shared(),
        "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY); INSERT INTO a VALUES (5)",
    );
    kept.catch_up();
    let publication = kept.of_source("SELECT pubname FROM pg_publication");
    let gap = |id: u32| {
        kept.source.execute(&format!("ALTER PUBLICATION {publication} DROP TABLE a"));
        kept.source.execute(&format!("INSERT INTO a VALUES ({id}); INSERT INTO b VALUES ({id})"));
        kept.source.execute(&format!("ALTER PUBLICATION {publication} ADD TABLE a"));
    };
    gap(1);
    let said = kept.catch_up().stderr;
    assert!(
        said.contains("`public.a` is read anew, because it was not published, or in another way"),
        "{said}"
    );
    kept.assert_mirrored(&["a", "b"]);
    let said = kept.catch_up().stderr;
    assert!(!said.contains("read anew"), "what it published itself is no gap:\n{said}");

    let mut running = kept.bench.start("run pipeline.yaml");
    kept.source.execute("INSERT INTO a VALUES (2)");
    running.until("it goes on", || kept.of_mirror("SELECT count(*) FROM a WHERE id = 2") == "1");
    gap(3);
    running.until("the gap is noticed", || kept.of_mirror("SELECT count(*) FROM a WHERE id = 3") == "1");
    running.terminate().succeeds();
    kept.assert_mirrored(&["a", "b"]);
    assert_eq!(ops(&kept.bench, "b"), "cc", "the other table goes on as it was");
}

/// A table that was left out for a while, or is to be read in another way, is read from the beginning.
#[test]
fn a_table_that_was_left_out_or_is_read_in_another_way_is_read_anew() {
    let kept = Kept::streams(
        Postgres::shared(),
        "CREATE TABLE a (id int PRIMARY KEY, n int); CREATE TABLE b (id int PRIMARY KEY);
         INSERT INTO a VALUES (1, 1), (2, -2)",
        "[public.a, public.b]",
    );
    kept.catch_up();
    let with_streams = |streams: &str| {
        let file = std::fs::read_to_string(kept.bench.path("pipeline.yaml")).unwrap();
        let lines = file.lines().map(|line| match line.trim_start().starts_with("streams:") {
            true => format!("  streams: {streams}\n"),
            false => format!("{line}\n"),
        });
        kept.bench.write("pipeline.yaml", &lines.collect::<String>());
    };
    with_streams("[public.b]");
    kept.source.execute("INSERT INTO a VALUES (3, 3); DELETE FROM a WHERE id = 1; INSERT INTO b VALUES (1)");
    kept.catch_up();
    with_streams("[public.a, public.b]");
    kept.catch_up();
    kept.assert_mirrored(&["a", "b"]);

    with_streams("{public.a: {where: id > 2}, public.b: {}}");
    kept.source.execute("INSERT INTO a VALUES (4, 4)");
    kept.catch_up();
    kept.source.execute("INSERT INTO a VALUES (0, 0), (5, 5)");
    kept.catch_up();
    assert_eq!(kept.of_mirror("SELECT string_agg(id::text, ' ' ORDER BY id) FROM a"), "3 4 5");
}

/// Failure mode 13: partitions come as their root, whichever a record is in; what is computed is not told.
#[test]
fn partitions_arrive_as_one_table_and_generated_columns_do_not() {
    let kept = Kept::of(
        Postgres::shared(),
        "CREATE TABLE p (id int, day int, twice int GENERATED ALWAYS AS (day * 2) STORED, t text, PRIMARY KEY (id, day))
             PARTITION BY RANGE (day);
         CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
         CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20) PARTITION BY LIST (day);
         CREATE TABLE p2a PARTITION OF p2 DEFAULT;
         INSERT INTO p (id, day, t) VALUES (1, 1, 'a'), (2, 11, 'b')",
    );
    kept.catch_up();
    kept.source.execute("INSERT INTO p (id, day, t) VALUES (3, 2, 'c'); UPDATE p SET day = 12 WHERE id = 1");
    kept.source.execute(
        "CREATE TABLE p3 PARTITION OF p FOR VALUES FROM (20) TO (30); INSERT INTO p (id, day) VALUES (4, 25)",
    );
    kept.source.execute("INSERT INTO p2a (id, day, t) VALUES (5, 13, 'e'); DELETE FROM p1 WHERE id = 3");
    kept.catch_up();
    kept.assert_mirrored(&["p"]);
    assert_eq!(kept.of_mirror("SELECT to_regclass('p1')"), "");
    assert!(staged(&kept.bench, "p").iter().all(|change| change["values"].get("twice").is_none()));
    kept.source.execute("TRUNCATE p");
    kept.catch_up();
    kept.assert_mirrored(&["p"]);
}

/// `where`, `exclude` and `key` hold for the initial sync and for the stream alike.
#[test]
fn options_of_a_stream_hold_for_records_and_changes_alike() {
    let kept = Kept::streams(
        Postgres::shared(),
        "CREATE TABLE few (id int PRIMARY KEY, t text); INSERT INTO few VALUES (1, 'a'), (-1, 'b');
         CREATE TABLE part (id int PRIMARY KEY, secret text, t text); INSERT INTO part VALUES (1, 'hidden', 'a');
         CREATE TABLE named (a int NOT NULL, b text); ALTER TABLE named REPLICA IDENTITY FULL; INSERT INTO named VALUES (1, 'x')",
        "{public.few: {where: id > 0}, public.part: {exclude: [secret]}, public.named: {key: [a]}}",
    );
    kept.catch_up();
    kept.source.execute(
        "INSERT INTO few VALUES (2, 'c'), (-2, 'd'); UPDATE few SET id = 3 WHERE id = -1; UPDATE few SET id = -5 WHERE id = 1;
         INSERT INTO part VALUES (2, 'hidden', 'b'); UPDATE part SET secret = 'other'; UPDATE named SET b = 'y';
         INSERT INTO named VALUES (2, 'z'); DELETE FROM named WHERE a = 1",
    );
    kept.catch_up();
    let few = "SELECT string_agg(id || t, ' ' ORDER BY id) FROM few";
    assert_eq!(kept.of_mirror(few), kept.of_source(&few.replace("FROM few", "FROM few WHERE id > 0")));
    assert_eq!(kept.of_mirror("SELECT string_agg(a || b, ' ' ORDER BY a) FROM named"), "2z");
    assert_eq!(kept.of_mirror("SELECT string_agg(id || t, ' ' ORDER BY id) FROM part"), "1a 2b");
    let everything = kept.bench.tidemark("changes pipeline.yaml --json").succeeds().stdout;
    assert!(!everything.contains("secret") && !everything.contains("hidden"), "{everything}");
}

/// Failure mode 9: a table whose updates the server would refuse is told of before, with what helps.
#[test]
fn a_table_without_identity_is_told_of_with_its_remedy() {
    let kept = Kept::of(
        Postgres::shared(),
        "CREATE TABLE none (id int PRIMARY KEY, n int); ALTER TABLE none REPLICA IDENTITY NOTHING; INSERT INTO none VALUES (1, 1);
         CREATE TABLE keyless (n int); INSERT INTO keyless VALUES (1)",
    );
    let said = kept.bench.tidemark("check pipeline.yaml").succeeds();
    // In a line of the log, a hint's quotes are escaped.
    let said = (said.stdout + &said.stderr).replace("\\\"", "\"");
    for remedy in [
        "ALTER TABLE \"public\".\"none\" REPLICA IDENTITY DEFAULT;",
        "ALTER TABLE \"public\".\"keyless\" REPLICA IDENTITY FULL;",
    ] {
        assert!(said.contains(remedy), "it should name `{remedy}`:\n{said}");
        kept.source.execute(remedy);
    }
    let said = kept.bench.tidemark("check pipeline.yaml").succeeds();
    assert!(!(said.stdout + &said.stderr).contains("REPLICA IDENTITY"), "the remedies do not help");
}

/// A table without a key cannot be mirrored: its stream is held there, and nothing else is.
#[test]
fn a_keyless_table_is_held_alone_where_it_cannot_be_mirrored() {
    let server = Postgres::shared();
    let (source, mirror) = (server.database(), server.database());
    source.execute(
        "CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1);
         CREATE TABLE keyless (n int); ALTER TABLE keyless REPLICA IDENTITY FULL; INSERT INTO keyless VALUES (1), (1)",
    );
    let bench = pipeline(
        &source,
        "[\"public.*\"]",
        &(destination("mirror", &mirror, "mirror")
            + "  history: {type: sqlite, path: ./history.db, write: append}\n"),
    );
    let mut running = bench.start("run pipeline.yaml");
    running.until("the other table is there", || {
        value(&mirror, "SELECT to_regclass('a')") == "a" && value(&mirror, "SELECT count(*) FROM a") == "1"
    });
    source
        .execute("INSERT INTO a VALUES (2); INSERT INTO keyless VALUES (1); DELETE FROM keyless WHERE n = 1");
    running.until("the other table goes on", || value(&mirror, "SELECT count(*) FROM a") == "2");
    let history = bench.path("history.db");
    running.until("the history has all of it", || count_in_sqlite(&history, "public.keyless") == 6);
    let ended = running.terminate();
    assert!(ended.code() != 0 && ended.stderr.contains("`public.keyless` is held"), "{}", ended.stderr);
}
