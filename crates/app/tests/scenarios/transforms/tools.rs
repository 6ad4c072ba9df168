//! What helps to write transforms: `tidemark test`, `changes --through`, `replay --where`, and `check`.

use serde_json::Value as Json;
use tidemark_test_servers::Postgres;

use super::{bench, sqlite};
use crate::workbench::Workbench;

const PIPELINE: &str = "
name: tested
source: {type: files, path: ./data, streams: {orders: {key: [id]}}}
transforms:
  - drop: [note?]
destinations:
  large:
    type: sqlite
    path: ./large.db
    write: mirror
    transforms:
      - filter: amount > 100
      - add: {gross: {expr: 'amount * 1.5', type: 'decimal(12,2)'}}
tests:
  - name: a large order comes with its tax
    stream: orders
    through: large
    key: [id]
    types: {amount: 'decimal(12,2)'}
    change: {op: c, after: {id: 1, amount: 200, note: x}}
    expect: [{op: c, after: {id: 1, amount: 200, gross: 300}}]
  - name: a small one does not come
    stream: orders
    through: large
    change: {op: c, after: {id: 1, amount: 5.5}}
  - name: one that becomes small goes
    stream: orders
    through: large
    key: [id]
    change: {op: u, before: {id: 1, amount: 200.5}, after: {id: 1, amount: 5.5}}
    expect: [{op: d, before: {id: 1, amount: 200.5, gross: 300.75}}]
  - name: an amount is a number
    stream: orders
    through: large
    change: {op: c, after: {id: 1, amount: much}}
    error: '`>` means nothing for (string, int)'
  - name: before staging everything comes
    stream: orders
    through: staging
    change: {op: c, after: {id: 1, amount: 5, note: null}}
    expect: [{op: c, after: {id: 1, amount: 5}}]
";

#[test]
fn examples_are_held_to() {
    let bench = Workbench::with_pipeline(PIPELINE);
    let said = bench.tidemark("test pipeline.yaml").succeeds().stdout;
    assert_eq!(said.lines().last(), Some("5 passed"), "{said}");
    bench.write("pipeline.yaml", &PIPELINE.replace("amount > 100", "amount > 250"));
    let said = bench.tidemark("test pipeline.yaml").exits_with(1).stdout;
    insta::assert_snapshot!(said);
    let told: Json =
        serde_json::from_str(&bench.tidemark("test pipeline.yaml --json").exits_with(1).stdout).unwrap();
    let passed: Vec<_> =
        told["tests"].as_array().unwrap().iter().map(|test| test["passed"].as_bool().unwrap()).collect();
    assert_eq!(passed, [false, true, false, true, true]);
    assert_eq!(told["tests"][0]["found"], Json::Array(Vec::new()));
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let bench = Workbench::with_pipeline(
        "
name: wrong
source: {type: files, path: ./data}
transforms:
  - filter: amount >
  - {}
  - cast: {amount: integer}
  - quality: [{name: a, expr: 'sise(b) > 1', on_fail: dead-letter}]
destinations:
  copy:
    type: sqlite
    path: ./copy.db
    write: append
    transforms:
      - filter: op == 'd'
      - hash: {columns: [id], key: short}
      - streams: []
        drop: [a]
        select: [b]
tests:
  - {name: a, stream: s, through: nowhere, change: {op: c, after: {id: 1}}}
",
    );
    insta::assert_snapshot!(bench.tidemark("check pipeline.yaml").exits_with(2).stderr);
}

