//! Two that run one pipeline. No lock keeps them apart in object storage: whoever comes second to a commit or to a destination says so
//! and ends.

use std::time::Duration;

use tidemark_test_servers::Cloud;

use super::{in_every_cloud, place};
use crate::{
    process::pause,
    rows::{Csv, count_in_sqlite},
    workbench::Workbench,
};

in_every_cloud!(
    two_runs_do_not_both_go_on_and_nothing_is_lost,
    who_was_replaced_while_standing_still_changes_nothing
);

/// Orders in files, to a mirror and to an append.
fn orders(cloud: Option<Cloud>) -> Workbench {
    let place = place(cloud);
    let bench = Workbench::with_pipeline(&format!(
        "name: shop
source: {{type: files, path: ./data, streams: {{orders: {{key: [id]}}}}}}
staging: {{url: \"{}\", max_delay: 50ms}}
trigger: {{every: 50ms}}
destinations:
  copy: {{type: sqlite, path: ./copy.db, write: mirror}}
  kept: {{type: sqlite, path: ./kept.db, write: append}}
",
        place.url
    ));
    bench.write("data/orders.csv", "id,amount\n0,0\n");
    bench.in_environment(&place.variables)
}

/// Failure mode 43: a machine that was suspended wakes up, and another has gone on meanwhile.
fn who_was_replaced_while_standing_still_changes_nothing(cloud: Option<Cloud>) {
    let bench = orders(cloud);
    let has = |orders: usize| {
        ["copy.db", "kept.db"].iter().all(|copy| count_in_sqlite(&bench.path(copy), "orders") == orders)
    };
    let mut zombie = bench.start("run pipeline.yaml");
    zombie.until("the first order has arrived", || has(1));
    zombie.suspend();
    bench.append("data/orders.csv", "1,1\n");
    let mut successor = bench.start("run pipeline.yaml");
    successor.until("the second order has arrived", || has(2));

    // What both see and only one may write.
    bench.append("data/orders.csv", "2,2\n");
    zombie.resume();
    let ended = zombie.ends().exits_with(3);
    assert!(ended.stderr.contains("another process has taken over"), "{}", ended.stderr);
    assert!(ended.stderr.contains("hint:"), "{}", ended.stderr);
    successor.until("the third order has arrived", || has(3));
    successor.terminate().succeeds();
    bench.append("data/orders.csv", "3,3\n");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert!(has(4), "each order is there once");
    Csv::read(&bench.path("data"), "orders").equals_sqlite(&bench.path("copy.db"), "orders");
    bench.tidemark("fsck pipeline.yaml").succeeds();
}

fn two_runs_do_not_both_go_on_and_nothing_is_lost(cloud: Option<Cloud>) {
    let bench = orders(cloud);
    let (copy, kept) = (bench.path("copy.db"), bench.path("kept.db"));
    let mut earlier = bench.start("run pipeline.yaml");
    earlier.until("the first order has arrived", || {
        count_in_sqlite(&copy, "orders") == 1 && count_in_sqlite(&kept, "orders") == 1
    });

    let mut later = bench.start("run pipeline.yaml");
    later.until_it_says("the two cannot both go on");
    let mut id = 0;
    while earlier.runs() && later.runs() {
        id += 1;
        assert!(id < 2_000, "both go on");
        bench.append("data/orders.csv", &format!("{id},{id}\n"));
        pause(Duration::from_millis(20));
    }
    let (ended, mut other) = if earlier.runs() { (later, earlier) } else { (earlier, later) };
    let ended = ended.ends().exits_with(3);
    assert!(ended.stderr.contains("another process has taken over"), "{}", ended.stderr);
    assert!(ended.stderr.contains("hint:"), "{}", ended.stderr);
    // It may have lost the log while the other lost a destination; mostly the other goes on.
    if other.runs() {
        pause(Duration::from_millis(200));
    }
    if other.runs() {
        other.ask_to_stop();
    }
    let ended = other.ends();
    assert!([0, 3].contains(&ended.code()), "{}", ended.stderr);

    bench.append("data/orders.csv", "1000000,1\n");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let orders = Csv::read(&bench.path("data"), "orders");
    orders.equals_sqlite(&copy, "orders");
    assert_eq!(count_in_sqlite(&kept, "orders"), orders.len(), "nothing is there twice");
}
