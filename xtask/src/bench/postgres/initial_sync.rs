//! A table as it is, from one database through the staging log into another; beside it a COPY into a COPY, which stages nothing.

use std::process::Command;

use tidemark_test_servers::{Database, Postgres};

use super::{super::report::Comparison, orders, pipeline::Pipeline, settle};
use crate::{Result, measure::measure, project::Project, shell::command};

pub(super) fn compare(project: &Project, server: &Postgres, rows: u64) -> Result {
    let (source, limit, mirror) = (server.database(), server.database(), server.database());
    orders::make(&source);
    orders::make(&limit);
    orders::fill(&source, 1, rows);

    settle(&source);
    let copied = measure(&mut copy(&source, &limit))?;
    settle(&source);
    let pipeline = Pipeline::new(project, "initial_sync", &source, &mirror, true)?;
    let ours = pipeline.run()?;
    orders::compare(&source, &[&limit, &mirror])?;

    Comparison {
        work: format!("Initial sync of {rows} rows: PostgreSQL -> staging -> PostgreSQL"),
        unit: "row",
        count: rows,
        ours,
        limit: ("psql COPY (binary) | psql COPY (binary)", copied.wall),
        staged: pipeline.staged_bytes()?,
    }
    .print();
    Ok(())
}

/// The rows of `orders` through a pipe, into a table with the same key.
pub(super) fn copy(from: &Database<'_>, to: &Database<'_>) -> Command {
    let script = r#""$1" -qd "$2" -c 'COPY orders TO STDOUT (FORMAT binary)' |
        "$1" -qd "$3" -c 'COPY orders FROM STDIN (FORMAT binary)'"#;
    let mut copy = command("sh", ["-c", script, "copy"]);
    copy.arg(Postgres::program("psql")).args([from.url(), to.url()]);
    copy
}