#[test]
fn what_a_destination_is_given_can_be_seen_first() {
    let source = Postgres::shared().database();
    source.execute(
        "CREATE TABLE t (id int PRIMARY KEY, amount int); INSERT INTO t VALUES (1, 50), (2, 150), (3, NULL), (4, 500)",
    );
    let bench = bench(&source, "
destinations:
  large: {type: sqlite, path: ./large.db, write: mirror, live: false, transforms: [{filter: amount > 100}, {rename: {amount: sum}}]}
");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    source.execute("UPDATE t SET amount = 10 WHERE id = 2");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let seen = bench.tidemark("changes pipeline.yaml --through large").succeeds().stdout;
    let lines: Vec<_> = seen.lines().map(|line| line.split_once(' ').unwrap().1).collect();
    assert_eq!(
        lines,
        [
            r#"r public.t {"id":2,"sum":150}"#,
            "r public.t refused: `filter` has no value for a change: `>` means nothing for (null_type, int)",
            r#"r public.t {"id":4,"sum":500}"#,
            r#"d public.t {"id":2}"#,
        ],
        "{seen}"
    );
    let json = bench.tidemark("changes pipeline.yaml --through large --json").succeeds().stdout;
    assert_eq!(json.lines().filter(|line| line.contains("\"refused\":")).count(), 1);
    bench.tidemark("changes pipeline.yaml --through nowhere").exits_with(2);
}

#[test]
fn a_replay_takes_what_it_is_told_to() {
    let source = Postgres::shared().database();
    source.execute("CREATE TABLE t (id int PRIMARY KEY, amount int); INSERT INTO t SELECT i, i FROM generate_series(1, 100) i");
    let bench = bench(
        &source,
        "
destinations:
  all: {type: sqlite, path: ./all.db, write: mirror}
  some: {type: sqlite, path: ./some.db, write: mirror, live: false, transforms: [{rename: {amount: sum}}]}
",
    );
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let status: Json =
        serde_json::from_str(&bench.tidemark("status pipeline.yaml --json").succeeds().stdout).unwrap();
    let first = status["log"]["commit"].as_u64().unwrap();
    source.execute("UPDATE t SET amount = amount + 50 WHERE id % 2 = 0; DELETE FROM t WHERE id > 90");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    bench.tidemark("replay pipeline.yaml --to some --where amount>70").succeeds();
    let expected = source.query("SELECT id::text, amount::text FROM t WHERE amount > 70 ORDER BY t.id");
    let rows = "SELECT id, sum FROM \"public.t\" ORDER BY id";
    assert_eq!(sqlite(&bench.path("some.db"), rows), expected);
    let said = bench.tidemark("replay pipeline.yaml --to some --where amount>80").exits_with(2).stderr;
    assert!(said.contains("filled with another `--where`"), "{said}");
    let said = bench.tidemark("replay pipeline.yaml --to all --where amount>80").exits_with(2).stderr;
    assert!(said.contains("`run` writes everything to `all`"), "{said}");
    let said = bench.tidemark("replay pipeline.yaml --to some --where amount>").exits_with(2).stderr;
    assert!(said.contains("`--where` cannot be understood"), "{said}");
    // The state as of a moment, of some of the records.
    bench
        .tidemark(&format!("replay pipeline.yaml --to some --as-of seq:{first} --where amount>95"))
        .succeeds();
    assert_eq!(sqlite(&bench.path("some.db"), rows).len(), 5);
}

#[test]
fn the_example_does_what_it_says() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/transforms");
    let read = |name: &str| std::fs::read_to_string(format!("{example}/{name}")).unwrap();
    let bench = Workbench::with_pipeline(&read("pipeline.yaml"));
    bench.write("data/accounts.csv", &read("data/accounts.csv"));
    bench.tidemark("test pipeline.yaml").succeeds();
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let rows = sqlite(&bench.path("wealthy.db"), "SELECT id, iban, balance FROM accounts");
    let expected = ["1", "*****************2957", "25000"].map(|value| Some(value.to_owned()));
    assert_eq!(rows, [expected.to_vec()]);
    let seen = bench.tidemark("changes pipeline.yaml --through alerts").succeeds().stdout;
    assert_eq!(seen.lines().count(), 1, "{seen}");
    assert!(seen.contains("\"balance\":-40"), "{seen}");
}
