use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::http::client::tests::world::paused_world;

fn limits(json: serde_json::Value) -> Limits {
    serde_json::from_value(json).unwrap()
}

fn origin() -> Origin {
    url::Url::parse("https://api.example").unwrap().origin()
}

#[tokio::test(start_paused = true)]
async fn pipelines_share_one_budget_of_requests() {
    let (world, budgets) = (paused_world(), Budgets::default());
    let join =
        || budgets.join(origin(), Digest::of(b"me"), &limits(serde_json::json!({"requests": "10 per 1m"})));
    let (first, second) = (join(), join());
    let begun = world.now();
    for turn in 0..30 {
        let budget = if turn % 2 == 0 { &first } else { &second };
        drop(budget.enter(&world).await);
    }
    let took = world.now().micros_since(begun);
    assert!((120_000_000..130_000_000).contains(&took), "{took}");
    // All of the process share one registry.
    let limits = limits(serde_json::json!({}));
    let here = Budgets::of_process().join(origin(), Digest::of(b"me"), &limits);
    assert!(Arc::ptr_eq(&here, &Budgets::of_process().join(origin(), Digest::of(b"me"), &limits)));
    // Others have a budget of their own.
    let other = budgets.join(origin(), Digest::of(b"you"), &limits);
    let before = world.now();
    drop(other.enter(&world).await);
    assert_eq!(world.now(), before);
}

#[tokio::test(start_paused = true)]
async fn no_more_run_at_once_than_may() {
    let world = paused_world();
    let budget =
        Budgets::default().join(origin(), Digest::ZERO, &limits(serde_json::json!({"concurrency": 3})));
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let one = |index: u64| {
        let (world, budget, running, most) = (world.clone(), budget.clone(), running.clone(), most.clone());
        async move {
            let permit = budget.enter(&world).await;
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            world.sleep(Duration::from_millis(10 + index % 7)).await;
            running.fetch_sub(1, Ordering::SeqCst);
            drop(permit);
        }
    };
    futures::future::join_all((0..50).map(one)).await;
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn bytes_and_pauses_hold_everybody_back() {
    let world = paused_world();
    let budget = Budgets::default().join(
        origin(),
        Digest::ZERO,
        &limits(serde_json::json!({"bytes": "1KiB per 10s"})),
    );
    let begun = world.now();
    let permit = budget.enter(&world).await;
    permit.received(5_000);
    drop(permit);
    drop(budget.enter(&world).await);
    let took = world.now().micros_since(begun);
    assert!((10_000_000..10_100_000).contains(&took), "{took}");

    let now = world.now();
    budget.pause(Duration::from_secs(60), now);
    budget.pause(Duration::from_secs(5), now);
    drop(budget.enter(&world).await);
    let took = world.now().micros_since(now);
    assert!((60_000_000..60_100_000).contains(&took), "{took}");
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_waiting_takes_nothing_along() {
    let world = paused_world();
    let budget =
        Budgets::default().join(origin(), Digest::ZERO, &limits(serde_json::json!({"concurrency": 1})));
    let held = budget.enter(&world).await;
    tokio::select! {
        _ = budget.enter(&world) => panic!("the only place is taken"),
        () = world.sleep(Duration::from_secs(1)) => {}
    }
    drop(held);
    drop(budget.enter(&world).await);
}
