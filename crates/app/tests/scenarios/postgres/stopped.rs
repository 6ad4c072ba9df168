//! A process that stands still for so long that the server and a successor have given it up, and then goes on.

use tidemark_test_servers::{Bucket, Cloud, Postgres};

use super::{
    comparison::assert_equal,
    destination,
    kept::of_slot,
    outages::{ITEMS, assert_each_change_once},
    value,
};
use crate::workbench::Workbench;

/// Failure mode 43. It had taken changes from the server, and had a session open at each destination.
#[test]
fn a_process_that_was_replaced_while_it_stood_still_changes_nothing() {
    let server = Postgres::with_settings(&[("wal_sender_timeout", "2s")]);
    let (source, mirror, history) = (server.database(), server.database(), server.database());
    source.execute(ITEMS);
    let Bucket { url, variables } = Cloud::S3.shared().bucket();
    let bench = Workbench::with_pipeline(&format!(
        "name: {}
source: {{type: postgres, url: \"{}\", streams: [\"public.*\"]}}
staging: {{url: \"{url}/a\", max_delay: 20ms}}
destinations:
{}{}",
        source.name(),
        source.url(),
        destination("mirror", &mirror, "mirror"),
        destination("history", &history, "append"),
    ))
    .in_environment(&variables);
    let has = |id: i32| {
        [&mirror, &history].iter().all(|copy| {
            value(copy, "SELECT to_regclass('items') IS NOT NULL") == "t"
                && value(copy, &format!("SELECT count(*) FROM items WHERE id = {id}")) == "1"
        })
    };
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let mut zombie = bench.start("run pipeline.yaml");
    source.execute("INSERT INTO items VALUES (-1, 0)");
    zombie.until("the first change has arrived", || has(-1));

    zombie.suspend();
    source.execute("INSERT INTO items VALUES (-2, 0); UPDATE items SET n = 1 WHERE id BETWEEN 0 AND 99");
    zombie.until("the server has given it up", || of_slot(&source, "active") == "f");
    let mut successor = bench.start("run pipeline.yaml");
    successor.until("the second change has arrived", || has(-2));

    zombie.resume();
    let ended = zombie.ends().exits_with(3);
    assert!(ended.stderr.contains("another process has taken over"), "{}", ended.stderr);
    assert!(ended.stderr.contains("hint:"), "{}", ended.stderr);
    source.execute("INSERT INTO items VALUES (-3, 0); DELETE FROM items WHERE id = -1");
    successor.until("the successor goes on", || {
        [&mirror, &history].iter().all(|copy| value(copy, "SELECT count(*) FROM items WHERE id = -3") == "1")
    });
    successor.terminate().succeeds();
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_equal(&source, &mirror, "public.items");
    assert_each_change_once(&bench, &history);
    bench.tidemark("fsck pipeline.yaml").succeeds();
}
