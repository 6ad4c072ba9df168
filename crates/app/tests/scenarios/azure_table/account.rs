//! The account itself: which tables it has, and who may read them.

use std::fs;

use tidemark_test_servers::{Operation, Tables};

use super::{in_sqlite, insert, pipeline};
use crate::{samples::examples, workbench::Workbench};

const DESTINATION: &str = "  lite: {type: sqlite, path: ./lite.db, write: mirror}";

#[test]
fn every_table_is_read_and_shown_unless_some_are_named() {
    let tables = Tables::start();
    for name in ["Orders", "Customers", "Empty"] {
        tables.make_named(name);
    }
    let orders = insert(&tables, "Orders", 0..1_200);
    let customer =
        Operation { method: "POST", key: ("c".into(), String::new()), json: r#"{"Name": "Ada"}"#.into() };
    tables.change("Customers", &[customer]);

    let all = pipeline(tables.port(), "", DESTINATION).replace("  streams: {}\n", "");
    let bench = Workbench::with_pipeline(&all);
    bench.tidemark("check pipeline.yaml").succeeds();
    let shown = bench.tidemark("discover pipeline.yaml").succeeds().stdout;
    for word in ["Orders", "Customers", "PartitionKey", "Float", "Name"] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    bench.tidemark("run pipeline.yaml --once").succeeds();
    super::assert_equal(&in_sqlite(&bench.path("lite.db"), "Orders"), &orders);
    let name = "SELECT \"RowKey\", \"Name\" FROM \"Customers\"";
    assert_eq!(crate::webhook::rows(&bench.path("lite.db"), name), ["Text(\"\") Text(\"Ada\")"]);

    bench.write("pipeline.yaml", &pipeline(tables.port(), "Ordres: {}, other: {}", DESTINATION));
    let checked = bench.tidemark("check pipeline.yaml");
    assert_ne!(checked.code(), 0);
    let said = checked.stdout + &checked.stderr;
    for words in
        ["there is no table `Ordres`", "did you mean `Orders`?", "there is no table `other`", "choose from:"]
    {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn a_wrong_key_is_refused_and_not_shown() {
    let tables = Tables::shared();
    let table = tables.make();
    let wrong = pipeline(tables.port(), &format!("{table}: {{}}"), DESTINATION).replace("Eby8", "aGVs");
    let bench = Workbench::with_pipeline(&wrong);
    for command in ["check", "run --once"] {
        let outcome = bench.tidemark(&format!("{command} pipeline.yaml"));
        assert_ne!(outcome.code(), 0);
        let said = outcome.stdout + &outcome.stderr;
        assert!(said.contains("403") && !said.contains("aGVsvdM02"), "{said}");
    }
}

#[test]
fn the_example_runs() {
    let example = fs::read_to_string(examples("azure-table/orders.yaml")).unwrap();
    let lines =
        example.lines().filter(|line| !line.trim().is_empty() && !line.trim().starts_with('#')).count();
    assert!(lines <= 15, "{lines} lines");
    let tables = Tables::start();
    tables.make_named("Orders");
    let expected = insert(&tables, "Orders", 0..100);
    let (account, key) = Tables::account();
    let place = format!("http://127.0.0.1:{}/{account}\n  allow_hosts: [127.0.0.1]", tables.port());
    let example = example
        .replace("https://shop.table.core.windows.net", &place)
        .replace("account: shop", &format!("account: {account}"));
    let bench = Workbench::with_pipeline(&example).in_environment(&[("AZURE_STORAGE_KEY", key.to_owned())]);
    bench.tidemark("run pipeline.yaml --once").succeeds();
    super::assert_equal(&in_sqlite(&bench.path("orders.db"), "orders"), &expected);
}
