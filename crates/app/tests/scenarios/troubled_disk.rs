//! The staging folder on a small disk of its own that gets full, read-only or lost while a pipeline runs, and comes back: the
//! pipeline waits, says why, goes on by itself, and the source has been told nothing that is not durable.

use std::{
    fs::{self, File},
    path::Path,
    time::{Duration, SystemTime},
};

use tidemark_test_servers::{Database, Postgres};

use crate::{
    disk::{Disk, FULL},
    process::{Running, pause},
    rows::{count_in_sqlite, files_below},
    workbench::Workbench,
};

const PIPELINE: &str = r#"
name: disk
source: {type: files, path: ./data, streams: {orders: {key: [id]}}}
destinations:
  copy: {type: sqlite, path: ./copy.db, write: mirror}
  all: {type: sqlite, path: ./all.db, write: append}
"#;

fn orders(range: std::ops::Range<u32>) -> String {
    range.map(|id| format!("{id},{}\n", id * 10)).collect()
}

fn has(bench: &Workbench, rows: u32) -> bool {
    ["copy.db", "all.db"].iter().all(|copy| {
        let path = bench.path(copy);
        path.exists() && count_if_there(&path) == Some(rows)
    })
}

/// `None` while there is no table yet.
fn count_if_there(database: &Path) -> Option<u32> {
    let database = rusqlite::Connection::open(database).unwrap();
    database.query_row("SELECT count(*) FROM orders", [], |row| row.get(0)).ok()
}

/// A pipeline that runs, with one order everywhere.
fn running_on(disk: &Disk) -> Running {
    disk.bench.write("data/orders.csv", &format!("id,amount\n{}", orders(1..2)));
    let mut running = disk.start("run pipeline.yaml");
    running.until("the first order has arrived", || has(&disk.bench, 1));
    running
}

#[test]
fn a_full_disk_is_waited_for() {
    let disk = Disk::with_pipeline(PIPELINE, "size=2m");
    let mut running = running_on(&disk);
    disk.fill(0);
    disk.bench.append("data/orders.csv", &orders(2..3));
    running.until_it_says("the staging store does not take what was read: waiting");
    running.until_it_says(FULL);
    let mut status = String::new();
    running.until("`status` says it", || {
        status = disk.status();
        status.contains("trouble with the staging store: since") && status.contains(FULL)
    });
    assert!(status.contains("free space"), "it says what to do: {status}");
    let told = disk.tidemark("status pipeline.yaml --json").succeeds().stdout;
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert!(told["trouble"].as_str().unwrap().contains(FULL), "{told}");
    // What somebody asks for cannot be kept now, and that is said.
    let refused = disk.tidemark("resync pipeline.yaml").exits_with(1);
    assert!(
        refused.stderr.contains(FULL) && refused.stderr.contains("hint: free space"),
        "{}",
        refused.stderr
    );
    disk.bench.append("data/orders.csv", &orders(3..4));
    pause(Duration::from_secs(2));
    assert!(has(&disk.bench, 1), "nothing arrives that is not staged");

    disk.free();
    running.until("everything has arrived", || has(&disk.bench, 3));
    running.until_it_says("the staging store takes what is read again");
    running.until("`status` says nothing more of it", || !disk.status().contains("trouble"));
    let said = running.terminate().succeeds().stderr;
    assert!(said.matches("waiting").count() < 4, "it is said once in a while, not every time: {said}");
    assert_eq!(count_in_sqlite(&disk.bench.path("all.db"), "orders"), 3, "nothing twice");
    disk.assert_nothing_torn();
}

#[test]
fn a_disk_without_inodes_is_waited_for() {
    let disk = Disk::with_pipeline(PIPELINE, "size=2m,nr_inodes=100");
    let mut running = running_on(&disk);
    let mut files = 0;
    while File::create(disk.path(&format!("filler-{files}"))).is_ok() {
        files += 1;
    }
    disk.bench.append("data/orders.csv", &orders(2..3));
    running.until_it_says(FULL);
    running.until_it_says("inodes (`df -i`)");
    (0..files).for_each(|file| fs::remove_file(disk.path(&format!("filler-{file}"))).unwrap());
    running.until("everything has arrived", || has(&disk.bench, 2));
    running.terminate().succeeds();
}

