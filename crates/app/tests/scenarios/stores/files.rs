//! Files to SQLite and to files, and every command that asks the log.

use serde_json::Value as Json;
use tidemark_test_servers::Cloud;

use super::{in_every_cloud, in_every_store, place};
use crate::{
    rows::{Csv, count_in_sqlite},
    workbench::Workbench,
};

in_every_store!(what_files_hold_arrives_and_can_be_asked_for, a_killed_run_goes_on);

/// Orders in files, to a mirror, to files, and to a destination for replays.
fn orders(cloud: Option<Cloud>) -> Workbench {
    let place = place(cloud);
    Workbench::with_pipeline(&format!(
        "name: shop
source: {{type: files, path: ./data, streams: {{orders: {{key: [id]}}}}}}
staging: {{url: \"{}\"}}
trigger: {{every: 100ms}}
destinations:
  copy: {{type: sqlite, path: ./copy.db, write: mirror}}
  kept: {{type: files, path: ./kept, write: append}}
  later: {{type: sqlite, path: ./later.db, write: append, live: false}}
",
        place.url
    ))
    .in_environment(&place.variables)
}

fn status(bench: &Workbench) -> Json {
    serde_json::from_str(&bench.tidemark("status pipeline.yaml --json").succeeds().stdout).unwrap()
}

/// So many that they stand in segments.
const MANY: usize = 60_000;

fn what_files_hold_arrives_and_can_be_asked_for(cloud: Option<Cloud>) {
    let bench = orders(cloud);
    let copy = bench.path("copy.db");
    let rows: String = (0..MANY).map(|id| format!("{id},{}\n", id * 7)).collect();
    bench.write("data/orders.csv", &format!("id,amount\n{rows}"));
    bench.tidemark("check pipeline.yaml").succeeds();
    let nothing = bench.tidemark("status pipeline.yaml").exits_with(2);
    assert!(nothing.stderr.contains("has staged nothing yet"), "{}", nothing.stderr);

    bench.tidemark("run pipeline.yaml --once").succeeds();
    let staged = status(&bench)["log"]["commit"].as_u64().unwrap();
    bench.append("data/orders.csv", "60000,1\n60001,2\n");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    Csv::read(&bench.path("data"), "orders").equals_sqlite(&copy, "orders");

    let told = status(&bench);
    assert!(told["log"]["commit"].as_u64().unwrap() > staged, "{told}");
    assert_eq!(told["destinations"][0]["behind"], 0);
    assert_eq!(told["destinations"][0]["state"], "stopped");
    assert_eq!(told["running"], if cloud.is_some() { "unknown".into() } else { Json::Null });
    let changes = bench.tidemark(&format!("changes pipeline.yaml --json --from seq:{staged}")).succeeds();
    assert_eq!(changes.stdout.lines().count(), 2, "{}", changes.stdout);

    bench.tidemark("replay pipeline.yaml --to later").succeeds();
    assert_eq!(count_in_sqlite(&bench.path("later.db"), "orders"), MANY + 2);
    bench.tidemark("verify pipeline.yaml --against staging --destination copy").succeeds();

    // Somebody damages the table; it is read anew from the source.
    rusqlite::Connection::open(&copy).unwrap().execute_batch("DELETE FROM orders WHERE id < 100").unwrap();
    let asked = bench.tidemark("resync pipeline.yaml").succeeds();
    let said = if cloud.is_some() { "if there is one, else by the next run" } else { "by the next run" };
    assert!(asked.stdout.contains(said), "{}", asked.stdout);
    bench.tidemark("run pipeline.yaml --once").succeeds();
    Csv::read(&bench.path("data"), "orders").equals_sqlite(&copy, "orders");
    bench.tidemark("teardown pipeline.yaml --yes").succeeds();
}

fn a_killed_run_goes_on(cloud: Option<Cloud>) {
    let bench = orders(cloud);
    let copy = bench.path("copy.db");
    bench.write("data/orders.csv", "id,amount\n");
    for round in 0..4 {
        let mut running = bench.start("run pipeline.yaml");
        for id in round * 5..round * 5 + 4 {
            bench.append("data/orders.csv", &format!("{id},{id}\n"));
        }
        let least = round * 5 + 1;
        running.until("some have arrived", || count_in_sqlite(&copy, "orders") >= least);
        bench.append("data/orders.csv", &format!("{},7\n", round * 5 + 4));
        running.kill().was_killed();
    }
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let orders = Csv::read(&bench.path("data"), "orders");
    assert_eq!(orders.len(), 20);
    orders.equals_sqlite(&copy, "orders");
    orders.equals_parquet(&bench.path("kept/orders"));
}
