//! A database, its mirror and its history, and the pipeline that keeps them.

use serde_json::Value as Json;
use tidemark_test_servers::{Database, Postgres};

use super::{comparison::assert_equal, destination, pipeline, value};
use crate::{process::Outcome, workbench::Workbench};

/// Two destinations: `mirror`, and `history` in mode `append`.
pub(super) struct Kept<'s> {
    pub(super) bench: Workbench,
    pub(super) source: Database<'s>,
    pub(super) mirror: Database<'s>,
    pub(super) history: Database<'s>,
}

impl<'s> Kept<'s> {
    /// A new database with `tables`, all of them read.
    pub(super) fn of(server: &'s Postgres, tables: &str) -> Self {
        Self::streams(server, tables, "[\"public.*\"]")
    }

    /// A new database with `tables`, of which `streams` are read.
    pub(super) fn streams(server: &'s Postgres, tables: &str, streams: &str) -> Self {
        let (source, mirror, history) = (server.database(), server.database(), server.database());
        source.execute(tables);
        let destinations =
            destination("mirror", &mirror, "mirror") + &destination("history", &history, "append");
        let bench = pipeline(&source, streams, &destinations);
        Self { bench, source, mirror, history }
    }

    /// Everything that the source has now is everywhere.
    pub(super) fn catch_up(&self) -> Outcome {
        self.bench.tidemark("run pipeline.yaml --once").succeeds()
    }

    /// The mirror's tables hold what the source's do.
    pub(super) fn assert_mirrored(&self, tables: &[&str]) {
        for table in tables {
            assert_equal(&self.source, &self.mirror, &format!("public.{table}"));
        }
    }

    /// A value of the source.
    pub(super) fn of_source(&self, sql: &str) -> String {
        value(&self.source, sql)
    }

    /// A value of the mirror.
    pub(super) fn of_mirror(&self, sql: &str) -> String {
        value(&self.mirror, sql)
    }

    /// A value of the history.
    pub(super) fn of_history(&self, sql: &str) -> String {
        value(&self.history, sql)
    }
}

/// The staged changes of a table, in the log's order.
pub(super) fn staged(bench: &Workbench, table: &str) -> Vec<Json> {
    let lines = bench.tidemark(&format!("changes pipeline.yaml --json --stream public.{table}")).succeeds();
    let changes = lines.stdout.lines().map(|line| serde_json::from_str(line).unwrap());
    let mut changes: Vec<Json> = changes.collect();
    changes.sort_by(|a, b| a["position"].as_str().cmp(&b["position"].as_str()));
    changes
}

/// The operations of the staged changes of a table, in the log's order: `rrcud`.
pub(super) fn ops(bench: &Workbench, table: &str) -> String {
    staged(bench, table).iter().map(|change| change["op"].as_str().unwrap().to_owned()).collect()
}

/// The number of the log's last commit.
pub(super) fn commit(bench: &Workbench) -> u64 {
    let status = bench.tidemark("status pipeline.yaml --json").succeeds().stdout;
    serde_json::from_str::<Json>(&status).unwrap()["log"]["commit"].as_u64().unwrap()
}

/// The slot that the database's log is kept for, once nobody reads from it: a server notices later than others that its client is gone.
pub(super) fn slot(source: &Database<'_>) -> String {
    source.execute(UNTIL_NOBODY_READS);
    let of_ours = "WHERE database = current_database() AND NOT temporary";
    value(source, &format!("SELECT slot_name FROM pg_replication_slots {of_ours}"))
}

/// A statement that waits until nobody reads from a slot of this database.
const UNTIL_NOBODY_READS: &str = "SET statement_timeout = '60s';
    DO $$ BEGIN
        WHILE EXISTS (SELECT FROM pg_replication_slots WHERE database = current_database() AND active) LOOP
            PERFORM pg_sleep(0.02);
        END LOOP;
    END $$;
    RESET statement_timeout";

/// What the server says of that slot.
pub(super) fn of_slot(source: &Database<'_>, sql: &str) -> String {
    value(
        source,
        &format!(
            "SELECT {sql} FROM pg_replication_slots WHERE database = current_database() AND NOT temporary"
        ),
    )
}