/// Segments and schemas: an initial sync that does not fit.
#[test]
fn an_initial_sync_waits_for_room_and_goes_on_where_it_is() {
    let disk = Disk::with_pipeline(PIPELINE, "size=16m");
    disk.fill(48 << 10);
    disk.bench.write("data/orders.csv", &format!("id,amount\n{}", orders(0..200_000)));
    let mut running = disk.start("run pipeline.yaml");
    running.until_it_says(FULL);
    running.until("its status is told", || disk.status().contains(FULL));
    disk.free();
    running.until("everything has arrived", || has(&disk.bench, 200_000));
    running.terminate().succeeds();
    let segments = files_below(&disk.path("disk/data/orders"), "parquet").len();
    let changes = disk.tidemark("changes pipeline.yaml --json --from beginning").succeeds().stdout;
    assert_eq!(changes.lines().count(), 200_000);
    // Nothing was written twice: what waited was put where it was meant to go.
    let named = disk.tidemark("status pipeline.yaml --json").succeeds();
    assert!((1..=4).contains(&segments), "{segments} segments, {}", named.stdout);
    disk.assert_nothing_torn();
}

#[test]
fn a_process_that_dies_on_a_full_disk_begins_again_on_it() {
    let disk = Disk::with_pipeline(PIPELINE, "size=2m");
    let running = running_on(&disk);
    disk.fill(0);
    disk.bench.append("data/orders.csv", &orders(2..3));
    running.until_it_says(FULL);
    running.kill().was_killed();
    // A destination that is empty has what is staged, although nothing can be staged.
    fs::remove_file(disk.bench.path("all.db")).unwrap();
    let mut running = disk.start("run pipeline.yaml");
    running.until("what is staged has arrived", || has(&disk.bench, 1));
    running.until_it_says(FULL);
    disk.free();
    running.until("everything has arrived", || has(&disk.bench, 2));
    running.terminate().succeeds();
}

#[test]
fn dead_letters_wait_for_room_and_nothing_passes_them() {
    let lettered = PIPELINE.replace("write: append", "write: mirror, live: false");
    let disk = Disk::with_pipeline(&lettered, "size=2m");
    disk.bench.write("data/orders.csv", &format!("id,amount\n{}", orders(1..6)));
    disk.tidemark("run pipeline.yaml --once").succeeds();
    let all = rusqlite::Connection::open(disk.bench.path("all.db")).unwrap();
    let table = "CREATE TABLE orders (id INTEGER PRIMARY KEY NOT NULL, amount INTEGER CHECK (amount <> 30))";
    all.execute_batch(table).unwrap();
    let takes_letters = PIPELINE.replace("write: append", "write: mirror, on_error: dead-letter");
    disk.bench.write("pipeline.yaml", &takes_letters);
    disk.fill(0);
    let mut running = disk.start("run pipeline.yaml");
    running.until_it_says(FULL);
    running.until_it_says("dead-letters");
    pause(Duration::from_secs(1));
    assert_eq!(count_in_sqlite(&disk.bench.path("all.db"), "orders"), 0, "nothing passes the letter");
    disk.free();
    running.until("the others have arrived", || count_in_sqlite(&disk.bench.path("all.db"), "orders") == 4);
    running.terminate().succeeds();
    let listed = disk.tidemark("dead-letters pipeline.yaml list --json").succeeds().stdout;
    assert_eq!(listed.matches("CHECK constraint failed").count(), 1, "{listed}");
}

#[test]
fn a_disk_that_becomes_read_only_is_waited_for_and_one_that_is_refused() {
    let disk = Disk::with_pipeline(PIPELINE, "size=2m");
    let mut running = running_on(&disk);
    // Another mount above it: the disk itself cannot become read-only while the lock file is open.
    disk.script("mount --bind -o ro staging staging");
    disk.bench.append("data/orders.csv", &orders(2..3));
    running.until_it_says("Read-only file system");
    running.until_it_says("make the store writable for this user again: Tidemark goes on by itself");
    pause(Duration::from_secs(1));
    assert!(running.runs() && has(&disk.bench, 1));
    disk.script("umount staging");
    running.until("everything has arrived", || has(&disk.bench, 2));
    running.terminate().succeeds();

    disk.script("mount --bind -o ro staging staging");
    let refused = disk.tidemark("run pipeline.yaml").exits_with(1);
    assert!(refused.stderr.contains("Read-only file system"), "{}", refused.stderr);
    assert!(refused.stderr.contains("hint: grant this user the right to read, write"), "{}", refused.stderr);
    // Whoever only reads can.
    disk.tidemark("changes pipeline.yaml").succeeds();
    disk.status();
}

