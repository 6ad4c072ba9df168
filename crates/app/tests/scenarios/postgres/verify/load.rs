//! While source and destinations keep changing.

use std::thread;

use rusqlite::Connection;
use tidemark_test_servers::Postgres;

use super::Found;
use crate::postgres::{
    destination,
    load::{self, Load},
    pipeline, value,
};

#[test]
fn changes_on_their_way_are_no_differences_and_differences_are_found_among_them() {
    let server = Postgres::start();
    let (source, mirror) = (server.database(), server.database());
    load::prepare(&source);
    let destinations = destination("mirror", &mirror, "mirror")
        + "  copy: {type: sqlite, path: ./copy.db, write: mirror, table: \"{stream}\"}\n";
    let bench = pipeline(&source, "[\"public.*\"]", &destinations);
    bench.tidemark("run pipeline.yaml --once").succeeds();
    thread::scope(|scope| {
        let mut running = bench.start("run pipeline.yaml");
        running.until("the stream is open", || {
            value(&source, "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") != "0"
        });
        let load = Load::start(scope, &source, 7);
        Found::of(&bench, "", 0);

        // No client touches this row again.
        source.execute("INSERT INTO codes VALUES ('planted', 'a')");
        let planted = |sql: &str| value(&mirror, sql) == "1";
        running.until("the planted row is there", || {
            planted("SELECT count(*) FROM codes WHERE code = 'planted'") && {
                let copy = Connection::open(bench.path("copy.db")).unwrap();
                let sql = "SELECT count(*) FROM \"public.codes\" WHERE code = 'planted'";
                copy.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap() == 1
            }
        });
        mirror.execute("UPDATE codes SET meaning = 'A' WHERE code = 'planted'");
        let copy = Connection::open(bench.path("copy.db")).unwrap();
        copy.busy_timeout(std::time::Duration::from_secs(60)).unwrap();
        copy.execute_batch("DELETE FROM \"public.codes\" WHERE code = 'planted'").unwrap();
        let found = Found::of(&bench, "", 1);
        assert_eq!(
            found.differences("mirror", "public.codes"),
            (vec!["different code=planted in meaning".to_owned()], true)
        );
        assert_eq!(
            found.differences("copy", "public.codes"),
            (vec!["missing code=planted".to_owned()], true)
        );
        for destination in found.0["destinations"].as_array().unwrap() {
            for stream in destination["streams"].as_array().unwrap() {
                let differs = stream["stream"] == "public.codes";
                assert_eq!(stream["differing"], u64::from(differs), "{stream:#}");
            }
        }
        load.stop();
        running.terminate().succeeds();
    });
}
