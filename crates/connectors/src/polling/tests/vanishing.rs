//! Records that are not there any more.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use tidemark_engine::ErrorKind;

use super::{
    answers::page,
    bench::Fate,
    fold::Fold,
    plan, run,
    staged::{numbered, ops, slices},
    still::{Still, StillBench},
};

use crate::polling::{Answer, Changes, Page, Plan, Sweep};

#[test]
fn records_that_are_gone_are_deleted_unless_they_are_too_many() {
    run(async {
        let (still, plan) = (Still::default(), plan(&["id"], Changes::FullRefresh));
        let mut bench = still.bench(plan.clone());
        let (all, most, half) = (numbered(0..100), numbered(0..81), numbered(0..40));
        still.hold(&[&slices(&all[..50]), &[], &slices(&all[50..])]);
        bench.catch_up().await;
        let mut commits = bench.commits().await;
        assert_eq!(ops(&bench.staged(0).await), "r".repeat(100));

        still.hold(&[&slices(&most)]);
        bench.catch_up().await;
        assert_eq!(ops(&bench.staged(commits).await), "d".repeat(19));
        commits = bench.commits().await;

        let mut changed = half.clone();
        changed[0] = r#"{"id": 0, "v": 2}"#.to_owned();
        still.hold(&[&slices(&changed)]);
        for _ in 0..2 {
            let error = bench.run(Fate::CaughtUp).await.unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Conflict);
            assert!(error.message().contains("41 of 81 records of stream `orders` are gone"), "{error}");
            assert!(error.hint_text().unwrap().contains("max_deletes"));
        }
        assert_eq!(ops(&bench.staged(commits).await), "u", "what has come is kept, and nothing is deleted");

        // Whoever allows it has them deleted; whoever reads the stream anew need not be asked.
        bench.plan = Arc::new(Plan { max_deletes: 60, ..plan });
        bench.catch_up().await;
        assert_eq!(ops(&bench.staged(commits).await), format!("u{}", "d".repeat(41)));
        assert_eq!(Fold::of(&bench.staged(0).await, &["id"]).image.len(), 40);
    });
}

#[test]
fn a_few_may_all_go_and_come_back() {
    run(async {
        let still = Still::default();
        let mut bench = still.bench(plan(&["id"], Changes::FullRefresh));
        let few = numbered(0..10);
        for records in [slices(&few), vec![], slices(&few)] {
            still.hold(&[&records]);
            bench.catch_up().await;
        }
        assert_eq!(ops(&bench.staged(0).await), ["r", "d", "c"].map(|op| op.repeat(10)).concat());
    });
}

#[test]
fn who_vanishes_stays_where_that_is_wanted() {
    run(async {
        let still = Still::default();
        let plan = Plan { keeps_vanished: true, ..plan(&["id"], Changes::FullRefresh) };
        let mut bench = still.bench(plan);
        for records in [numbered(0..50), numbered(0..5)] {
            still.hold(&[&slices(&records)]);
            bench.catch_up().await;
        }
        assert_eq!(ops(&bench.staged(0).await), "r".repeat(50));
    });
}

#[test]
fn where_pages_shift_nothing_is_gone_before_two_sweeps_have_found_the_same() {
    run(async {
        let (all, skewed) = (numbered(0..60), [numbered(0..30), numbered(31..60)].concat());
        let still = Still::default();
        let unsteady = Plan { steady_pages: false, ..plan(&["id"], Changes::FullRefresh) };
        let mut bench = still.bench(unsteady);
        still.hold(&[&slices(&all[..30]), &slices(&all[30..])]);
        bench.catch_up().await;
        let commits = bench.commits().await;
        // While the pages are read something before 30 goes and comes again: 30 is on neither.
        let sweeps = Arc::new(AtomicUsize::new(0));
        let second = move || {
            let is_shifted = sweeps.fetch_add(1, Ordering::Relaxed) == 0;
            Answer::Page(page(if is_shifted { &skewed[30..] } else { &all[30..] }, &[]))
        };
        let first = move || Answer::Page(page(&numbered(0..30), &[]));
        still.answer(vec![Box::new(first), Box::new(second)]);
        bench.catch_up().await;
        assert_eq!(bench.commits().await, commits, "nothing is gone");
        still.hold(&[&slices(&numbered(0..30)), &slices(&numbered(31..60))]);
        bench.catch_up().await;
        assert_eq!(ops(&bench.staged(commits).await), "d");
    });
}

