//! A database that is written to, kept in step elsewhere by a process that is killed, wherever its log is kept.

use std::{thread, time::Duration};

use tidemark_test_servers::{Cloud, Postgres};

use super::{
    comparison::assert_equal,
    destination, load,
    load::{Load, TABLES},
    value,
};
use crate::{
    growth::Chance,
    process::pause,
    stores::{in_every_cloud, in_every_store, place},
    workbench::Workbench,
};

const KILLS: usize = 8;

in_every_store!(a_load_converges_through_kills);

fn a_load_converges_through_kills(cloud: Option<Cloud>) {
    let server = Postgres::shared();
    let (source, mirror, history) = (server.database(), server.database(), server.database());
    load::prepare(&source);
    let place = place(cloud);
    let destinations = destination("mirror", &mirror, "mirror") + &destination("history", &history, "append");
    let bench = Workbench::with_pipeline(&format!(
        "name: {}
source: {{type: postgres, url: \"{}\", streams: [\"public.*\"]}}
staging: {{url: \"{}\", max_delay: 50ms}}
destinations:
{destinations}",
        source.name(),
        source.url(),
        place.url
    ))
    .in_environment(&place.variables);

    let mut chance = Chance::from_the_environment();
    thread::scope(|scope| {
        let load = Load::start(scope, &source, chance.below(u64::MAX));
        for _ in 0..KILLS {
            let running = bench.start("run pipeline.yaml");
            pause(Duration::from_millis(200 + chance.below(1_000)));
            running.kill().was_killed();
        }
        let running = bench.start("run pipeline.yaml");
        pause(Duration::from_millis(2_000));
        load.stop();
        // However little time the load had: every table has had a record, or it would be nowhere else.
        source.execute("INSERT INTO scratch VALUES (-1, 'last')");
        running.terminate().succeeds();
    });
    bench.tidemark("run pipeline.yaml --once").succeeds();
    for table in TABLES {
        assert_equal(&source, &mirror, table);
        let twice = format!(
            "SELECT count(*) FROM (SELECT 1 FROM {table} GROUP BY _tidemark_position HAVING count(*) > 1) AS twice"
        );
        assert_eq!(value(&history, &twice), "0", "`{table}` holds a change twice");
    }
}

/// Nothing tells the command that nobody runs the pipeline, so it does not write by itself.
#[test]
fn in_object_storage_a_retry_of_dead_letters_waits_for_a_run() {
    let (source, copy) = (Postgres::shared().database(), Postgres::shared().database());
    source.execute("CREATE TABLE accounts (id int PRIMARY KEY, amount int); INSERT INTO accounts VALUES (1, 1), (2, 5000)");
    copy.execute(
        "CREATE TABLE accounts (id int PRIMARY KEY, amount int, CONSTRAINT small CHECK (amount < 1000))",
    );
    let place = place(Some(Cloud::S3));
    let bench = Workbench::with_pipeline(&format!(
        "name: {}
source: {{type: postgres, url: \"{}\", streams: [\"public.*\"]}}
staging: {}
destinations:
{}",
        source.name(),
        source.url(),
        place.url,
        destination("copy", &copy, "mirror, adopt: true, on_error: dead-letter")
    ))
    .in_environment(&place.variables);
    bench.tidemark("run pipeline.yaml --once").succeeds();
    copy.execute("ALTER TABLE accounts DROP CONSTRAINT small");
    let asked = bench.tidemark("dead-letters pipeline.yaml retry").succeeds().stdout;
    assert!(asked.contains("asked whoever runs the pipeline, now or next"), "{asked}");
    assert_eq!(value(&copy, "SELECT count(*) FROM accounts"), "1", "it writes nothing by itself");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_equal(&source, &copy, "public.accounts");
    let listed = bench.tidemark("dead-letters pipeline.yaml list").succeeds().stdout;
    assert_eq!(listed, "there are no dead letters\n");
}
