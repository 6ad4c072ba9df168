//! A table as it is, from one database through the staging log into another; beside it a COPY into a COPY, which stages nothing.

use std::process::Command;

use tidemark_test_servers::{Database, Postgres};

use super::{
    super::{
        kit::Kit,
        report::{Comparison, Pair, Report},
    },
    Servers, orders,
    pipeline::Pipeline,
};
use crate::{Result, measure::measure as usage, shell::command};

pub(super) fn measure(
    kit: &Kit<'_>,
    servers: &Servers,
    source: &Database<'_>,
    report: &mut Report,
) -> Result {
    let rows = kit.sizes.rows;
    let pairs = kit.pairs(|run| {
        let (limit, mirror) = (servers.destination.database(), servers.destination.database());
        orders::make(&limit);
        servers.settle();
        let copied = usage(&mut copy(source, &limit))?.wall;

        let pipeline = Pipeline::new(kit, &format!("initial_sync_{run}"), source)?;
        pipeline.mirrors(&mirror)?;
        servers.settle();
        let (ours, staged) = pipeline.run()?;

        orders::compare(source, &[&limit, &mirror])?;
        pipeline.end(source)?;
        orders::empty(&[&limit, &mirror]);
        Ok(Pair { limit: Some(copied), ours, staged })
    })?;
    report.compared(Comparison {
        work: format!("Initial sync of {rows} rows: PostgreSQL -> staging -> PostgreSQL"),
        unit: "row",
        count: rows,
        limit: "psql COPY (binary) into psql COPY (binary)",
        pairs,
    });
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
