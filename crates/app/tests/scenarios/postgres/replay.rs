//! The log, played again: as of a moment, into what is in use, with the source gone.

use std::{thread, time::Duration};

use serde_json::Value as Json;
use tidemark_test_servers::{Database, Postgres};

use super::{
    comparison::assert_equal,
    destination,
    kept::{Kept, commit, staged},
    load::{self, Load, TABLES},
    pipeline, value,
};
use crate::{growth::Chance, process::pause, workbench::Workbench};

const ACCOUNTS: &str = "CREATE TABLE accounts (id int PRIMARY KEY, balance int NOT NULL, note text);
    INSERT INTO accounts SELECT i, 100, repeat('n', 3000) FROM generate_series(1, 20) i;";

fn accounts(database: &Database<'_>) -> String {
    value(
        database,
        "SELECT coalesce(string_agg(id || ':' || balance || ':' || coalesce(md5(note), ''), ' ' ORDER BY id), '') FROM accounts",
    )
}

/// Two more destinations, which only replays write to.
fn with_replays(replays: &Database<'_>, folder_of_sqlite: &str) -> String {
    let url = replays.url();
    format!(
        "  then: {{type: postgres, url: \"{url}\", write: mirror, live: false}}
  then_too: {{type: sqlite, path: {folder_of_sqlite}, write: mirror, live: false, table: accounts}}
"
    )
}

#[test]
fn a_moment_is_shown_as_it_was_with_the_source_gone() {
    let (server, others) = (Postgres::start(), Postgres::shared());
    let (source, mirror, then) = (server.database(), others.database(), others.database());
    source.execute(ACCOUNTS);
    let destinations = destination("mirror", &mirror, "mirror") + &with_replays(&then, "then.db");
    let bench = pipeline(&source, "[public.accounts]", &destinations);
    bench.tidemark("run pipeline.yaml --once").succeeds();

    // Every state that anybody could have seen, and where the source's log was then. Many transactions share a commit of ours.
    let mut seen = Vec::new();
    for step in 0..12 {
        source.execute(&format!(
            "BEGIN; UPDATE accounts SET balance = balance - {step} WHERE id = {}; UPDATE accounts SET balance = balance + {step} WHERE id = {};
             UPDATE accounts SET id = id + 100 WHERE id = {}; INSERT INTO accounts VALUES ({}, 0, 'new'); COMMIT;",
            1 + step % 5, 6 + step % 5, 11 + step % 10, 1_000 + step,
        ));
        if step == 7 {
            source.execute("TRUNCATE accounts; INSERT INTO accounts VALUES (7, 7, NULL)");
        }
        let place = value(&source, "SELECT pg_current_wal_insert_lsn()");
        seen.push((place, accounts(&source)));
    }
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let staged = staged(&bench, "accounts");
    drop(source);
    server.stop();

    for (place, state) in seen.iter().rev().chain(&seen) {
        bench.tidemark(&format!("replay pipeline.yaml --to then --as-of source:{place}")).succeeds();
        assert_eq!(&accounts(&then), state, "as of {place}");
    }
    // By time: the end of a transaction is a moment, and so is anything up to the next.
    let mut times: Vec<_> = staged.iter().filter_map(|change| change["source_time"].as_str()).collect();
    times.dedup();
    let times: Vec<_> = times.into_iter().skip_while(|time| time.is_empty()).collect();
    assert_eq!(times.len(), 13, "the transactions");
    let states: Vec<_> = seen.iter().map(|(_, state)| state).collect();
    for (time, state) in [(times[3], states[3]), (times[6], states[6]), (times[12], states[11])] {
        bench.tidemark(&format!("replay pipeline.yaml --to then --as-of {time}")).succeeds();
        assert_eq!(&accounts(&then), state, "as of {time}");
        bench.tidemark(&format!("replay pipeline.yaml --to then_too --as-of {time}")).succeeds();
        let copy = rusqlite::Connection::open(bench.path("then.db")).unwrap();
        let sum: i64 =
            copy.query_row("SELECT coalesce(sum(balance), 0) FROM accounts", [], |row| row.get(0)).unwrap();
        assert_eq!(sum.to_string(), value(&then, "SELECT coalesce(sum(balance), 0) FROM accounts"));
    }

    // Before there was anything to be shown, and what cannot be gone on from.
    let ended = bench.tidemark("replay pipeline.yaml --to then --as-of seq:1").exits_with(2);
    assert!(ended.stderr.contains("was not complete") && ended.stderr.contains("seq:"), "{}", ended.stderr);
    let ended = bench.tidemark("replay pipeline.yaml --to then").exits_with(2);
    assert!(ended.stderr.contains("from which nothing goes on"), "{}", ended.stderr);
    assert_eq!(value(&then, "SELECT count(*) FROM pg_tables WHERE tablename LIKE '%shadow%'"), "0");
}

