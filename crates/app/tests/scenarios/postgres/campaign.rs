//! Everything at once: a database that is written to all the time, read, staged, folded and dropped, while whatever can be ended
//! is ended at random. `TIDEMARK_KILLS` says how often (8 times unless it does), `TIDEMARK_SEED` how.

use std::{env, thread, time::Duration};

use tidemark_test_servers::{Commit, Condition, Database, Line, Postgres};

use super::{
    comparison::assert_equal,
    convergence::told_changes,
    load::{self, Load, TABLES},
    network::{READING, STREAMING, end_sessions},
    value,
};
use crate::{
    growth::Chance,
    process::{Running, pause},
    workbench::Workbench,
};

fn kills() -> u64 {
    env::var("TIDEMARK_KILLS").map_or(8, |kills| kills.parse().unwrap())
}

/// A pipeline over two lines to a mirror and a history, and to a mirror in a file, that drops what everybody has.
fn campaign(source: &Database<'_>, copies: [&Database<'_>; 2], from: &Line, to: &Line) -> Workbench {
    let [mirror, history] = copies.map(|copy| copy.url_over(to));
    Workbench::with_pipeline(&format!(
        "name: {}
source: {{type: postgres, url: \"{}\", streams: [\"public.*\"]}}
staging: {{path: ./staging, fold_after: 1ms, retention: {{age: 1ms}}}}
destinations:
  mirror: {{type: postgres, url: \"{mirror}\", write: mirror}}
  history: {{type: postgres, url: \"{history}\", write: append}}
  lite: {{type: sqlite, path: ./lite.db, write: mirror}}
",
        source.name(),
        source.url_over(from),
    ))
}

#[test]
fn whatever_ends_at_random_nothing_is_lost_and_nothing_twice() {
    let server = Postgres::shared();
    let (source, mirror, history) = (server.database(), server.database(), server.database());
    let (from, to) = (Line::to(server.port()), Line::to(server.port()));
    let mut chance = Chance::from_the_environment();
    load::prepare(&source);
    let bench = campaign(&source, [&mirror, &history], &from, &to);
    // What the first reading finds is in the tables when it is complete; from then on each change counts.
    let reading = kills() / 2;
    trouble(&to, &mut chance);
    under_load(&source, &mut chance, |chance| {
        (0..reading).for_each(|_| live_and_die(&bench, &from, &to, &source, chance));
    });
    quiet(&from, &to);
    // However little time the load had: every table has had a record, or it would be nowhere else.
    source.execute("INSERT INTO scratch VALUES (-1, 'first') ON CONFLICT DO NOTHING");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    source
        .query("SELECT pg_create_logical_replication_slot('oracle_' || current_database(), 'test_decoding')");
    let begin = value(&history, &last_position());
    trouble(&to, &mut chance);
    under_load(&source, &mut chance, |chance| {
        for _ in reading..kills() {
            if chance.below(5) == 0 {
                bench.tidemark("resync pipeline.yaml --stream public.items").succeeds();
            }
            live_and_die(&bench, &from, &to, &source, chance);
        }
    });
    quiet(&from, &to);
    // Whatever was under way is done, and what was before may go.
    for _ in 0..3 {
        source.execute("UPDATE items SET amount = amount + 1 WHERE id % 10 = 0");
        bench.tidemark("run pipeline.yaml --once").succeeds();
    }
    let status = bench.tidemark("status pipeline.yaml").succeeds().stdout;
    assert!(status.contains("keeps what came after commit"), "nothing was dropped: {status}");

    for table in TABLES {
        assert_equal(&source, &mirror, table);
    }
    assert_told_once(&source, &history, &begin);
    bench.tidemark("verify pipeline.yaml").succeeds();
    bench.tidemark("verify pipeline.yaml --against staging").succeeds();
    bench.tidemark("fsck pipeline.yaml").succeeds();
}

/// Some commits are lost, or their answers.
fn trouble(to: &Line, chance: &mut Chance) {
    let mut of_commits = Chance::new(chance.below(u64::MAX));
    to.treat_commits(move |_| match of_commits.below(40) {
        0 => Commit::Unanswered,
        1 => Commit::Unknown,
        2 => Commit::Lost,
        _ => Commit::Answered,
    });
}

/// Nothing happens any more: an initial sync of many commits comes to its end without the pauses that grow with each failure.
fn quiet(from: &Line, to: &Line) {
    to.treat_commits(|_| Commit::Answered);
    from.is(Condition::Good);
}

fn under_load(source: &Database<'_>, chance: &mut Chance, during: impl FnOnce(&mut Chance)) {
    thread::scope(|scope| {
        let load = Load::start(scope, source, chance.below(u64::MAX));
        during(chance);
        load.stop();
    });
}

/// One process: it begins, has its troubles, and is killed.
fn live_and_die(bench: &Workbench, from: &Line, to: &Line, source: &Database<'_>, chance: &mut Chance) {
    let mut running: Running = bench.start("run pipeline.yaml");
    for _ in 0..chance.below(4) {
        pause(Duration::from_millis(chance.below(300)));
        match chance.below(6) {
            0 => from.cut(),
            1 => to.cut(),
            2 => _ = end_sessions(source, STREAMING),
            3 => _ = end_sessions(source, READING),
            4 => from.is(Condition::Slow(Duration::from_millis(chance.below(5)))),
            _ => from.is(Condition::Good),
        }
    }
    pause(Duration::from_millis(50 + chance.below(500)));
    assert!(running.runs(), "it gave up: {}", running.ends().stderr);
    running.kill().was_killed();
}

fn last_position() -> String {
    let tables = TABLES.map(|table| format!("SELECT max(_tidemark_position) AS position FROM {table}"));
    format!("SELECT max(position) FROM ({}) all_of_them", tables.join(" UNION ALL "))
}

/// Every change that the server tells of is in the history once, in its order, after the position `begin`.
fn assert_told_once(source: &Database<'_>, history: &Database<'_>, begin: &str) {
    let tables = TABLES.map(|table| {
        format!(
            "SELECT _tidemark_position AS position, _tidemark_op AS op, '{table}' AS stream FROM {table}
             WHERE _tidemark_position > '{begin}' AND _tidemark_op <> 'r'"
        )
    });
    let kept = history.query(&format!(
        "SELECT op, stream FROM ({}) all_of_them ORDER BY position",
        tables.join(" UNION ALL ")
    ));
    let kept: Vec<(String, String)> =
        kept.into_iter().map(|row| (row[0].clone().unwrap(), row[1].clone().unwrap())).collect();
    let told: Vec<(String, String)> =
        told_changes(source).into_iter().map(|(_, op, stream)| (op, stream)).collect();
    let differs = told.iter().zip(&kept).position(|(told, kept)| told != kept);
    assert_eq!(differs.map(|at| (at, &told[at], &kept[at])), None, "another change was kept");
    assert_eq!(kept.len(), told.len(), "changes were kept twice, or not at all");
    assert!(told.len() > 100, "only {} changes were told of", told.len());
}
