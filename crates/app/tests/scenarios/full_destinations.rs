//! Destinations whose disk gets full while a pipeline runs, and has room again: they are waited for, and miss nothing.

use std::fs;

use tidemark_test_servers::{Database, Postgres};

use crate::{
    disk::{Disk, FULL},
    rows::{count_in_sqlite, files_below},
};

const PIPELINE: &str = r#"
name: full
source: {type: files, path: ./data, streams: {orders: {key: [id]}}}
staging: ./log
destinations:
  copy: {type: sqlite, path: ./staging/copy.db, write: mirror}
  archive: {type: files, path: ./staging/archive, format: jsonl, write: append, linger: 50ms}
  elsewhere: {type: sqlite, path: ./elsewhere.db, write: mirror}
"#;

fn orders(range: std::ops::Range<u32>) -> String {
    range.map(|id| format!("{id},{:0>200}\n", id * 10)).collect()
}

#[test]
fn a_file_on_a_full_disk_is_waited_for_and_the_others_go_on() {
    let disk = Disk::with_pipeline(PIPELINE, "size=2m");
    let archived = || {
        let shown = disk.path("archive/orders");
        let files = if shown.exists() { files_below(&shown, "jsonl") } else { Vec::new() };
        files.iter().map(|file| fs::read_to_string(file).unwrap().lines().count()).sum::<usize>()
    };
    disk.bench.write("data/orders.csv", &format!("id,note\n{}", orders(0..10)));
    let mut running = disk.start("run pipeline.yaml");
    running.until("the first orders have arrived", || archived() == 10 && are_level(&disk));
    disk.fill(0);
    disk.bench.append("data/orders.csv", &orders(10..2_000));
    let elsewhere = disk.bench.path("elsewhere.db");
    running.until("the other destination goes on", || count_in_sqlite(&elsewhere, "orders") == 2_000);
    running.until_it_says("has no room left on its disk");
    running.until_it_says(FULL);
    assert_eq!(archived(), 10);

    disk.free();
    running.until("all have everything", || archived() == 2_000 && are_level(&disk));
    running.terminate().succeeds();
    assert_eq!(archived(), 2_000, "nothing is there twice");
    let verified = disk.tidemark("verify pipeline.yaml --against staging --json").succeeds().stdout;
    assert!(verified.contains("\"copy\""), "{verified}");
}

/// Whether every destination has all that is staged.
fn are_level(disk: &Disk) -> bool {
    let status = disk.tidemark("status pipeline.yaml --json");
    // There may be no log yet.
    let Ok(status) = serde_json::from_str::<serde_json::Value>(&status.stdout) else { return false };
    status["destinations"].as_array().unwrap().iter().all(|standing| standing["behind"] == 0)
}

fn count(database: &Database<'_>) -> String {
    let rows = database.query("SELECT to_regclass('orders') IS NOT NULL");
    if rows[0][0].as_deref() != Some("t") {
        return String::new();
    }
    database.query("SELECT count(*) FROM orders")[0][0].clone().unwrap()
}

#[test]
fn a_server_with_a_full_disk_is_waited_for() {
    let disk = Disk::for_a_server("size=4m");
    let server = Postgres::start();
    let (mirror, history) = (server.database(), server.database());
    for (number, database) in [&mirror, &history].into_iter().enumerate() {
        let place = disk.path(&format!("space{number}"));
        disk.script(&format!(
            "mkdir staging/space{number} && chown --reference=staging staging/space{number}"
        ));
        mirror.execute(&format!("CREATE TABLESPACE space{number} LOCATION '{}'", place.display()));
        mirror.execute(&format!("ALTER DATABASE {} SET default_tablespace = space{number}", database.name()));
    }
    disk.bench.write(
        "pipeline.yaml",
        &format!(
            "name: full
source: {{type: files, path: ./data, streams: {{orders: {{key: [id]}}}}}}
staging: ./log
destinations:
  mirror: {{type: postgres, url: \"{}\", write: mirror}}
  history: {{type: postgres, url: \"{}\", write: append}}
",
            mirror.url(),
            history.url()
        ),
    );
    disk.bench.write("data/orders.csv", &format!("id,note\n{}", orders(0..10)));
    let mut running = disk.start("run pipeline.yaml");
    running.until("the first orders have arrived", || count(&mirror) == "10" && count(&history) == "10");
    disk.fill(0);
    disk.bench.append("data/orders.csv", &orders(10..2_000));
    running.until_it_says(FULL);
    assert_eq!((count(&mirror), count(&history)), ("10".to_owned(), "10".to_owned()));
    disk.free();
    running.until("both have everything", || count(&mirror) == "2000" && count(&history) == "2000");
    running.terminate().succeeds();
}