#[test]
fn a_token_that_has_expired_has_everything_read_and_compared() {
    run(async {
        let told = |records: Vec<String>| -> Box<dyn Fn() -> Answer + Send> {
            Box::new(move || Answer::Page(Page { delta: Some("next".into()), ..page(&records, &[]) }))
        };
        let still = Still::default();
        let mut bench = still.bench(plan(&["id"], Changes::Delta { sparse: false }));
        still.answer(vec![told(numbered(0..30))]);
        bench.catch_up().await;
        let commits = bench.commits().await;
        // It is told once, and what it holds then has one less, one more, and one that is another.
        let mut now = numbered(1..31);
        now[0] = r#"{"id": 1, "v": 2}"#.to_owned();
        let (asked, whole) = (AtomicUsize::new(0), told(now));
        still.answer(vec![Box::new(move || match asked.fetch_add(1, Ordering::Relaxed) {
            0 => Answer::Expired,
            _ => whole(),
        })]);
        still.asked();
        bench.catch_up().await;
        let asked: Vec<Sweep> = still.asked().into_iter().map(|ask| ask.sweep).collect();
        assert_eq!(asked, [Sweep::Delta("next".into()), Sweep::All]);
        assert_eq!(ops(&bench.staged(commits).await), "ucd");
    });
}

/// Runs processes that are stopped ever later, until one goes on with a reading that another has begun and `is_enough`.
async fn stop_on_the_way(bench: &mut StillBench, still: &Still, is_enough: impl Fn() -> bool) {
    for polls in 0.. {
        let was_enough = is_enough();
        still.asked();
        bench.run(Fate::Stopped(polls)).await.unwrap().unwrap();
        if was_enough && still.asked().first().is_some_and(|ask| ask.token.is_some()) {
            return;
        }
    }
}

#[test]
fn who_is_stopped_before_it_asks_leaves_the_place_as_it_is() {
    run(async {
        let (still, records) = (Still::default(), numbered(0..50));
        let mut bench = still.bench(plan(&["id"], Changes::FullRefresh));
        still.hold(
            &records.chunks(1).map(slices).collect::<Vec<_>>().iter().map(Vec::as_slice).collect::<Vec<_>>(),
        );
        stop_on_the_way(&mut bench, &still, || true).await;
        bench.run(Fate::Stopped(0)).await.unwrap().unwrap();
        assert_eq!(still.asked(), []);
        bench.catch_up().await;
        assert!(still.asked()[0].token.is_some());
    });
}

#[test]
fn who_went_before_a_first_reading_was_begun_again_is_found_gone() {
    run(async {
        // The first who asks is told that pages have expired, where they are to.
        let told = |ids: Range<u32>, fresh: &Arc<AtomicBool>| -> Box<dyn Fn() -> Answer + Send> {
            let (records, fresh) = (numbered(ids), fresh.clone());
            Box::new(move || match fresh.swap(true, Ordering::Relaxed) {
                true => Answer::Page(Page { delta: Some("next".into()), ..page(&records, &[]) }),
                false => Answer::Expired,
            })
        };
        let still = Still::default();
        let mut bench = still.bench(plan(&["id"], Changes::Delta { sparse: false }));
        let fresh = Arc::new(AtomicBool::new(true));
        still.answer((0..50).map(|n| told(n..n + 1, &fresh)).collect());
        stop_on_the_way(&mut bench, &still, || true).await;

        // One who was read goes, the pages expire, and whoever reads them again is stopped as well.
        let expired = Arc::new(AtomicBool::new(false));
        still.answer((0..50).map(|n| told(n.max(1)..n + 1, &expired)).collect());
        stop_on_the_way(&mut bench, &still, || expired.load(Ordering::Relaxed)).await;
        bench.catch_up().await;
        assert_eq!(Fold::of(&bench.staged(0).await, &["id"]).image.len(), 49);
    });
}

#[test]
fn a_deleted_record_that_was_made_again_is_there_whatever_stands_together() {
    run(async {
        let told = |records: &[&str], gone: &[(u64, usize)]| -> Box<dyn Fn() -> Answer + Send> {
            let records: Vec<String> = records.iter().map(|json| (*json).to_owned()).collect();
            let gone = gone.to_vec();
            Box::new(move || Answer::Page(Page { delta: Some("next".into()), ..page(&records, &gone) }))
        };
        let still = Still::default();
        let mut bench = still.bench(plan(&["id"], Changes::Delta { sparse: true }));
        still.answer(vec![told(&[r#"{"id": 1, "a": 1, "b": 1}"#, r#"{"id": 2, "a": 1, "b": 1}"#], &[])]);
        bench.catch_up().await;
        let commits = bench.commits().await;
        // 1 is deleted and made again, without `b`; 2 is changed and deleted.
        still.answer(vec![
            told(&[], &[(1, 0)]),
            told(&[r#"{"id": 1, "a": 2}"#, r#"{"id": 2, "a": 2}"#], &[(2, 2)]),
        ]);
        bench.catch_up().await;
        assert_eq!(ops(&bench.staged(commits).await), "cud");
        let image = Fold::of_sparse(&bench.staged(0).await, &["id"]).image;
        assert_eq!(format!("{image:?}"), r#"{"1": {"a": "2", "id": "1"}}"#);
    });
}
