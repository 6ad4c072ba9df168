//! What changes in tables: by the mark that the service sets, and by comparing what it cannot tell.

use std::{collections::BTreeSet, time::Duration};

use tidemark_test_servers::{Front, Operation, Tables, Treatment};

use super::{Entity, assert_equal, in_sqlite, insert, key, pipeline};
use crate::{growth::Chance, rows::count_in_sqlite, workbench::Workbench};

const DESTINATIONS: &str = "  lite: {type: sqlite, path: ./lite.db, write: mirror}
  all: {type: sqlite, path: ./all.db, write: append}";

fn delete(number: i64) -> Operation {
    Operation { method: "DELETE", key: key(number), json: String::new() }
}

#[test]
fn changes_are_found_by_the_mark_and_deletes_by_comparing() {
    let tables = Tables::shared();
    let table = tables.make();
    let mut expected = insert(tables, &table, 0..3_000);
    let write = |bench: &Workbench, keys: &str| {
        let streams = format!("orders: {{table: {table}{keys}}}");
        bench.write("pipeline.yaml", &pipeline(tables.port(), &streams, DESTINATIONS));
    };
    let bench = Workbench::new();
    write(&bench, "");
    let (lite, all) = (bench.path("lite.db"), bench.path("all.db"));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_equal(&in_sqlite(&lite, "orders"), &expected);

    let changed: Vec<_> = [5, 1_500, 2_999, 3_001].map(|number| Entity::new(number, 1)).into();
    tables.change(&table, &changed.iter().map(|entity| entity.operation.clone()).collect::<Vec<_>>());
    tables.change(&table, &[delete(7), delete(2_000)]);
    expected.extend(changed.into_iter().map(Entity::is));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_equal(&in_sqlite(&lite, "orders"), &expected);
    assert_eq!(count_in_sqlite(&all, "orders"), 3_004, "what is known already is not staged again");

    write(&bench, ", compare_every: 1ms");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    [7, 2_000].iter().for_each(|number| drop(expected.remove(&key(*number))));
    assert_equal(&in_sqlite(&lite, "orders"), &expected);

    write(&bench, ", changes: full-refresh");
    tables.change(&table, &[delete(8)]);
    expected.remove(&key(8));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_equal(&in_sqlite(&lite, "orders"), &expected);

    let most: Vec<_> = (0..1_000).filter(|number| ![7, 8].contains(number)).map(delete).collect();
    tables.change(&table, &most);
    let refused = bench.tidemark("run pipeline.yaml --once");
    assert!(refused.stderr.contains("max_deletes"), "{}", refused.stderr);
    assert_equal(&in_sqlite(&lite, "orders"), &expected);
}

#[test]
fn a_property_that_is_taken_away_is_null() {
    let tables = Tables::shared();
    let table = tables.make();
    let change = |json: &str| {
        let json = json.to_owned();
        tables.change(&table, &[Operation { method: "PUT", key: ("p".into(), "1".into()), json }]);
    };
    change(r#"{"A": 1, "B": 2}"#);
    let streams = format!("orders: {{table: {table}}}");
    let bench = Workbench::with_pipeline(&pipeline(tables.port(), &streams, DESTINATIONS));
    let run = || {
        bench.tidemark("run pipeline.yaml --once").succeeds();
        crate::webhook::rows(&bench.path("lite.db"), "SELECT \"A\", \"B\" FROM orders")
    };
    assert_eq!(run(), ["Integer(1) Integer(2)"]);
    change(r#"{"A": 3}"#);
    assert_eq!(run(), ["Integer(3) Null"]);
}

#[test]
fn a_table_that_is_gone_deletes_nothing() {
    let tables = Tables::shared();
    let table = tables.make();
    let expected = insert(tables, &table, 0..50);
    let streams = format!("orders: {{table: {table}, changes: full-refresh}}");
    let bench = Workbench::with_pipeline(&pipeline(tables.port(), &streams, DESTINATIONS));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    tables.delete(&table);
    let outcome = bench.tidemark("run pipeline.yaml --once");
    assert_ne!(outcome.code(), 0);
    assert!(outcome.stderr.contains(&format!("there is no table `{table}`")), "{}", outcome.stderr);
    assert_equal(&in_sqlite(&bench.path("lite.db"), "orders"), &expected);
}

/// Entities before and behind the page that is being read are changed, made and deleted meanwhile, and the process is killed now and then.
#[test]
fn what_changes_while_it_is_read_is_not_missed() {
    let mut chance = Chance::from_the_environment();
    let tables = Tables::shared();
    let table = tables.make();
    let mut expected = insert(tables, &table, 0..6_000);
    let front = Front::before(tables.port());
    front.treat_all(Treatment::Delay(Duration::from_millis(30)));
    let streams = format!("orders: {{table: {table}, compare_every: 1s}}");
    let live =
        pipeline(front.port(), &streams, DESTINATIONS).replace("azure-table", "azure-table\n  poll: 50ms");
    let bench = Workbench::with_pipeline(&live);
    let mut running = bench.start("run pipeline.yaml");
    for version in 1..=40 {
        let number = |chance: &mut Chance| i64::try_from(chance.below(7_000)).unwrap();
        let numbers: BTreeSet<_> = (0..20).map(|_| number(&mut chance)).collect();
        let changed: Vec<_> = numbers.iter().map(|number| Entity::new(*number, version)).collect();
        tables.change(&table, &changed.iter().map(|entity| entity.operation.clone()).collect::<Vec<_>>());
        expected.extend(changed.into_iter().map(Entity::is));
        let gone = number(&mut chance);
        if expected.remove(&key(gone)).is_some() {
            tables.change(&table, &[delete(gone)]);
        }
        if chance.below(6) == 0 {
            running.kill().was_killed();
            running = bench.start("run pipeline.yaml");
        }
    }
    running.until("everything has arrived", || in_sqlite(&bench.path("lite.db"), "orders") == expected);
    running.terminate().succeeds();
}