#[test]
fn a_disk_that_is_gone_is_waited_for_and_nothing_is_written_in_its_place() {
    let disk = Disk::with_pipeline(PIPELINE, "size=2m");
    let mut running = running_on(&disk);
    disk.script("mount -t tmpfs another staging");
    disk.bench.append("data/orders.csv", &orders(2..3));
    running.until_it_says("staging/disk` is gone");
    running.until_it_says("mount its disk again");
    pause(Duration::from_secs(3));
    assert!(running.runs() && has(&disk.bench, 1));
    let found = fs::read_dir(disk.path("")).unwrap().count();
    assert_eq!(found, 0, "nothing is put where the log is not");
    disk.script("umount staging");
    running.until("everything has arrived", || has(&disk.bench, 2));
    running.terminate().succeeds();
}

#[test]
fn what_a_process_had_begun_to_write_when_it_died_goes_away_in_time() {
    let bench = Workbench::with_pipeline(PIPELINE);
    bench.write("data/orders.csv", &format!("id,amount\n{}", orders(1..2)));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let torn = |name: &str, age: u64| {
        let path = bench.path(&format!("staging/disk/{name}"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = File::create(&path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        path
    };
    let old = [torn("data/orders/cdc/x.parquet#1", 7_200), torn("log/00000000/000000000002#1", 7_200)];
    let new = torn("log/00000000/000000000002#2", 0);
    bench.append("data/orders.csv", &orders(2..3));
    let mut running = bench.start("run pipeline.yaml");
    running.until("the old ones are gone", || old.iter().all(|path| !path.exists()));
    running.until("everything has arrived", || has(&bench, 2));
    running.terminate().succeeds();
    assert!(new.exists(), "somebody may be writing it");
}

/// The rows of `items`, and how far the server may forget.
fn value(database: &Database<'_>, sql: &str) -> String {
    database.query(sql).into_iter().flatten().next().flatten().unwrap_or_default()
}

#[test]
fn postgres_is_told_nothing_that_is_not_durable_and_keeps_its_session() {
    let server = Postgres::with_settings(&[("wal_sender_timeout", "2s")]);
    let (source, mirror, all) = (server.database(), server.database(), server.database());
    source.execute("CREATE TABLE items (id int PRIMARY KEY, t text); INSERT INTO items VALUES (0, 'first')");
    let pipeline = format!(
        "name: disk
source: {{type: postgres, url: \"{}\", streams: [\"public.*\"]}}
destinations:
  mirror: {{type: postgres, url: \"{}\", write: mirror}}
  all: {{type: postgres, url: \"{}\", write: append}}
",
        source.url(),
        mirror.url(),
        all.url()
    );
    let disk = Disk::with_pipeline(&pipeline, "size=24m");
    let mut running = disk.start("run pipeline.yaml");
    let count = |copy: &Database<'_>| {
        let exists = value(copy, "SELECT to_regclass('items') IS NOT NULL") == "t";
        if exists { value(copy, "SELECT count(*) FROM items") } else { String::new() }
    };
    let both = |rows: &str| [&mirror, &all].iter().all(|copy| count(copy) == rows);
    running.until("the first row has arrived", || both("1"));
    // By the stream: from here on nothing but the disk holds up whoever reads it.
    source.execute("INSERT INTO items VALUES (1, 'small')");
    running.until("the second row has arrived", || both("2"));

    disk.fill(0);
    let before = value(&source, "SELECT pg_current_wal_insert_lsn()");
    let slot = "FROM pg_replication_slots WHERE database = current_database()";
    let session = value(&source, &format!("SELECT active_pid {slot}"));
    assert!(!session.is_empty());
    // A small one that rides in a commit, and one that needs segments.
    source.execute("INSERT INTO items VALUES (2, 'small')");
    source.execute(
        "INSERT INTO items SELECT i, md5(i::text) || md5((-i)::text) FROM generate_series(3, 50000) i",
    );
    running.until_it_says(FULL);
    for _ in 0..14 {
        pause(Duration::from_millis(500));
        let early = value(&source, &format!("SELECT confirmed_flush_lsn <= '{before}'::pg_lsn {slot}"));
        assert_eq!(early, "t", "the server was told of what is not durable");
    }
    assert_eq!(value(&source, &format!("SELECT active_pid {slot}")), session, "the session has not ended");
    assert!(both("2"));

    disk.free();
    running.until("everything has arrived", || both("50001"));
    running.until("the server is told", || {
        value(&source, &format!("SELECT confirmed_flush_lsn > '{before}'::pg_lsn {slot}")) == "t"
    });
    assert_eq!(value(&source, &format!("SELECT active_pid {slot}")), session, "it is the same session still");
    running.terminate().succeeds();
    assert_eq!(value(&all, "SELECT count(DISTINCT id) || ' of ' || count(*) FROM items"), "50001 of 50001");
    disk.assert_nothing_torn();
}
