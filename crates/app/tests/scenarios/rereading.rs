//! Files that are read anew because somebody asks for it: what they hold now is what a mirror shows, and a history has it behind a
//! truncate.

use rusqlite::Connection;

use crate::{
    rows::{Csv, count_in_sqlite},
    workbench::Workbench,
};

const PIPELINE: &str = "
name: rereading
source: {type: files, path: ./data, streams: {days: {files: 'days-*.csv', key: [day]}, notes: {files: 'notes*.csv', key: [n]}}}
destinations:
  mirror: {type: sqlite, path: ./mirror.db, write: mirror}
  history: {type: sqlite, path: ./history.db, write: append}
";

#[test]
fn a_stream_of_files_is_read_anew_when_somebody_asks() {
    let bench = Workbench::with_pipeline(PIPELINE);
    let days = |days: std::ops::Range<u32>| days.map(|day| format!("{day},x{day}\n")).collect::<String>();
    bench.write("data/days-1.csv", &format!("day,what\n{}", days(0..500)));
    bench.write("data/days-2.csv", &format!("day,what\n{}", days(500..900)));
    bench.write("data/notes.csv", "n\n1\n2\n");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let mirror = bench.path("mirror.db");
    Csv::read(&bench.path("data"), "days").equals_sqlite(&mirror, "days");

    // Somebody has written to it; and records have gone from the source, which files do not tell.
    Connection::open(&mirror)
        .unwrap()
        .execute_batch("DELETE FROM days WHERE day % 3 = 0; UPDATE days SET what = 'y' WHERE day % 5 = 0; INSERT INTO days VALUES (-1, 'z')")
        .unwrap();
    std::fs::remove_file(bench.path("data/days-2.csv")).unwrap();
    bench.append("data/days-1.csv", &days(600..610));
    let unknown = bench.tidemark("resync pipeline.yaml --stream day").exits_with(2).stderr;
    assert!(unknown.contains("did you mean `days`?"), "{unknown}");
    bench.tidemark("resync pipeline.yaml --stream days").succeeds();
    let status = bench.tidemark("status pipeline.yaml").succeeds().stdout;
    assert!(status.contains("asked to be read anew: `days`"), "{status}");

    let mut running = bench.start("run pipeline.yaml");
    running.until("it is read anew", || count_in_sqlite(&mirror, "days") == 510);
    Csv::read(&bench.path("data"), "days").equals_sqlite(&mirror, "days");
    bench.append("data/days-1.csv", &days(700..720));
    bench.append("data/notes.csv", "3\n");
    running.until("it goes on", || {
        count_in_sqlite(&mirror, "days") == 530 && count_in_sqlite(&mirror, "notes") == 3
    });
    // Asked while it runs.
    Connection::open(&mirror).unwrap().execute("DELETE FROM days", []).unwrap();
    bench.tidemark("resync pipeline.yaml").succeeds();
    running.until("it is read anew", || count_in_sqlite(&mirror, "days") == 530);
    running.terminate().succeeds();
    Csv::read(&bench.path("data"), "days").equals_sqlite(&mirror, "days");
    let status = bench.tidemark("status pipeline.yaml").succeeds().stdout;
    assert!(!status.contains("read anew"), "{status}");
    let history = bench.path("history.db");
    let histories = [count_in_sqlite(&history, "days"), count_in_sqlite(&history, "notes")];
    assert_eq!(
        histories,
        [900 + 1 + 510 + 20 + 1 + 530, 3 + 1 + 3],
        "a history has all of it, and each truncate"
    );
}
