//! Files to SQLite in the modes that keep what was: soft-delete and history.

use std::{collections::BTreeMap, path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags};

use crate::{
    growth::{Chance, Growth},
    process::pause,
    rows::Csv,
    workbench::Workbench,
};

/// Every row of `sql`, each cell as text.
pub(crate) fn rows(database: &Path, sql: &str) -> Vec<Vec<Option<String>>> {
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut statement = connection.prepare(sql).unwrap();
    let width = statement.column_count();
    let rows = statement.query_map([], |row| {
        (0..width)
            .map(|index| {
                Ok(match row.get_ref(index)? {
                    rusqlite::types::ValueRef::Null => None,
                    rusqlite::types::ValueRef::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
                    rusqlite::types::ValueRef::Integer(int) => Some(int.to_string()),
                    other => Some(format!("{other:?}")),
                })
            })
            .collect()
    });
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn flights_are_kept_in_every_mode_while_it_is_killed() {
    let bench = Workbench::with_pipeline(
        r#"
name: kept
source:
  type: files
  path: ./data
  null_values: [NA, ""]
  poll: 20ms
  streams:
    flights: {files: "flights-*.csv", key: [time_hour, carrier, flight], types: {time_hour: timestamptz}}
staging: ./staging
destinations:
  soft: {type: sqlite, path: ./out/soft.db, write: soft-delete}
  past: {type: sqlite, path: ./out/past.db, write: history}
"#,
    );
    let mut chance = Chance::from_the_environment();
    let mut growth = Growth::of_the_flights_example();
    for _ in 0..8 {
        let running = bench.start("run pipeline.yaml");
        for _ in 0..3 {
            growth.add_some(&bench, &mut chance);
            pause(Duration::from_millis(chance.below(150)));
        }
        running.kill().was_killed();
    }
    growth.add_the_rest(&bench);
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let flights = Csv::read(&bench.path("data"), "flights");
    assert_eq!(flights.len(), 8_832);
    flights.equals_sqlite(&bench.path("out/soft.db"), "flights");
    flights.equals_sqlite(&bench.path("out/past.db"), "flights");
}

/// The files say it all again with every new edition: each line is a new version.
#[test]
fn what_is_written_anew_becomes_versions() {
    let bench = Workbench::with_pipeline(
        r#"
name: editions
source:
  type: files
  path: ./data
  poll: 20ms
  streams:
    stock: {files: "stock.csv", key: [item], types: {amount: text, note: text}}
staging: ./staging
destinations:
  changes: {type: sqlite, path: ./out/changes.db, write: append}
  soft: {type: sqlite, path: ./out/soft.db, write: soft-delete}
  past: {type: sqlite, path: ./out/past.db, write: history}
  again: {type: sqlite, path: ./out/again.db, write: history, live: false}
"#,
    );
    let mut chance = Chance::from_the_environment();
    for edition in 0..12 {
        let items = 1 + chance.below(6);
        let lines = (0..items).map(|_| {
            let (item, amount) = (chance.below(5), chance.below(4));
            let note = if chance.below(3) == 0 { "\"\"".to_owned() } else { format!("of {edition}") };
            format!("{item},{amount},{note}\n")
        });
        let lines = lines.collect::<String>();
        bench.write("data/stock.csv", &format!("item,amount,note\n{lines}"));
        if chance.below(3) == 0 {
            let running = bench.start("run pipeline.yaml");
            pause(Duration::from_millis(chance.below(200)));
            running.kill().was_killed();
        }
        bench.tidemark("run pipeline.yaml --once").succeeds();
    }
    bench.tidemark("replay pipeline.yaml --to again --from beginning").succeeds();

    let changes = rows(
        &bench.path("out/changes.db"),
        "SELECT _tidemark_position, item, amount, note FROM stock ORDER BY 1",
    );
    let versions = "SELECT _tidemark_position, item, amount, note, _tidemark_valid_from, _tidemark_valid_to
                    FROM stock ORDER BY 1";
    let past = rows(&bench.path("out/past.db"), versions);
    assert_eq!(past.iter().map(|row| row[..4].to_vec()).collect::<Vec<_>>(), changes);
    assert!(past.len() > 12, "every edition has a line");
    let mut last: BTreeMap<_, &Vec<_>> = BTreeMap::new();
    for version in &past {
        if let Some(before) = last.insert(version[1].clone(), version) {
            assert_eq!(before[5], version[4], "one version follows another");
        }
        assert!(version[5].is_none() || version[4] <= version[5]);
    }
    for version in last.values() {
        assert_eq!(version[5], None, "the last one is valid");
    }
    let valid = last.values().map(|version| version[1..4].to_vec()).collect::<Vec<_>>();
    let soft = "SELECT item, amount, note FROM stock WHERE _tidemark_deleted_at IS NULL ORDER BY item";
    assert_eq!(rows(&bench.path("out/soft.db"), soft), valid);
    assert_eq!(rows(&bench.path("out/again.db"), versions), past, "a replay says the same");
}

/// A replay fills the destination anew out of sight, while `run` has it open and goes on writing to it.
#[test]
fn what_somebody_spoilt_is_filled_anew_while_it_is_written_to() {
    for (write, spoil) in [
        (
            "mirror",
            "DELETE FROM stock WHERE item < 50; UPDATE stock SET amount = -1; INSERT INTO stock (item) VALUES (-5)",
        ),
        ("soft-delete", "UPDATE stock SET _tidemark_deleted_at = 'x', amount = -1"),
        ("history", "UPDATE stock SET _tidemark_valid_to = _tidemark_valid_from WHERE item < 50"),
    ] {
        let bench = Workbench::with_pipeline(&format!(
            "
name: spoilt
source:
  type: files
  path: ./data
  poll: 20ms
  streams:
    stock: {{files: \"*.csv\", key: [item]}}
staging: ./staging
destinations:
  copy: {{type: sqlite, path: ./copy.db, write: {write}}}
  twin: {{type: sqlite, path: ./twin.db, write: {write}}}
"
        ));
        let lines =
            |items: std::ops::Range<u32>| items.map(|item| format!("{item},{item}\n")).collect::<String>();
        bench.write("data/a.csv", &format!("item,amount\n{}", lines(0..2_000)));
        bench.tidemark("run pipeline.yaml --once").succeeds();
        let connection = Connection::open(bench.path("copy.db")).unwrap();
        connection.execute_batch(spoil).unwrap();
        drop(connection);

        let mut running = bench.start("run pipeline.yaml");
        for piece in 0..5 {
            bench.write(
                &format!("data/b{piece}.csv"),
                &format!("item,amount\n{}", lines(piece * 100..piece * 100 + 300)),
            );
            bench.tidemark("replay pipeline.yaml --to copy").succeeds();
        }
        bench.append("data/a.csv", &lines(5_000..5_001));
        let last = "SELECT 1 FROM stock WHERE item = 5000";
        for database in ["copy.db", "twin.db"] {
            let database = bench.path(database);
            running.until("the last line has arrived", || !rows(&database, last).is_empty());
        }
        running.terminate().succeeds();
        bench.tidemark("run pipeline.yaml --once").succeeds();
        let all = "SELECT * FROM stock ORDER BY 1, 2";
        let twin = rows(&bench.path("twin.db"), all);
        assert!(twin.len() > 2_000);
        assert!(rows(&bench.path("copy.db"), all) == twin, "{write}: the two differ");
        let left = "SELECT name FROM sqlite_schema WHERE name LIKE '\\_tidemark\\_replay%' ESCAPE '\\'";
        assert_eq!(rows(&bench.path("copy.db"), left), Vec::<Vec<_>>::new());
    }
}
