//! A filtered mirror is what a query over the source says.

use std::{thread, time::Duration};

use tidemark_test_servers::{Database, Postgres};

use super::{bench, sqlite};
use crate::{growth::Chance, process::pause};

/// Of `told` the source tells what was before; of `terse` only the key.
const TABLES: &str = "
    CREATE TABLE told (id int PRIMARY KEY, owner text, amount numeric(12,2), note text);
    ALTER TABLE told REPLICA IDENTITY FULL;
    CREATE TABLE terse (id int PRIMARY KEY, owner text, amount numeric(12,2), note text);
    INSERT INTO told SELECT i, 'owner ' || i, i, 'n' FROM generate_series(1, 400) i;
    INSERT INTO terse SELECT i, 'owner ' || i, i, 'n' FROM generate_series(1, 400) i;";

const LINES: &str = "
transforms:
  - drop: [note]
  - add: {half: {expr: 'amount / 2.0', type: float64}}
destinations:
  rich:
    type: sqlite
    path: ./rich.db
    write: mirror
    transforms:
      - filter: amount > 200
      - rename: {id: account}
      - mask: {columns: [owner], keep: 1}
  past:
    type: sqlite
    path: ./past.db
    write: history
    transforms:
      - filter: amount > 200
  gone:
    type: sqlite
    path: ./gone.db
    write: soft-delete
    transforms:
      - filter: amount > 200
  all:
    type: files
    path: ./all
    format: jsonl
    write: append
    transforms:
      - filter: op != 'd' && amount > 390
";

fn write(source: &Database<'_>, chance: &mut Chance) {
    let table = if chance.below(2) == 0 { "told" } else { "terse" };
    let (id, other, amount) = (chance.below(450), chance.below(450), chance.below(40_000));
    let amount = format!("{}.{:02}", amount / 100, amount % 100);
    source.execute(&match chance.below(10) {
        0 => format!("DELETE FROM {table} WHERE id = {id}"),
        1 | 2 => format!("INSERT INTO {table} VALUES ({id}, 'new', {amount}, 'x') ON CONFLICT DO NOTHING"),
        3 => format!(
            "UPDATE {table} SET id = {other}, amount = {amount} WHERE id = {id} AND NOT EXISTS (SELECT FROM {table} WHERE id = {other})"
        ),
        4 => format!("UPDATE {table} SET owner = 'moved' WHERE id = {id}"),
        _ => format!("UPDATE {table} SET amount = {amount} WHERE id = {id}"),
    });
}

#[test]
fn a_filtered_mirror_is_what_a_query_says_whatever_is_killed() {
    let source = Postgres::shared().database();
    source.execute(TABLES);
    let bench = bench(&source, LINES);
    let seed = Chance::from_the_environment().below(u64::MAX);
    thread::scope(|scope| {
        let source = &source;
        let writing = scope.spawn(move || {
            let mut chance = Chance::new(seed);
            for _ in 0..3_000 {
                write(source, &mut chance);
            }
        });
        for kill in 0..8 {
            let running = bench.start("run pipeline.yaml");
            pause(Duration::from_millis(200 + 120 * kill));
            running.kill().was_killed();
        }
        writing.join().unwrap();
    });
    bench.tidemark("run pipeline.yaml --once").succeeds();

    for table in ["told", "terse"] {
        let expected = source.query(&format!(
            "SELECT id::text, repeat('*', length(owner) - 1) || right(owner, 1), amount::text FROM {table} WHERE amount > 200 ORDER BY {table}.id"
        ));
        let sql = format!("SELECT account, owner, amount FROM \"public.{table}\" ORDER BY account");
        let found = sqlite(&bench.path("rich.db"), &sql);
        assert!(expected.len() > 50, "{} rows", expected.len());
        assert_eq!(found, expected, "{table}");
        let expected = source
            .query(&format!("SELECT id::text, owner FROM {table} WHERE amount > 200 ORDER BY {table}.id"));
        let current =
            format!("SELECT id, owner FROM \"public.{table}\" WHERE _tidemark_valid_to IS NULL ORDER BY id");
        assert_eq!(sqlite(&bench.path("past.db"), &current), expected, "the history of {table}");
        let there = format!(
            "SELECT id, owner FROM \"public.{table}\" WHERE _tidemark_deleted_at IS NULL ORDER BY id"
        );
        assert_eq!(sqlite(&bench.path("gone.db"), &there), expected, "what is not deleted of {table}");
    }
    let staged = bench.tidemark("changes pipeline.yaml").succeeds().stdout;
    assert!(staged.contains("\"half\":") && !staged.contains("\"note\":"), "{}", &staged[..400]);
    bench.tidemark("fsck pipeline.yaml").succeeds();
    // What is played again comes to the same.
    bench.tidemark("replay pipeline.yaml --to rich").succeeds();
    let verified =
        bench.tidemark("verify pipeline.yaml --against staging --destination rich").succeeds().stdout;
    assert!(verified.contains("public.told"), "{verified}");
}

#[test]
fn a_filter_before_staging_keeps_out_what_does_not_match() {
    let source = Postgres::shared().database();
    source.execute(TABLES);
    let lines = "
transforms:
  - filter: amount > 200
destinations:
  copy: {type: sqlite, path: ./copy.db, write: mirror}
";
    let bench = bench(&source, lines);
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let mut chance = Chance::new(7);
    for round in 0..6 {
        let transaction = round % 2 == 0;
        if transaction {
            // Changes of two tables in one transaction, some of them kept out.
            source.execute(
                "BEGIN; UPDATE told SET amount = amount + 90; UPDATE terse SET amount = 400 - amount;
                 UPDATE told SET amount = amount - 90 WHERE id % 3 = 0; COMMIT",
            );
        }
        for _ in 0..100 {
            write(&source, &mut chance);
        }
        bench.tidemark("run pipeline.yaml --once").succeeds();
    }
    for table in ["told", "terse"] {
        let expected = source.query(&format!(
            "SELECT id::text, amount::text, note FROM {table} WHERE amount > 200 ORDER BY {table}.id"
        ));
        let sql = format!("SELECT id, amount, note FROM \"public.{table}\" ORDER BY id");
        assert_eq!(sqlite(&bench.path("copy.db"), &sql), expected, "{table}");
    }
    bench.tidemark("fsck pipeline.yaml").succeeds();
    let staged = bench.tidemark("changes pipeline.yaml").succeeds().stdout;
    assert!(staged.lines().filter(|line| line.contains(" r ")).count() == 400, "only what matches is staged");
}

#[test]
fn a_column_that_is_not_selected_may_come_and_go() {
    let source = Postgres::shared().database();
    source.execute("CREATE TABLE t (id int PRIMARY KEY, name text); INSERT INTO t VALUES (1, 'a')");
    let lines = "
destinations:
  copy:
    type: sqlite
    path: ./copy.db
    write: mirror
    schema_change: fail
    transforms: [{select: [id, name]}]
";
    let bench = bench(&source, lines);
    bench.tidemark("run pipeline.yaml --once").succeeds();
    source.execute("ALTER TABLE t ADD more int; INSERT INTO t VALUES (2, 'b', 5)");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(
        sqlite(&bench.path("copy.db"), "SELECT count(*) FROM \"public.t\"")[0][0].as_deref(),
        Some("2")
    );
    source.execute("ALTER TABLE t DROP name; INSERT INTO t VALUES (3, 6)");
    let said = bench.tidemark("run pipeline.yaml --once").exits_with(2).stderr;
    assert!(said.contains("`select` names column `name`, which stream `public.t` does not have"), "{said}");
}
