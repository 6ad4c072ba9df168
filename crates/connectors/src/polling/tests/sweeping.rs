//! What is asked, and what is made of the answers.

use std::{sync::Arc, time::Duration};

use tidemark_engine::{ErrorKind, read::End};

use super::{bench::Fate, plan, run, staged::ops, still::Still, watermark};

use crate::polling::{Answer, Changes, Overlap, Sweep};

#[test]
fn an_empty_page_with_more_behind_it_is_not_the_end() {
    run(async {
        let still = Still::default();
        let mut bench = still.bench(plan(&["id"], Changes::FullRefresh));
        still.hold(&[&[], &[], &[r#"{"id": 1}"#, r#"{"id": 2}"#], &[], &[r#"{"id": 3}"#], &[]]);
        bench.catch_up().await;
        bench.catch_up().await;
        assert_eq!(ops(&bench.staged(0).await), "rrr");
    });
}

#[test]
fn nothing_is_skipped_where_the_source_says_what_it_was_not_asked() {
    run(async {
        let unchanged = || -> Vec<Box<dyn Fn() -> Answer + Send>> { vec![Box::new(|| Answer::Unchanged)] };
        let expired = || -> Vec<Box<dyn Fn() -> Answer + Send>> { vec![Box::new(|| Answer::Expired)] };
        for pages in [unchanged(), expired()] {
            let still = Still::default();
            let mut bench = still.bench(plan(&["id"], Changes::FullRefresh));
            still.answer(pages);
            let error = bench.run(Fate::CaughtUp).await.unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Data, "{error}");
        }
        let still = Still::default();
        let mut bench = still.bench(plan(&["id"], Changes::Delta { sparse: false }));
        still.hold(&[&[r#"{"id": 1}"#]]);
        let error = bench.run(Fate::CaughtUp).await.unwrap().unwrap_err();
        assert!(error.message().contains("has no delta token"), "{error}");
    });
}

#[test]
fn a_stream_is_read_anew_when_asked_or_when_its_key_is_another() {
    run(async {
        let still = Still::default();
        let mut bench = still.bench(plan(&["id"], Changes::FullRefresh));
        still.hold(&[&[r#"{"id": 1, "other": "a"}"#, r#"{"id": 2, "other": "b"}"#]]);
        bench.catch_up().await;
        let commits = bench.commits().await;
        still.hold(&[&[r#"{"id": 2, "other": "b"}"#]]);
        assert_eq!(bench.run_asked(Fate::CaughtUp, Some(&[])).await.unwrap().unwrap(), End::CaughtUp);
        assert_eq!(ops(&bench.staged(commits).await), "tr");

        let commits = bench.commits().await;
        bench.plan = Arc::new(plan(&["other"], Changes::FullRefresh));
        bench.catch_up().await;
        let staged = bench.staged(commits).await;
        assert_eq!(ops(&staged), "tr");
        assert_eq!(staged.last().unwrap().changes.schema().key_names(), ["other"]);
        let commits = bench.commits().await;
        bench.catch_up().await;
        assert_eq!(bench.commits().await, commits, "once");
    });
}

#[test]
fn records_without_a_key_are_known_by_what_they_hold() {
    run(async {
        let still = Still::default();
        let mut bench = still.bench(plan(&[], Changes::FullRefresh));
        still.hold(&[&[r#"{"v": 1}"#, r#"{"v": 2}"#], &[r#"{"v": 2}"#]]);
        bench.catch_up().await;
        still.hold(&[&[r#"{"v": 3}"#, r#"{"v": 2}"#]]);
        bench.catch_up().await;
        still.hold(&[&[r#"{"v": 1}"#, r#"{"v": 2}"#]]);
        bench.catch_up().await;
        assert_eq!(ops(&bench.staged(0).await), "rrcc", "1 was gone, and came again");
    });
}

#[test]
fn of_records_without_a_key_only_those_are_remembered_that_can_come_again() {
    run(async {
        let still = Still::default();
        let mut bench = still.bench(plan(&[], watermark(Overlap::Steps(2), Some(Duration::ZERO))));
        for page in [&[r#"{"mark": 1}"#, r#"{"mark": 5}"#][..], &[r#"{"mark": 5}"#, r#"{"mark": 9}"#]] {
            still.hold(&[page]);
            bench.catch_up().await;
        }
        still.hold(&[&[r#"{"mark": 9}"#]]);
        bench.catch_up().await;
        still.asked();
        // A longer overlap does not ask for what is forgotten.
        bench.plan = Arc::new(plan(&[], watermark(Overlap::Steps(8), None)));
        bench.catch_up().await;
        assert_eq!(still.asked()[0].sweep, Sweep::Since("7".into()));
        assert_eq!(ops(&bench.staged(0).await), "rrc");
    });
}