#[test]
fn a_moment_is_exchanged_whole_for_those_who_read() {
    let case = Kept::of(Postgres::shared(), ACCOUNTS);
    let then = Postgres::shared().database();
    let file = std::fs::read_to_string(case.bench.path("pipeline.yaml")).unwrap();
    case.bench.write("pipeline.yaml", &(file + &with_replays(&then, "then.db")));
    case.catch_up();
    let early = commit(&case.bench);
    case.source.execute(
        "UPDATE accounts SET balance = 50 WHERE id <= 10; UPDATE accounts SET balance = 150 WHERE id > 10;
         DELETE FROM accounts WHERE id = 20; INSERT INTO accounts VALUES (21, 150, NULL)",
    );
    case.catch_up();
    let late = commit(&case.bench);
    let replay = |sequence| format!("replay pipeline.yaml --to then --as-of seq:{sequence}");
    case.bench.tidemark(&replay(early)).succeeds();
    // What people have added stays.
    then.execute("CREATE VIEW total AS SELECT sum(balance) AS total FROM accounts; CREATE INDEX by_note ON accounts (md5(note))");
    for sequence in [late, early, late] {
        let mut replaying = case.bench.start(&replay(sequence));
        let expected = ["2000", "2000"];
        while replaying.runs() {
            let total = value(&then, "SELECT total FROM total");
            assert!(expected.contains(&total.as_str()), "half a state was seen: {total}");
        }
        replaying.ends().succeeds();
    }
    assert_equal(&case.source, &then, "public.accounts");
    assert_eq!(value(&then, "SELECT count(*) FROM pg_indexes WHERE indexname = 'by_note'"), "1");
}

/// Killed at any moment, a replay leaves what was there, or what is to be there.
#[test]
fn a_moment_is_shown_or_not_when_its_replay_is_killed() {
    let mut chance = Chance::from_the_environment();
    let case = Kept::of(
        Postgres::shared(),
        "CREATE TABLE items (id int PRIMARY KEY, a text, b int);
        INSERT INTO items SELECT i, md5(i::text), i FROM generate_series(1, 30000) i",
    );
    let then = Postgres::shared().database();
    let file = std::fs::read_to_string(case.bench.path("pipeline.yaml")).unwrap();
    case.bench.write("pipeline.yaml", &(file + &with_replays(&then, "then.db")));
    let state =
        |database: &Database<'_>| value(database, "SELECT sum(hashtextextended(i::text, 0)) FROM items i");
    case.catch_up();
    let (early, early_state) = (commit(&case.bench), state(&case.source));
    case.source.execute(
        "UPDATE items SET b = -b WHERE id % 3 = 0; DELETE FROM items WHERE id % 7 = 0; UPDATE items SET id = id + 100000 WHERE id % 5 = 0",
    );
    case.catch_up();
    let (late, late_state) = (commit(&case.bench), state(&case.source));
    case.bench.tidemark(&format!("replay pipeline.yaml --to then --as-of seq:{early}")).succeeds();
    assert_eq!(state(&then), early_state);
    for (sequence, expected) in [(late, &late_state), (early, &early_state)] {
        let replay = format!("replay pipeline.yaml --to then --as-of seq:{sequence}");
        for _ in 0..8 {
            let replaying = case.bench.start(&replay);
            pause(Duration::from_millis(10 + chance.below(600)));
            replaying.kill();
            let found = state(&then);
            assert!([&early_state, &late_state].contains(&&found), "half a state was left behind");
        }
        case.bench.tidemark(&replay).succeeds();
        assert_eq!(&state(&then), expected);
    }
}

#[test]
fn a_damaged_mirror_is_repaired_in_place() {
    let case = Kept::of(Postgres::shared(), ACCOUNTS);
    case.source.execute("CREATE TABLE other (id int PRIMARY KEY); INSERT INTO other VALUES (1)");
    case.catch_up();
    case.source.execute("UPDATE accounts SET balance = balance + id; DELETE FROM accounts WHERE id = 3");
    case.catch_up();
    case.mirror.execute(
        "DELETE FROM accounts WHERE id > 15; UPDATE accounts SET balance = 0 WHERE id = 1; INSERT INTO accounts VALUES (999, 1, 'stray');
         INSERT INTO other VALUES (2)",
    );
    let counted =
        case.bench.tidemark("replay pipeline.yaml --to mirror --stream public.accounts --dry-run").succeeds();
    assert!(counted.stdout.contains("public.accounts: "), "{}", counted.stdout);
    case.bench.tidemark("replay pipeline.yaml --to mirror --stream public.accounts").succeeds();
    case.assert_mirrored(&["accounts"]);
    assert_eq!(case.of_mirror("SELECT count(*) FROM other"), "2", "another stream was not asked for");
    case.bench.tidemark("replay pipeline.yaml --to mirror").succeeds();
    case.assert_mirrored(&["accounts", "other"]);
    case.source.execute(
        "INSERT INTO accounts VALUES (50, 1, 'after'); UPDATE accounts SET balance = -1 WHERE id = 2",
    );
    case.catch_up();
    case.assert_mirrored(&["accounts", "other"]);
}

