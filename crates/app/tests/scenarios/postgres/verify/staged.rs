//! Against the staging log, without the source.

use rusqlite::Connection;
use tidemark_test_servers::Postgres;

use super::Found;
use crate::{
    postgres::{destination, pipeline},
    workbench::Workbench,
};

#[test]
fn the_source_may_be_gone() {
    let server = Postgres::start();
    let (source, mirror) = (server.database(), Postgres::shared().database());
    source.execute(
        "CREATE TABLE orders (id int PRIMARY KEY, note text);
         INSERT INTO orders SELECT i, 'note ' || i FROM generate_series(1, 300) i;",
    );
    let destinations = destination("mirror", &mirror, "mirror")
        + "  copy: {type: sqlite, path: ./copy.db, write: mirror, table: \"{stream}\"}\n";
    let bench = pipeline(&source, "[\"public.*\"]", &destinations);
    bench.tidemark("run pipeline.yaml --once").succeeds();
    source.execute("UPDATE orders SET note = 'later' WHERE id % 3 = 0; DELETE FROM orders WHERE id > 290");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    server.stop();

    Found::of(&bench, "--against staging", 0).assert_equal(290);
    mirror.execute("UPDATE orders SET note = 'Later' WHERE id = 3");
    Connection::open(bench.path("copy.db"))
        .unwrap()
        .execute_batch("INSERT INTO \"public.orders\" VALUES (291, 'x')")
        .unwrap();
    let found = Found::of(&bench, "--against staging", 1);
    assert_eq!(
        found.differences("mirror", "public.orders"),
        (vec!["different id=3 in note".to_owned()], true)
    );
    assert_eq!(found.differences("copy", "public.orders"), (vec!["extra id=291".to_owned()], true));
    // Nothing is left of what was played, and nobody is told that it was.
    let staging = bench.path(".");
    let left: Vec<_> = walk(&staging).into_iter().filter(|path| path.contains("verify")).collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(bench.tidemark("verify pipeline.yaml").exits_with(1).stderr.contains("error:"));
}

fn walk(folder: &std::path::Path) -> Vec<String> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            paths.extend(walk(&path));
        }
        paths.push(path.display().to_string());
    }
    paths
}

/// Files cannot be asked for a record, but what was staged of them can.
#[test]
fn files_are_compared_by_what_was_staged_of_them() {
    let bench = Workbench::with_pipeline(
        "name: people
source:
  type: files
  path: ./data
  streams: {people: {key: [id]}}
destinations:
  copy: {type: sqlite, path: ./copy.db, write: mirror}
",
    );
    bench.write("data/people.csv", "id,name,height\n1,Ann,1.70\n2,Bo,1.80\n");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let refused = bench.tidemark("verify pipeline.yaml").exits_with(2).stderr;
    assert!(refused.contains("--against staging"), "{refused}");
    Found::of(&bench, "--against staging", 0).assert_equal(2);
    Connection::open(bench.path("copy.db"))
        .unwrap()
        .execute_batch("DELETE FROM people WHERE id = 2")
        .unwrap();
    let found = Found::of(&bench, "--against staging", 1);
    assert_eq!(found.differences("copy", "people").0, ["missing id=2"]);
}
