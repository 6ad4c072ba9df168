//! A database that is written to all the time, kept in step elsewhere by a process that is killed all the time.

use std::{
    collections::{BTreeMap, HashSet},
    thread,
    time::Duration,
};

use serde_json::Value as Json;
use tidemark_test_servers::{Database, Postgres};

use super::{
    comparison::assert_equal,
    destination, load,
    load::{Load, TABLES},
    pipeline, value,
};
use crate::{growth::Chance, process::pause, workbench::Workbench};

const KILLS: usize = 50;

#[test]
fn a_mixed_load_converges_through_fifty_kills() {
    let server = Postgres::shared();
    let (source, mirror, history) = (server.database(), server.database(), server.database());
    let mut chance = Chance::from_the_environment();
    load::prepare(&source);
    // What the server itself says has happened, to be compared with what was staged.
    source
        .query("SELECT pg_create_logical_replication_slot('oracle_' || current_database(), 'test_decoding')");
    let total = value(&source, load::TOTAL);
    let destinations = destination("mirror", &mirror, "mirror") + &destination("history", &history, "append");
    let bench = pipeline(&source, "[\"public.*\"]", &destinations);

    let (mut transactions, mut samples) = (0, 0);
    thread::scope(|scope| {
        let load = Load::start(scope, &source, chance.below(u64::MAX));
        for _ in 0..KILLS {
            let running = bench.start("run pipeline.yaml");
            pause(Duration::from_millis(50 + chance.below(900)));
            running.kill().was_killed();
            samples += u32::from(is_balanced(&mirror, &total));
        }
        let mut running = bench.start("run pipeline.yaml");
        let mut complete = None;
        running.until("the mirror has the whole initial sync", || {
            samples += u32::from(is_balanced(&mirror, &total));
            let status = Status::of(&bench);
            // Nothing is under way either while nothing has begun.
            let is_complete = has_tables(&mirror) && status.is_synced();
            complete = complete.or(is_complete.then(|| status.commit()));
            complete.is_some_and(|commit| status.commit_of("mirror") >= commit)
        });
        for _ in 0..50 {
            assert!(is_balanced(&mirror, &total), "half a transaction was seen");
            samples += 1;
            pause(Duration::from_millis(20));
        }
        running.terminate().succeeds();
        transactions = load.stop();
    });
    bench.tidemark("run pipeline.yaml --once").succeeds();

    for table in TABLES {
        assert_equal(&source, &mirror, table);
    }
    let changes = Changes::staged(&bench);
    changes.assert_exactly_once(&source);
    let kept = changes.assert_kept(&history);
    eprintln!(
        "{KILLS} kills, {transactions} transactions, {} changes staged, {kept} kept in append, {samples} samples",
        changes.count()
    );
}

/// What `tidemark status` says.
struct Status(Json);

impl Status {
    fn of(bench: &Workbench) -> Self {
        Self(serde_json::from_str(&bench.tidemark("status pipeline.yaml --json").succeeds().stdout).unwrap())
    }

    /// Whether no stream's initial sync is under way.
    fn is_synced(&self) -> bool {
        self.0["log"]["syncing"].as_array().is_some_and(Vec::is_empty)
    }

    fn commit(&self) -> u64 {
        self.0["log"]["commit"].as_u64().unwrap()
    }

    fn commit_of(&self, destination: &str) -> u64 {
        let destinations = self.0["destinations"].as_array().unwrap();
        let destination = destinations.iter().find(|standing| standing["name"] == destination);
        destination.unwrap()["commit"].as_u64().unwrap()
    }
}

/// Whether the mirror has the two tables, and no money was made or lost in them. While they are loaded, it may have neither.
fn is_balanced(mirror: &Database<'_>, total: &str) -> bool {
    has_tables(mirror) && value(mirror, load::TOTAL) == total
}

fn has_tables(mirror: &Database<'_>) -> bool {
    let tables = "SELECT to_regclass('accounts') IS NOT NULL AND to_regclass('savings') IS NOT NULL";
    value(mirror, tables) == "t"
}

/// What the staging log holds.
pub(super) struct Changes(Vec<Staged>);

struct Staged {
    position: String,
    op: String,
    stream: String,
    transaction: Option<String>,
    source_position: String,
}

impl Changes {
    pub(super) fn staged(bench: &Workbench) -> Self {
        let lines = bench.tidemark("changes pipeline.yaml --json --from beginning").succeeds().stdout;
        let staged = lines.lines().map(|line| {
            let change: Json = serde_json::from_str(line).unwrap();
            let text = |key: &str| change[key].as_str().map(str::to_owned);
            Staged {
                position: text("position").unwrap(),
                op: text("op").unwrap(),
                stream: text("stream").unwrap(),
                transaction: text("transaction"),
                source_position: text("source_position").unwrap_or_default(),
            }
        });
        let mut staged: Vec<_> = staged.collect();
        staged.sort_by(|a, b| a.position.cmp(&b.position));
        Self(staged)
    }

