//! Records that break a rule of a destination, or that a step cannot take.

use serde_json::Value as Json;
use tidemark_test_servers::Postgres;

use super::{bench, pipeline, sqlite};
use crate::workbench::Workbench;

const LINES: &str = "
destinations:
  copy:
    type: sqlite
    path: ./copy.db
    write: mirror
    on_error: dead-letter
    transforms:
      - hash: {columns: [id], key: 0123456789abcdef}
      - quality: [{name: positive, expr: amount > 0, on_fail: dead-letter}]
";

fn letters(bench: &Workbench) -> Vec<Json> {
    serde_json::from_str(&bench.tidemark("dead-letters pipeline.yaml list --json").succeeds().stdout).unwrap()
}

fn count(bench: &Workbench) -> usize {
    sqlite(&bench.path("copy.db"), "SELECT * FROM \"public.accounts\"").len()
}

#[test]
fn what_breaks_a_rule_waits_with_what_comes_later_of_its_key() {
    let source = Postgres::shared().database();
    source.execute(
        "CREATE TABLE accounts (id int PRIMARY KEY, amount int);
         INSERT INTO accounts SELECT i, CASE WHEN i = 7 THEN -1 ELSE i END FROM generate_series(1, 100) i",
    );
    let bench = bench(&source, LINES);
    let said = bench.tidemark("run pipeline.yaml --once").succeeds().stderr;
    assert!(said.contains("breaks rule `positive`"), "{said}");
    assert_eq!((letters(&bench).len(), count(&bench)), (1, 99));

    // The key is known by what it is in the log, though nobody sees it at the destination.
    source
        .execute("UPDATE accounts SET amount = 5 WHERE id = 7; UPDATE accounts SET amount = 6 WHERE id = 8");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let waiting = letters(&bench);
    assert_eq!((waiting.len(), count(&bench)), (2, 99));
    assert!(!waiting[1]["behind"].is_null(), "{waiting:?}");

    // In vain, while the rule is what it is.
    bench.tidemark("dead-letters pipeline.yaml retry").exits_with(1);
    assert_eq!(letters(&bench).len(), 2);
    bench.write("pipeline.yaml", &pipeline(&source, &LINES.replace("amount > 0", "amount > -5")));
    bench.tidemark("dead-letters pipeline.yaml retry").succeeds();
    assert_eq!((letters(&bench).len(), count(&bench)), (0, 100));
    let sum = sqlite(&bench.path("copy.db"), "SELECT sum(amount) FROM \"public.accounts\"");
    let expected = source.query("SELECT sum(amount)::text FROM accounts");
    assert_eq!(sum, expected);
}

#[test]
fn a_rule_that_fails_holds_the_stream_alone() {
    let source = Postgres::shared().database();
    source.execute(
        "CREATE TABLE accounts (id int PRIMARY KEY, amount int); INSERT INTO accounts VALUES (1, -1);
         CREATE TABLE others (id int PRIMARY KEY, amount int); INSERT INTO others VALUES (1, 1)",
    );
    let bench = bench(&source, &LINES.replace("on_fail: dead-letter", "on_fail: fail"));
    let said = bench.tidemark("run pipeline.yaml --once").exits_with(1).stderr;
    assert!(said.contains("a record of stream `public.accounts` breaks rule `positive`"), "{said}");
    assert_eq!(sqlite(&bench.path("copy.db"), "SELECT * FROM \"public.others\"").len(), 1);
    source.execute("UPDATE accounts SET amount = 1");
    bench.write("pipeline.yaml", &pipeline(&source, &LINES.replace("amount > 0", "amount > -5")));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(count(&bench), 1);
}

#[test]
fn before_staging_reading_stops_and_goes_on() {
    let source = Postgres::shared().database();
    source.execute(
        "CREATE TABLE accounts (id int PRIMARY KEY, amount text); INSERT INTO accounts VALUES (1, '5')",
    );
    let lines = |kind: &str| {
        format!(
            "
transforms: [{{cast: {{amount: {kind}}}}}]
destinations:
  copy: {{type: sqlite, path: ./copy.db, write: mirror}}
"
        )
    };
    let bench = bench(&source, &lines("int64"));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    source.execute("INSERT INTO accounts VALUES (2, '6'); INSERT INTO accounts VALUES (3, 'many')");
    let said = bench.tidemark("run pipeline.yaml --once").exits_with(1).stderr;
    assert!(said.contains("`cast` to int64 fails for column `amount`") && !said.contains("many"), "{said}");
    bench.write("pipeline.yaml", &pipeline(&source, &lines("text")));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let rows = sqlite(&bench.path("copy.db"), "SELECT id FROM \"public.accounts\"");
    assert_eq!(rows.len(), 3);
}
