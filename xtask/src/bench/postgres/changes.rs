//! Changes that were made before, from the replication slot into the staging log; beside it `pg_recvlogical`, which reads the
//! same changes from a slot of its own and keeps nothing. And on into another database; beside it the server's own logical
//! replication.

use std::{
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tidemark_test_servers::{Database, Postgres};

use super::{super::report::Comparison, initial_sync, orders, pipeline::Pipeline, settle};
use crate::{
    Result,
    measure::measure,
    project::Project,
    shell::{command, run},
};

/// Rows that are there before the first change.
const EARLY: u64 = 100_000;
/// The size of transactions in the catch-up.
const CATCH_UP: u64 = 10;

/// A source, and how many rows its table has been given numbers for.
struct Source<'s> {
    database: Database<'s>,
    next: u64,
}

pub(super) fn compare(project: &Project, server: &Postgres, rows: u64) -> Result {
    let mut source = Source { database: server.database(), next: EARLY + 1 };
    let (mirror, caught_up, native) = (server.database(), server.database(), server.database());
    orders::make(&source.database);
    orders::fill(&source.database, 1, EARLY);
    source.database.execute("CREATE PUBLICATION others FOR TABLE orders");
    let drain = Pipeline::new(project, "drain", &source.database, &mirror, false)?;
    drain.run()?;
    source.make_slot("peer");

    let mut comparisons = Vec::new();
    let changes = rows / 4;
    for per_transaction in [1, CATCH_UP, 1000] {
        let is_caught_up = per_transaction == CATCH_UP;
        let catch_up = Pipeline::new(project, "catch_up", &source.database, &caught_up, true)?;
        if is_caught_up {
            catch_up.run()?;
            subscribe(&source, &native)?;
        }
        source.change(changes, per_transaction);
        let work = format!("Drain of {changes} changes into staging, {per_transaction} a transaction");
        comparisons.push(source.drain(work, changes, &drain)?);
        if is_caught_up {
            let work = format!(
                "Catch-up with {changes} changes, {per_transaction} a transaction, PostgreSQL -> staging -> PostgreSQL"
            );
            comparisons.push(source.catch_up(work, changes, &catch_up, &native)?);
            orders::compare(&source.database, &[&caught_up, &native])?;
            native.execute("DROP SUBSCRIPTION native");
        }
    }
    let large = rows / 2;
    source.change(large, large);
    comparisons.push(source.drain(
        format!("Drain of {large} changes into staging, one transaction"),
        large,
        &drain,
    )?);

    drain.replay()?;
    orders::compare(&source.database, &[&mirror])?;
    comparisons.iter().for_each(Comparison::print);
    Ok(())
}

impl Source<'_> {
    fn make_slot(&self, slot: &str) {
        self.database.query(&format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')"));
    }

    fn change(&mut self, changes: u64, per_transaction: u64) {
        orders::change(&self.database, self.next, changes, per_transaction);
        self.next += changes;
        settle(&self.database);
    }

    /// Reads everything from both slots.
    fn drain(&self, work: String, count: u64, pipeline: &Pipeline) -> Result<Comparison> {
        let received = measure(&mut self.receive())?;
        let staged = pipeline.staged_bytes()?;
        let ours = pipeline.run()?;
        let staged = pipeline.staged_bytes()? - staged;
        Ok(Comparison {
            work,
            unit: "change",
            count,
            ours,
            limit: ("pg_recvlogical (pgoutput) into nothing", received.wall),
            staged,
        })
    }

    fn catch_up(
        &self,
        work: String,
        count: u64,
        pipeline: &Pipeline,
        native: &Database<'_>,
    ) -> Result<Comparison> {
        settle(&self.database);
        let replicated = self.replicate(native)?;
        settle(&self.database);
        let staged = pipeline.staged_bytes()?;
        let ours = pipeline.run()?;
        let staged = pipeline.staged_bytes()? - staged;
        Ok(Comparison {
            work,
            unit: "change",
            count,
            ours,
            limit: ("logical replication of PostgreSQL, asynchronous commit", replicated),
            staged,
        })
    }

    /// Reads the other slot up to where the server's log ends.
    fn receive(&self) -> Command {
        let mut receive =
            command(Postgres::program("pg_recvlogical"), ["--start", "--no-loop", "--slot", "peer"]);
        receive.args([
            "--option",
            "proto_version=1",
            "--option",
            "publication_names=others",
            "--file",
            "/dev/null",
        ]);
        receive.args(["--endpos", &self.end(), "--dbname", &self.database.url()]).stderr(Stdio::null());
        receive
    }

    /// Lets the subscription run until it has everything, and tells how long that took.
    fn replicate(&self, subscriber: &Database<'_>) -> Result<Duration> {
        let end = self.end();
        let start = Instant::now();
        subscriber.execute("ALTER SUBSCRIPTION native ENABLE");
        let question = format!(
            "SELECT confirmed_flush_lsn >= '{end}' FROM pg_replication_slots WHERE slot_name = 'native'"
        );
        while value(&self.database, &question)? != "t" {
            thread::sleep(Duration::from_millis(20));
        }
        Ok(start.elapsed())
    }

    /// The end of the server's log.
    fn end(&self) -> String {
        value(&self.database, "SELECT pg_current_wal_flush_lsn()").unwrap_or_default()
    }
}

/// A subscription that has the rows as they are, and does not run.
fn subscribe(source: &Source<'_>, subscriber: &Database<'_>) -> Result {
    orders::make(subscriber);
    source.make_slot("native");
    run(&mut initial_sync::copy(&source.database, subscriber))?;
    subscriber.execute(&format!(
        "CREATE SUBSCRIPTION native CONNECTION '{}' PUBLICATION others
         WITH (create_slot = false, slot_name = native, enabled = false, copy_data = false, synchronous_commit = off)",
        source.database.url()
    ));
    Ok(())
}

fn value(database: &Database<'_>, sql: &str) -> Result<String> {
    let rows = database.query(sql);
    Ok(rows.into_iter().flatten().flatten().next().ok_or("a question had no answer")?)
}
