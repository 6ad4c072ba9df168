//! Single changes, and what becomes of them.

use serde_json::Value as Json;
use tidemark_test_servers::Postgres;

use super::{
    kept::{Kept, ops, staged},
    pipeline, value,
};

/// A value too large to stay in its row, and not to be told of again by an update that leaves it alone.
const LARGE: &str = "repeat(md5(random()::text), 300)";

fn large_values(identity: &str) -> Kept<'static> {
    let kept = Kept::of(
        Postgres::shared(),
        &format!(
            "CREATE TABLE notes (id int PRIMARY KEY, n int, large text);
             ALTER TABLE notes ALTER large SET STORAGE EXTERNAL, REPLICA IDENTITY {identity};
             INSERT INTO notes SELECT i, 0, {LARGE} FROM generate_series(1, 3) i"
        ),
    );
    kept.catch_up();
    kept
}

/// Failure mode 8: what an update does not tell is unchanged, and not NULL.
#[test]
fn a_large_value_survives_updates_that_do_not_tell_it() {
    let kept = large_values("DEFAULT");
    kept.source.execute("UPDATE notes SET n = 1 WHERE id = 1; UPDATE notes SET large = NULL WHERE id = 2");
    kept.catch_up();
    kept.assert_mirrored(&["notes"]);
    let changes = staged(&kept.bench, "notes");
    let (untold, told) = (&changes[3]["values"], &changes[4]["values"]);
    assert_eq!((untold.get("large"), told.get("large")), (None, Some(&Json::Null)));
    // In a history, NULL alone would not say which.
    let unchanged = "SELECT _tidemark_unchanged FROM notes WHERE _tidemark_op = 'u' ORDER BY id";
    let unchanged = kept.history.query(unchanged);
    assert_ne!(unchanged[0], unchanged[1]);
}

/// Failure mode 8: under `REPLICA IDENTITY FULL` the old row tells it.
#[test]
fn with_full_identity_a_large_value_is_taken_from_the_old_row() {
    let kept = large_values("FULL");
    kept.source.execute("UPDATE notes SET n = 1 WHERE id = 1; UPDATE notes SET id = 20 WHERE id = 2");
    kept.catch_up();
    kept.assert_mirrored(&["notes"]);
    for (id, op) in [(1, "u"), (20, "u")] {
        let sql = format!("SELECT md5(large) FROM notes WHERE id = {id}");
        let of_history = format!("{sql} AND _tidemark_op = '{op}'");
        assert_eq!(kept.of_history(&of_history), kept.of_source(&sql));
    }
}

/// Failure mode 10: a record that gets another key moves, with everything that the change does not tell.
#[test]
fn a_new_key_moves_the_record_with_its_large_value() {
    let kept = large_values("DEFAULT");
    let before = kept.of_mirror("SELECT md5(large) FROM notes WHERE id = 1");
    kept.source.execute("UPDATE notes SET id = 10 WHERE id = 1");
    // Two records swap their places, by way of a third, in one transaction.
    kept.source.execute(
        "BEGIN; UPDATE notes SET id = -1 WHERE id = 2; UPDATE notes SET id = 2, n = 7 WHERE id = 3;
         UPDATE notes SET id = 3 WHERE id = -1; COMMIT",
    );
    kept.catch_up();
    kept.assert_mirrored(&["notes"]);
    assert_eq!(kept.of_mirror("SELECT md5(large) FROM notes WHERE id = 10"), before);
    let changes = staged(&kept.bench, "notes");
    assert_eq!(ops(&kept.bench, "notes"), "rrruuuu", "a move is one change");
    let keys = (changes[3]["before"]["id"].as_i64(), changes[3]["values"]["id"].as_i64());
    assert_eq!(keys, (Some(1), Some(10)));
}

/// Failure mode 11: a truncate empties the mirror, leaves it as it is, or waits for a person.
#[test]
fn a_truncate_is_treated_as_the_destination_asks() {
    let server = Postgres::shared();
    let source = server.database();
    let copies = [server.database(), server.database(), server.database()];
    let on_truncate = ["apply", "ignore", "stop"];
    let destinations: String = on_truncate
        .iter()
        .zip(&copies)
        .map(|(name, copy)| {
            let url = copy.url();
            format!("  {name}: {{type: postgres, url: \"{url}\", write: mirror, on_truncate: {name}}}\n")
        })
        .collect();
    source.execute(
        "CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1), (2);
         CREATE TABLE b (id int PRIMARY KEY); INSERT INTO b VALUES (1)",
    );
    let bench = pipeline(&source, "[\"public.*\"]", &destinations);
    bench.tidemark("run pipeline.yaml --once").succeeds();
    source.execute("TRUNCATE a; INSERT INTO a VALUES (3); INSERT INTO b VALUES (2)");
    let said = bench.tidemark("run pipeline.yaml --once").exits_with(3).stderr;
    assert!(said.contains("stream `public.a` was truncated at its source"), "{said}");

    let ids =
        copies.each_ref().map(|copy| value(copy, "SELECT string_agg(id::text, ' ' ORDER BY id) FROM a"));
    assert_eq!(ids, ["3", "1 2 3", "1 2"]);
    let others = copies.each_ref().map(|copy| value(copy, "SELECT count(*) FROM b"));
    assert_eq!(others, ["2", "2", "2"], "another stream was held too");
    let stops = std::fs::read_to_string(bench.path("pipeline.yaml")).unwrap();
    bench.write("pipeline.yaml", &stops.replace("on_truncate: stop", "on_truncate: apply"));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(value(&copies[2], "SELECT string_agg(id::text, ' ') FROM a"), "3");
}

/// Failure mode 11: tables that are emptied together, in a transaction with other changes.
#[test]
fn tables_that_are_truncated_together_stay_in_order_with_their_other_changes() {
    let kept = Kept::of(
        Postgres::shared(),
        "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a);
         INSERT INTO a VALUES (1); INSERT INTO b VALUES (1, 1)",
    );
    kept.catch_up();
    kept.source.execute(
        "BEGIN; INSERT INTO a VALUES (2); TRUNCATE a CASCADE; INSERT INTO a VALUES (3); COMMIT;
         INSERT INTO b VALUES (4, 3)",
    );
    kept.catch_up();
    kept.assert_mirrored(&["a", "b"]);
    assert_eq!((ops(&kept.bench, "a"), ops(&kept.bench, "b")), ("rctc".to_owned(), "rtc".to_owned()));
}
