//! Two that run one pipeline. No lock keeps them apart in object storage: the later one takes over, the earlier one says so and ends.

use tidemark_test_servers::Cloud;

use super::{in_every_cloud, place};
use crate::{
    process::pause,
    rows::{Csv, count_in_sqlite},
    workbench::Workbench,
};

in_every_cloud!(the_later_of_two_runs_takes_over);

fn the_later_of_two_runs_takes_over(cloud: Option<Cloud>) {
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
    ))
    .in_environment(&place.variables);
    let (copy, kept) = (bench.path("copy.db"), bench.path("kept.db"));
    bench.write("data/orders.csv", "id,amount\n0,0\n");
    let mut earlier = bench.start("run pipeline.yaml");
    earlier.until("the first order has arrived", || {
        count_in_sqlite(&copy, "orders") == 1 && count_in_sqlite(&kept, "orders") == 1
    });

    let mut later = bench.start("run pipeline.yaml");
    later.until_it_says("this one takes its place");
    let mut id = 0;
    while earlier.runs() {
        id += 1;
        assert!(id < 2_000, "the earlier run goes on beside the later one");
        bench.append("data/orders.csv", &format!("{id},{id}\n"));
        pause(std::time::Duration::from_millis(20));
    }
    let ended = earlier.ends().exits_with(3);
    assert!(ended.stderr.contains("another process has taken over"), "{}", ended.stderr);
    assert!(ended.stderr.contains("hint:"), "{}", ended.stderr);

    bench.append("data/orders.csv", "1000000,1\n");
    let rows = Csv::read(&bench.path("data"), "orders").len();
    later.until("the later one has everything", || {
        count_in_sqlite(&copy, "orders") == rows && count_in_sqlite(&kept, "orders") >= rows
    });
    later.terminate().succeeds();
    let orders = Csv::read(&bench.path("data"), "orders");
    orders.equals_sqlite(&copy, "orders");
    assert_eq!(count_in_sqlite(&kept, "orders"), rows, "nothing is there twice");
}
