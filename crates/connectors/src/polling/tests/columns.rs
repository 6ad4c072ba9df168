//! What records hold, and what tells them apart.

use std::sync::Arc;

use tidemark_engine::{ErrorKind, change::ChangeBatch, contract::samples, schema::StreamSchema};

use super::{
    bench::Fate,
    fold::Fold,
    plan, run,
    staged::{ops, told},
    still::Still,
};

use crate::{
    polling::{Changes, Records},
    records::{CsvCutter, Cutter},
};

#[test]
fn columns_widen_come_and_go() {
    run(async {
        let still = Still::default();
        let mut bench = still.bench(plan(&["id"], Changes::FullRefresh));
        still.hold(&[
            &[r#"{"id": 1, "v": 9007199254740993, "w": null}"#],
            &[r#"{"id": 2, "v": 12345678901234567890.125, "w": null}"#],
        ]);
        bench.catch_up().await;
        let staged = bench.staged(0).await;
        assert_eq!(
            told(&staged, "v"),
            [r"r Value(Int(9007199254740993))", r#"r Value(Text("12345678901234567890.125"))"#],
            "numbers stay exact"
        );
        let commits = bench.commits().await;
        still.hold(&[&[
            r#"{"id": 1}"#,
            r#"{"id": 2, "v": "many", "w": {"b": 1}, "x": true}"#,
            r#"{"id": "three"}"#,
        ]]);
        bench.catch_up().await;
        let staged = bench.staged(commits).await;
        assert_eq!(
            told(&staged, "v"),
            ["u Null", r#"u Value(Text("many"))"#, "c Unchanged"],
            "missing is not NULL"
        );
        assert_eq!(told(&staged, "x"), ["u Null", "u Value(Bool(true))", "c Unchanged"]);
        assert_eq!(told(&staged, "id")[2], r#"c Value(Text("three"))"#);
        // The key has become text: numbers and strings are one.
        let commits = bench.commits().await;
        still.hold(&[&[r#"{"id": "1"}"#, r#"{"id": "2", "v": "many", "w": {"b": 1}, "x": true}"#]]);
        bench.catch_up().await;
        let staged = bench.staged(commits).await;
        assert_eq!(told(&staged, "id").last().unwrap(), r#"d Value(Text("three"))"#);
        assert_eq!(Fold::of(&bench.staged(0).await, &["id"]).image.len(), 2);
    });
}

#[test]
fn a_change_of_what_is_ignored_or_left_out_is_none() {
    run(async {
        let still = Still::default();
        let mut plan = plan(&["id"], Changes::FullRefresh);
        plan.ignored = vec!["seen".into()];
        plan.outline.exclude = ["secret".to_owned()].into();
        let mut bench = still.bench(plan);
        still.hold(&[&[r#"{"id": 1, "seen": 1, "secret": "a", "v": 1}"#]]);
        bench.catch_up().await;
        let commits = bench.commits().await;
        still.hold(&[&[r#"{"seen": 2, "v": 1, "secret": "b", "id": 1}"#]]);
        bench.catch_up().await;
        assert_eq!(bench.commits().await, commits);
    });
}

#[test]
fn a_record_without_its_key_or_with_an_object_there_is_refused_and_not_quoted() {
    run(async {
        for record in [r#"{"v": "row"}"#, r#"{"id": null, "v": "row"}"#, r#"{"id": {"row": 1}}"#] {
            let still = Still::default();
            let mut bench = still.bench(plan(&["id"], Changes::FullRefresh));
            still.hold(&[&[r#"{"id": 1, "v": "a"}"#, record]]);
            let error = bench.run(Fate::CaughtUp).await.unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Data);
            assert!(
                error.message().contains("key column `id`") && !error.to_string().contains("row\""),
                "{error}"
            );
            assert!(error.hint_text().is_some());
        }
    });
}

#[test]
fn keys_of_several_columns_and_of_plain_text_are_deleted_as_they_were() {
    run(async {
        let (still, plan) = (Still::default(), plan(&["b", "a"], Changes::FullRefresh));
        let mut bench = still.bench(plan);
        let csv = |text: &'static str| {
            move || {
                let nulls = Arc::new(vec![String::new()]);
                let cut =
                    CsvCutter::new(b',', nulls, None, false).cut(text.as_bytes(), 1, 100, "orders").unwrap();
                Records::Text(Arc::new(cut.rows))
            }
        };
        still.hold_records(csv("a,b,v\n1,007,x\n1,7,y\n2013-01-01,true,z\n"));
        bench.catch_up().await;
        let commits = bench.commits().await;
        still.hold_records(csv("v,b,a\ny,7,1\n"));
        bench.catch_up().await;
        let staged = bench.staged(commits).await;
        assert_eq!(ops(&staged), "dd");
        let image = Fold::of(&bench.staged(0).await, &["b", "a"]).image;
        assert_eq!(image.keys().collect::<Vec<_>>(), ["7|1"]);
    });
}

#[test]
fn records_of_a_system_with_types_are_compared_and_deleted_by_keys_of_every_kind() {
    run(async {
        let orders = samples::orders(30);
        let mut names: Vec<&str> = orders.schema().fields().iter().map(|field| field.name.as_str()).collect();
        names.retain(|name| *name != "note");
        let key = names.iter().map(|name| (*name).to_owned()).collect();
        let fields = orders.schema().fields().to_vec();
        let schema = StreamSchema::new(orders.schema().stream().clone(), fields, key).unwrap();
        let records = ChangeBatch::new(schema, orders.columns().clone()).unwrap();
        // In the pipeline file they stand in another order.
        names.reverse();
        let still = Still::default();
        let mut bench = still.bench(plan(&names, Changes::FullRefresh));
        let all = records.clone();
        still.hold_records(move || Records::Typed(all.clone()));
        bench.catch_up().await;
        assert_eq!(ops(&bench.staged(0).await), "r".repeat(30));
        let commits = bench.commits().await;
        bench.catch_up().await;
        assert_eq!(bench.commits().await, commits);
        let some = records.slice(4, 26);
        still.hold_records(move || Records::Typed(some.clone()));
        bench.catch_up().await;
        assert_eq!(ops(&bench.staged(commits).await), "dddd");
        assert_eq!(Fold::of(&bench.staged(0).await, &names).image.len(), 26);
    });
}