#[test]
fn missing_changes_are_added_to_a_history() {
    let case = Kept::of(Postgres::shared(), ACCOUNTS);
    case.catch_up();
    let begin = commit(&case.bench);
    case.source.execute("UPDATE accounts SET balance = balance + 1");
    case.catch_up();
    let whole = "SELECT count(*), md5(string_agg(a::text, ' ' ORDER BY _tidemark_position)) FROM accounts a";
    let before = case.history.query(whole);
    case.history.execute("DELETE FROM accounts WHERE id % 3 = 0 AND _tidemark_op = 'u'");
    assert_ne!(case.history.query(whole), before);
    case.bench
        .tidemark(&format!("replay pipeline.yaml --to history --from seq:{begin} --rate 1000000"))
        .succeeds();
    assert_eq!(case.history.query(whole), before);
    case.bench.tidemark("replay pipeline.yaml --to history").succeeds();
    assert_eq!(case.history.query(whole), before, "nothing arrives twice");
    case.source.execute("DELETE FROM accounts WHERE id = 1");
    case.catch_up();
    assert_eq!(case.of_history("SELECT count(*) FROM accounts WHERE _tidemark_op = 'd'"), "1");
}

#[test]
fn a_range_goes_to_a_schema_of_its_own_and_can_be_extended() {
    let case = Kept::of(Postgres::shared(), ACCOUNTS);
    let url = case.mirror.url();
    let file = std::fs::read_to_string(case.bench.path("pipeline.yaml")).unwrap();
    let more =
        format!("  again: {{type: postgres, url: \"{url}\", schema: again, write: mirror, live: false}}\n");
    case.bench.write("pipeline.yaml", &(file + &more));
    case.catch_up();
    let middle = commit(&case.bench);
    let then = accounts(&case.source);
    case.source.execute("UPDATE accounts SET balance = balance + id");
    case.catch_up();
    case.bench.tidemark(&format!("replay pipeline.yaml --to again --until seq:{middle}")).succeeds();
    case.mirror.execute("ALTER SCHEMA public RENAME TO live; ALTER SCHEMA again RENAME TO public");
    assert_eq!(accounts(&case.mirror), then);
    case.mirror.execute("ALTER SCHEMA public RENAME TO again; ALTER SCHEMA live RENAME TO public");
    case.bench.tidemark("replay pipeline.yaml --to again").succeeds();
    let sql = "SELECT count(*) FROM (TABLE again.accounts EXCEPT TABLE public.accounts) AS differing";
    assert_eq!(case.of_mirror(sql), "0");
    // Nothing is left to be played.
    let counted = case.bench.tidemark("replay pipeline.yaml --to again --dry-run").succeeds();
    assert!(counted.stdout.contains("0 changes would be played"), "{}", counted.stdout);
}

/// A mirror is filled anew, again and again, while it is written to and both processes are killed.
#[test]
fn a_mirror_in_use_is_filled_anew_through_kills() {
    let server = Postgres::shared();
    let (source, mirror) = (server.database(), server.database());
    let mut chance = Chance::from_the_environment();
    load::prepare(&source);
    let total = value(&source, load::TOTAL);
    let bench = pipeline(&source, "[\"public.*\"]", &destination("mirror", &mirror, "mirror"));
    bench.tidemark("run pipeline.yaml --once").succeeds();

    thread::scope(|scope| {
        let load = Load::start(scope, &source, chance.below(u64::MAX));
        let mut running = bench.start("run pipeline.yaml");
        for round in 0..8 {
            mirror.execute("DELETE FROM items WHERE random() < 0.01");
            let replaying = bench.start("replay pipeline.yaml --to mirror");
            pause(Duration::from_millis(100 + chance.below(1_500)));
            if round % 2 == 0 {
                replaying.kill();
            } else {
                running.kill().was_killed();
                running = bench.start("run pipeline.yaml");
                drop(replaying.ends());
            }
            assert_eq!(value(&mirror, load::TOTAL), total, "half a transaction was seen");
        }
        bench.tidemark("replay pipeline.yaml --to mirror").succeeds();
        assert_eq!(value(&mirror, load::TOTAL), total);
        running.until("what was filled anew has caught up", || held(&bench) == 0);
        load.stop();
        running.terminate().succeeds();
    });
    bench.tidemark("run pipeline.yaml --once").succeeds();
    for table in TABLES {
        assert_equal(&source, &mirror, table);
    }
    assert_eq!(held(&bench), 0);
}

/// How many streams are held anywhere.
fn held(bench: &Workbench) -> usize {
    let status = bench.tidemark("status pipeline.yaml --json").succeeds().stdout;
    let status: Json = serde_json::from_str(&status).unwrap();
    let held = |destination: &Json| destination["held"].as_array().unwrap().len();
    status["destinations"].as_array().unwrap().iter().map(held).sum()
}
