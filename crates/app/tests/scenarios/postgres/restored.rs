//! Systems that are restored from an older copy: the source, the staging folder, a destination.

use std::{fs, path::Path};

use tidemark_test_servers::{Database, Postgres};

use super::{
    comparison::assert_equal,
    destination,
    fencing::copy_folder,
    pipeline,
    slot::{NEXT_ORDER, ORDERS, assert_stops},
    value,
};
use crate::{rows::files_below, workbench::Workbench};

fn orders(copy: &Database<'_>) -> String {
    value(copy, "SELECT count(*) FROM orders")
}

/// The server's folder is put back as it was: the same server, on the same timeline, with the slot as it was, and less log than we have
/// read.
#[test]
fn a_source_restored_from_an_older_copy_stops_the_run() {
    let server = Postgres::with_settings(&[("autovacuum", "off")]);
    let (source, mirror) = (server.database(), Postgres::shared().database());
    source.execute(ORDERS);
    let bench = pipeline(&source, "[\"public.*\"]", &destination("mirror", &mirror, "mirror"));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let backup = server.back_up();
    source.execute(NEXT_ORDER);
    source.query("SELECT pg_switch_wal()");
    source.execute(NEXT_ORDER);
    bench.tidemark("run pipeline.yaml --once").succeeds();

    server.restore(&backup);
    assert_eq!(orders(&source), "1");
    assert_stops(&bench, &["the server's log ends at", "it was restored"]);
    assert_eq!(orders(&mirror), "3", "the destination stays as it was");

    bench.tidemark("resync pipeline.yaml").succeeds();
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_equal(&source, &mirror, "public.orders");
}

/// The source's slot is further than what is staged, and the destination too.
#[test]
fn a_staging_folder_restored_from_an_older_copy_stops_the_run() {
    let server = Postgres::shared();
    let (source, mirror) = (server.database(), server.database());
    source.execute(ORDERS);
    let bench = pipeline(&source, "[\"public.*\"]", &destination("mirror", &mirror, "mirror"));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    copy_folder(&bench.path("staging"), &bench.path("backup"));
    source.execute(NEXT_ORDER);
    bench.tidemark("run pipeline.yaml --once").succeeds();
    fs::remove_dir_all(bench.path("staging")).unwrap();
    fs::rename(bench.path("backup"), bench.path("staging")).unwrap();
    source.execute(NEXT_ORDER);
    assert_stops(&bench, &["hint:"]);
    assert_eq!(orders(&mirror), "2", "the destination stays as it was");
}

/// Each destination keeps its position with its data, so an older copy of it is only further behind.
#[test]
fn destinations_restored_from_an_older_copy_catch_up() {
    let server = Postgres::shared();
    let (source, mirror, history) = (server.database(), server.database(), server.database());
    source.execute(ORDERS);
    let destinations = destination("mirror", &mirror, "mirror")
        + &destination("history", &history, "append")
        + "  lite: {type: sqlite, path: ./lite/copy.db, write: mirror}
  archive: {type: files, path: ./archive, format: jsonl, write: append}\n";
    let bench = pipeline(&source, "[\"public.*\"]", &destinations);
    let run = || bench.tidemark("run pipeline.yaml --once").succeeds();
    fs::create_dir(bench.path("lite")).unwrap();
    run();
    source.execute("INSERT INTO orders SELECT i, 'new' FROM generate_series(2, 50) i");
    run();

    let files = ["lite", "archive"];
    for (folder, copy) in files.map(|folder| (bench.path(folder), bench.path(&format!("{folder}-backup")))) {
        copy_folder(&folder, &copy);
    }
    for database in [&mirror, &history] {
        source.execute(&format!("CREATE DATABASE {0}_backup TEMPLATE {0}", database.name()));
    }
    source
        .execute("UPDATE orders SET note = 'changed' WHERE id % 2 = 0; DELETE FROM orders WHERE id % 3 = 0");
    run();
    source.execute("UPDATE orders SET id = id + 1000 WHERE id % 5 = 0");
    run();
    for (folder, copy) in files.map(|folder| (bench.path(folder), bench.path(&format!("{folder}-backup")))) {
        fs::remove_dir_all(&folder).unwrap();
        fs::rename(&copy, &folder).unwrap();
    }
    for database in [&mirror, &history] {
        source.execute(&format!("DROP DATABASE {} WITH (FORCE)", database.name()));
        source.execute(&format!("ALTER DATABASE {0}_backup RENAME TO {0}", database.name()));
        assert_eq!(orders(database), "50");
    }
    run();
    assert_equal(&source, &mirror, "public.orders");
    super::outages::assert_each_change_once_in(&bench, &history, "orders");
    bench.tidemark("verify pipeline.yaml").succeeds();
    assert_eq!(archived(&bench.path("archive")), staged(&bench), "each change is in one file");
}

/// The positions in files, in their order.
fn archived(folder: &Path) -> Vec<String> {
    let files = files_below(&folder.join("public.orders"), "jsonl");
    let lines = files.iter().flat_map(|file| {
        let lines: Vec<_> = fs::read_to_string(file).unwrap().lines().map(str::to_owned).collect();
        lines
    });
    positions(lines, "_tidemark_position")
}

fn staged(bench: &Workbench) -> Vec<String> {
    let changes = bench.tidemark("changes pipeline.yaml --json").succeeds().stdout;
    positions(changes.lines().map(str::to_owned), "position")
}

fn positions(lines: impl Iterator<Item = String>, key: &str) -> Vec<String> {
    let position = |line: String| {
        let change: serde_json::Value = serde_json::from_str(&line).unwrap();
        change[key].as_str().unwrap().to_owned()
    };
    let mut positions: Vec<_> = lines.map(position).collect();
    positions.sort_unstable();
    positions
}
