//! The network between us and the servers: commits whose answer is lost, connections that are cut, slow or silent.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use tidemark_test_servers::{Commit, Condition, Database, Line, Postgres};

use super::{
    comparison::assert_equal,
    convergence::Changes,
    kept::of_slot,
    outages::{ITEMS, assert_each_change_once, write_until},
    value,
};
use crate::{growth::Chance, process::pause, workbench::Workbench};

/// A pipeline of all tables between databases behind these lines, to a mirror and to a history.
fn over(
    (source, from): (&Database<'_>, &Line),
    (mirror, history, to): (&Database<'_>, &Database<'_>, &Line),
) -> Workbench {
    Workbench::with_pipeline(&format!(
        "name: {}
source: {{type: postgres, url: \"{}\", streams: [\"public.*\"]}}
destinations:
  mirror: {{type: postgres, url: \"{}\", write: mirror}}
  history: {{type: postgres, url: \"{}\", write: append}}
",
        source.name(),
        source.url_over(from),
        mirror.url_over(to),
        history.url_over(to),
    ))
}

fn has_last_row(copy: &Database<'_>) -> bool {
    value(copy, "SELECT to_regclass('items') IS NOT NULL") == "t"
        && value(copy, "SELECT count(*) FROM items WHERE id = -1") == "1"
}

/// What became of the commits of each kind, by their queries.
type Met = Arc<Mutex<HashMap<String, usize>>>;

/// What becomes of commits of one kind, again and again.
const FATES: [Commit; 9] = [
    Commit::Answered,
    Commit::Unanswered,
    Commit::Answered,
    Commit::Answered,
    Commit::Unknown,
    Commit::Answered,
    Commit::Answered,
    Commit::Lost,
    Commit::Answered,
];

/// A line to `server` over which commits meet with every fate.
fn troubled(server: &Postgres) -> (Line, Met) {
    let (line, met) = (Line::to(server.port()), Met::default());
    let counted = met.clone();
    line.treat_commits(move |query| {
        let mut counted = counted.lock().unwrap();
        let count = counted.entry(query.to_owned()).or_default();
        *count += 1;
        FATES[(*count - 1) % FATES.len()]
    });
    (line, met)
}

/// Failure mode 32: the server has the COMMIT, and nobody hears what came of it; or it never got it.
#[test]
fn a_commit_whose_answer_is_lost_is_neither_lost_nor_repeated() {
    let server = Postgres::shared();
    let (source, mirror, history) = (server.database(), server.database(), server.database());
    source.execute(ITEMS);
    let ((to_mirror, of_mirror), (to_history, of_history)) = (troubled(server), troubled(server));
    let url = source.url();
    let bench = Workbench::with_pipeline(&format!(
        "name: {}
source: {{type: postgres, url: \"{url}\", streams: [\"public.*\"]}}
destinations:
  mirror: {{type: postgres, url: \"{}\", write: mirror}}
  history: {{type: postgres, url: \"{}\", write: append}}
",
        source.name(),
        mirror.url_over(&to_mirror),
        history.url_over(&to_history),
    ));
    // From here on each change is delivered once. (Those under way during an initial sync are part of what it reads.)
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let load = scope.spawn(|| write_until(&stop, &source));
        let mut running = bench.start("run pipeline.yaml");
        // Those that end a unit, and those that open a destination.
        let have_met_all = |met: &Met| {
            let met = met.lock().unwrap();
            met.values().filter(|count| **count >= 3 * FATES.len()).count() >= 2
        };
        running.until("commits of two kinds have met with everything three times", || {
            have_met_all(&of_mirror) && have_met_all(&of_history)
        });
        stop.store(true, Ordering::Relaxed);
        load.join().unwrap();
        source.execute("INSERT INTO items VALUES (-1, 0)");
        running.until("both have the last row", || has_last_row(&mirror) && has_last_row(&history));
        running.terminate().succeeds();
    });
    assert_equal(&source, &mirror, "public.items");
    assert_each_change_once(&bench, &history);
}

/// Sessions of ours at the source: those that stream, and those that read.
pub(super) const STREAMING: &str = "backend_type = 'walsender'";
pub(super) const READING: &str = "backend_type = 'client backend' AND application_name LIKE 'tidemark%'";

/// How many sessions of ours at the source have been ended by this.
pub(super) fn end_sessions(source: &Database<'_>, which: &str) -> usize {
    let sql = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid() AND {which}"
    );
    source.query(&sql).len()
}

/// Lines and sessions to the source end while tables are read and while changes are.
#[test]
fn a_source_whose_sessions_end_at_any_moment_is_read_whole_and_once() {
    let server = Postgres::shared();
    let (source, mirror, history) = (server.database(), server.database(), server.database());
    let (from, to) = (Line::to(server.port()), Line::to(server.port()));
    source.execute(ITEMS);
    source.execute(
        "CREATE TABLE large (id int PRIMARY KEY, t text);
         INSERT INTO large SELECT i, repeat(md5(i::text), 8) FROM generate_series(1, 30000) i;",
    );
    // What the server itself says has happened, to be compared with what was staged.
    source
        .query("SELECT pg_create_logical_replication_slot('oracle_' || current_database(), 'test_decoding')");
    let bench = over((&source, &from), (&mirror, &history, &to));
    let mut chance = Chance::from_the_environment();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let load = scope.spawn(|| write_until(&stop, &source));
        from.is(Condition::Slow(Duration::from_millis(10)));
        let mut running = bench.start("run pipeline.yaml");
        for _ in 0..3 {
            running.until("a session that reads is ended", || end_sessions(&source, READING) > 0);
            pause(Duration::from_millis(chance.below(200)));
            from.cut();
        }
        from.is(Condition::Good);
        running.until("tables have arrived", || {
            value(&mirror, "SELECT to_regclass('large') IS NOT NULL") == "t"
        });
        for round in 0..12 {
            pause(Duration::from_millis(20 + chance.below(250)));
            match round % 4 {
                0 => from.cut(),
                1 => from.is(Condition::Slow(Duration::from_millis(chance.below(30)))),
                2 => to.cut(),
                _ => {
                    running.until("a session that streams is ended", || end_sessions(&source, STREAMING) > 0)
                }
            }
        }
        from.is(Condition::Good);
        stop.store(true, Ordering::Relaxed);
        load.join().unwrap();
        source.execute("INSERT INTO items VALUES (-1, 0)");
        running.until("both have the last row", || has_last_row(&mirror) && has_last_row(&history));
        running.terminate().succeeds();
    });
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_equal(&source, &mirror, "public.items");
    assert_equal(&source, &mirror, "public.large");
    Changes::staged(&bench).assert_exactly_once(&source);
}

/// The source's server loses its power and recovers: what it had not made durable has never been, and what it tells again is known.
#[test]
fn a_source_that_crashes_and_recovers_is_read_on() {
    let own = Postgres::start();
    let server = Postgres::shared();
    let (source, mirror, history) = (own.database(), server.database(), server.database());
    let (from, to) = (Line::to(own.port()), Line::to(server.port()));
    source.execute(ITEMS);
    let bench = over((&source, &from), (&mirror, &history, &to));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let mut running = bench.start("run pipeline.yaml");
    for round in 0..3 {
        source.execute("UPDATE items SET n = n + 1 WHERE id % 10 = 0");
        if round == 1 {
            running.until("the changes have arrived", || value(&mirror, "SELECT max(n) FROM items") == "2");
        }
        own.kill();
        own.restart();
        source.execute("UPDATE items SET n = -n WHERE id % 10 = 1; DELETE FROM items WHERE id % 500 = 499");
    }
    source.execute("INSERT INTO items VALUES (-1, 0)");
    running.until("both have the last row", || has_last_row(&mirror) && has_last_row(&history));
    running.terminate().succeeds();
    assert_equal(&source, &mirror, "public.items");
    assert_each_change_once(&bench, &history);
}

/// Something on the way keeps the connection open, and nothing comes over it any more: neither side's system says so.
#[test]
fn a_stream_that_is_silent_is_given_up_and_begun_anew() {
    let server = Postgres::with_settings(&[("wal_sender_timeout", "2s")]);
    let (source, mirror, history) = (server.database(), server.database(), server.database());
    let (from, to) = (Line::to(server.port()), Line::to(server.port()));
    source.execute(ITEMS);
    let bench = over((&source, &from), (&mirror, &history, &to));
    let mut running = bench.start("run pipeline.yaml");
    source.execute("INSERT INTO items VALUES (-1, 0)");
    running.until("both have the row", || has_last_row(&mirror) && has_last_row(&history));
    running.until("it streams", || of_slot(&source, "active") == "t");

    from.is(Condition::Silent);
    // Whoever comes anew meets a good line; what was open stays silent.
    from.is(Condition::Good);
    source.execute("UPDATE items SET n = 77 WHERE id = -1");
    running.until_it_says("has sent nothing for 6 s over its replication stream");
    running.until("the change has arrived", || value(&mirror, "SELECT n FROM items WHERE id = -1") == "77");
    // Nothing of a quiet source is taken for silence.
    let session = of_slot(&source, "active_pid");
    pause(Duration::from_secs(8));
    assert_eq!(of_slot(&source, "active_pid"), session, "the session has ended");
    running.terminate().succeeds();
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_equal(&source, &mirror, "public.items");
}
