//! PostgreSQL through the staging log into PostgreSQL, on servers of our own that sync to disk. Beside it what PostgreSQL's
//! own programs need.

mod catch_up;
mod drain;
mod idle;
mod initial_sync;
mod latency;
mod load;
mod orders;
mod parquet;
mod pipeline;
mod replay;
mod rest;
mod source;
mod subscription;
mod transaction;
mod watcher;

use std::{
    cell::OnceCell,
    thread,
    time::{Duration, Instant},
};

use tidemark_test_servers::{Database, Postgres};

use super::{kit::Kit, options::Work, report::Report};
use crate::{Result, measure::Running};

/// What a server is given that has work to do. Housekeeping that comes and goes would make runs differ.
const SETTINGS: [(&str, &str); 3] =
    [("shared_buffers", "256MB"), ("max_wal_size", "8GB"), ("autovacuum", "off")];

/// A server that is read and one that is written to: what is written is no burden on who reads the source's log.
struct Servers {
    source: Postgres,
    destination: Postgres,
}

/// Measures `works`, all of which are of PostgreSQL.
pub(super) fn measure(kit: &Kit<'_>, works: &[Work], report: &mut Report) -> Result {
    let server = || Postgres::with_settings(&SETTINGS);
    let servers = Servers { source: server(), destination: server() };
    let made = OnceCell::new();
    let orders = || made.get_or_init(|| orders::filled(&servers.source, kit.sizes.rows));
    for work in works {
        match work {
            Work::InitialSync => initial_sync::measure(kit, &servers, orders(), report)?,
            Work::Parquet => parquet::measure(kit, &servers, orders(), report)?,
            Work::Rest => rest::measure(kit, &servers, report)?,
            Work::Replay => replay::measure(kit, &servers, orders(), report)?,
            Work::Drain => drain::measure(kit, &servers, report)?,
            Work::CatchUp => catch_up::measure(kit, &servers, report)?,
            Work::Transaction => transaction::measure(kit, &servers, report)?,
            Work::Latency => latency::measure(kit, &servers, report)?,
            Work::Program => idle::measure(kit, &servers, report)?,
            // Of other kinds, and not in the list.
            Work::Postgres | Work::Flights | Work::Destinations | Work::Staging | Work::Micro => {}
        }
    }
    Ok(())
}

impl Servers {
    /// Leaves nothing of earlier work to be done during the next.
    fn settle(&self) {
        for server in [&self.source, &self.destination] {
            server.checkpoint();
        }
    }
}

/// The answer to a question with one answer.
fn value(database: &Database<'_>, question: &str) -> Result<String> {
    let rows = database.query(question);
    Ok(rows.into_iter().flatten().flatten().next().ok_or("a question had no answer")?)
}

/// Waits until `what` is there.
fn wait(what: &str, mut is_ready: impl FnMut() -> Result<bool>) -> Result {
    const PATIENCE: Duration = Duration::from_secs(120);
    let begun = Instant::now();
    while !is_ready()? {
        if begun.elapsed() > PATIENCE {
            return Err(format!("{what} did not get ready").into());
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Waits until the mirror that `program` fills has as many rows as its source.
fn wait_until_equal(program: &mut Running, source: &Database<'_>, mirror: &Database<'_>) -> Result {
    wait("the mirror", || {
        program.expect_running()?;
        let is_there = value(mirror, "SELECT to_regclass('orders') IS NOT NULL")? == "t";
        Ok(is_there && rows(source)? == rows(mirror)?)
    })
}

fn rows(database: &Database<'_>) -> Result<String> {
    value(database, "SELECT count(*) FROM orders")
}