    fn count(&self) -> usize {
        self.0.len()
    }

    /// Changes that the replication stream brought, in the log's order.
    fn streamed(&self) -> impl Iterator<Item = &Staged> {
        self.0.iter().filter(|change| change.transaction.is_some())
    }

    /// Every change that the server tells of since the first that is staged, is staged once, in its order.
    pub(super) fn assert_exactly_once(&self, source: &Database<'_>) {
        let mut told = told_changes(source);
        let found: Vec<_> = self
            .streamed()
            .map(|change| (change.transaction.clone().unwrap(), change.op.clone(), change.stream.clone()))
            .collect();
        // The oracle's slot is older than ours.
        let (first, _, _) = found.first().unwrap();
        let begin = told.iter().position(|(transaction, _, _)| transaction == first).unwrap();
        let told = told.split_off(begin);
        let differs = told.iter().zip(&found).position(|(told, found)| told != found);
        assert_eq!(differs.map(|at| (&told[at], &found[at])), None, "another change was staged");
        assert_eq!(found.len(), told.len(), "changes were staged twice, or not at all");
    }

    /// In `append`: what was read at most once a generation and key, what was streamed exactly once from the generation's
    /// points on. Returns how many changes are there.
    fn assert_kept(&self, history: &Database<'_>) -> usize {
        let staged: BTreeMap<&str, &Staged> =
            self.0.iter().map(|change| (change.position.as_str(), change)).collect();
        let mut kept = 0;
        for table in TABLES {
            let rows =
                history.query(&format!("SELECT _tidemark_position, _tidemark_op FROM {table} ORDER BY 1"));
            let rows: Vec<_> =
                rows.into_iter().map(|row| (row[0].clone().unwrap(), row[1].clone().unwrap())).collect();
            let positions: HashSet<&str> = rows.iter().map(|(position, _)| position.as_str()).collect();
            assert_eq!(positions.len(), rows.len(), "`{table}` holds a change twice");
            // Where the last generation began, if it was not the first: a truncate that is no transaction's.
            let is_begin = |position: &str, op: &str| op == "t" && staged[position].transaction.is_none();
            let begin = rows
                .iter()
                .filter(|(position, op)| is_begin(position, op))
                .map(|(position, _)| position)
                .max();
            let read: Vec<_> =
                rows.iter().filter(|(position, op)| op == "r" && Some(position) > begin).collect();
            let point = read.iter().map(|(position, _)| &staged[position.as_str()].source_position).max();
            for (position, op) in &rows {
                assert_eq!(
                    (&staged[position.as_str()].op, staged[position.as_str()].stream.as_str()),
                    (op, table)
                );
            }
            let streamed = || self.streamed().filter(|change| change.stream == table);
            // A generation that found the table empty has no record that would tell its point. The first that is kept does, if it
            // follows what emptied the table.
            let first = streamed().position(|change| positions.contains(change.position.as_str()));
            let empty = first.and_then(|first| streamed().nth(first.checked_sub(1)?));
            let is_after = |change: &Staged| match (point, begin, empty) {
                (Some(point), ..) => change.source_position > *point,
                (None, None, Some(empty)) if empty.op == "t" => change.position > empty.position,
                (None, begin, _) => begin.is_none(),
            };
            let missing =
                streamed().find(|change| is_after(change) && !positions.contains(change.position.as_str()));
            assert!(
                missing.is_none(),
                "`{table}` misses the change {}",
                missing.map_or("", |change| &change.position)
            );
            kept += rows.len();
        }
        kept
    }
}

/// What the server tells by the slot `oracle`: transaction, operation and table of each change.
pub(super) fn told_changes(source: &Database<'_>) -> Vec<(String, String, String)> {
    let told = source.query("SELECT xid::text, data FROM pg_logical_slot_get_changes('oracle_' || current_database(), NULL, NULL)");
    told.iter().filter_map(|row| told_change(row[0].as_deref()?, row[1].as_deref()?)).collect()
}

/// What a line of `test_decoding` tells: transaction, operation and table, partitions as their root.
fn told_change(transaction: &str, line: &str) -> Option<(String, String, String)> {
    let (table, rest) = line.strip_prefix("table ")?.split_once(": ")?;
    let table = match table {
        "public.orders_old" | "public.orders_new" => "public.orders",
        table => table,
    };
    let op = match rest.split(':').next()? {
        "INSERT" => "c",
        "UPDATE" => "u",
        "DELETE" => "d",
        "TRUNCATE" => "t",
        _ => return None,
    };
    Some((transaction.to_owned(), op.to_owned(), table.to_owned()))
}
