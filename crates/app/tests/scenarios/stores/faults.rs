//! A store that is cut off, that does what it is asked and does not say so, that is silent, that fails.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tidemark_test_servers::{Bucket, Cloud, Front, Response, Treatment};

use super::in_every_cloud;
use crate::{
    growth::Chance,
    process::pause,
    rows::{Csv, count_in_sqlite},
    workbench::Workbench,
};

in_every_cloud!(nothing_is_lost_or_doubled_whatever_becomes_of_requests, an_answer_that_is_lost_is_asked_for);

/// Orders in files to a mirror and to an append, with the log behind `front`.
fn orders(cloud: Cloud, front: &Front) -> Workbench {
    let Bucket { url, variables } = cloud.shared().bucket_behind(front);
    Workbench::with_pipeline(&format!(
        "name: shop
source: {{type: files, path: ./data, streams: {{orders: {{key: [id]}}}}}}
staging: {{url: \"{url}\", max_delay: 20ms}}
trigger: {{every: 50ms}}
destinations:
  copy: {{type: sqlite, path: ./copy.db, write: mirror}}
  kept: {{type: sqlite, path: ./kept.db, write: append}}
"
    ))
    .in_environment(&variables)
}

fn assert_whole(bench: &Workbench) {
    let orders = Csv::read(&bench.path("data"), "orders");
    orders.equals_sqlite(&bench.path("copy.db"), "orders");
    assert_eq!(count_in_sqlite(&bench.path("kept.db"), "orders"), orders.len(), "each order is there once");
}

fn nothing_is_lost_or_doubled_whatever_becomes_of_requests(cloud: Option<Cloud>) {
    let cloud = cloud.unwrap();
    let front = Front::before(cloud.shared().port());
    let bench = orders(cloud, &front);
    let copy = bench.path("copy.db");
    bench.write("data/orders.csv", "id,amount\n0,0\n");
    let mut running = bench.start("run pipeline.yaml");
    running.until("the first order has arrived", || count_in_sqlite(&copy, "orders") == 1);

    let mut chance = Chance::from_the_environment();
    let mut of_requests = Chance::new(chance.below(u64::MAX));
    front.treat(move |_| match of_requests.below(100) {
        0..5 => Treatment::Cut,
        5..11 => Treatment::LoseAnswer,
        11..17 => Treatment::Reset,
        17..21 => Treatment::Answer(Response::new(503, &[], b"<Error><Code>SlowDown</Code></Error>")),
        21..50 => Treatment::Delay(Duration::from_millis(20)),
        _ => Treatment::Pass,
    });
    for id in 1..150 {
        bench.append("data/orders.csv", &format!("{id},{}\n", chance.below(1_000)));
        pause(Duration::from_millis(chance.below(60)));
    }
    // As long as it likes, and as bad as it is.
    running.until("all orders have arrived", || count_in_sqlite(&copy, "orders") == 150);
    front.treat_all(Treatment::Pass);
    running.terminate().succeeds();
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_whole(&bench);
}

/// Failure mode 40, one put after the other: of the log's identity, schemas, commits, marks.
fn an_answer_that_is_lost_is_asked_for(cloud: Option<Cloud>) {
    let cloud = cloud.unwrap();
    let front = Front::before(cloud.shared().port());
    for treatment in [Treatment::LoseAnswer, Treatment::Reset] {
        let bench = orders(cloud, &front);
        bench.write("data/orders.csv", "id,amount\n0,0\n1,1\n");
        let is_put = |request: &tidemark_test_servers::Request| {
            request.method == "PUT" && request.target.contains("shop") && !request.target.contains("probes")
        };
        // Every put is lost once.
        let (mut lost, of_puts) = (Vec::new(), treatment.clone());
        front.treat(move |request| {
            if !is_put(request) || lost.contains(&request.target) {
                return Treatment::Pass;
            }
            lost.push(request.target.clone());
            of_puts.clone()
        });
        let ended = bench.tidemark("run pipeline.yaml --once").succeeds();
        assert!(!ended.stderr.contains("another process"), "its own objects are its own: {}", ended.stderr);
        front.treat_all(Treatment::Pass);
        assert_whole(&bench);
    }
}

/// A connection that is half open: nobody answers, and nobody says so.
#[test]
fn a_silent_store_is_waited_for_and_asked_again() {
    let front = Front::before(Cloud::S3.shared().port());
    let bench = orders(Cloud::S3, &front);
    let copy = bench.path("copy.db");
    bench.write("data/orders.csv", "id,amount\n0,0\n");
    let mut running = bench.start("run pipeline.yaml");
    running.until("the first order has arrived", || count_in_sqlite(&copy, "orders") == 1);
    let silent = Arc::new(AtomicBool::new(true));
    let still = silent.clone();
    front.treat(move |_| if still.load(Ordering::Relaxed) { Treatment::Silence } else { Treatment::Pass });
    bench.append("data/orders.csv", "1,1\n");
    running.until_it_says("the staging store does not answer");
    silent.store(false, Ordering::Relaxed);
    let kept = bench.path("kept.db");
    running.until("the second order has arrived", || {
        count_in_sqlite(&copy, "orders") == 2 && count_in_sqlite(&kept, "orders") == 2
    });
    running.terminate().succeeds();
    assert_whole(&bench);
}
