//! A table that is staged, into a database: a destination that takes no part in runs, and `tidemark replay`. Beside it a COPY
//! from a binary file into a table with the same key.

use std::{fs, path::Path, process::Command};

use tidemark_test_servers::{Database, Postgres};

use super::{
    super::{
        kit::Kit,
        report::{Comparison, Pair, Report},
    },
    Servers, orders,
    pipeline::Pipeline,
};
use crate::{
    Result,
    measure::measure as usage,
    shell::{command, run},
};

pub(super) fn measure(
    kit: &Kit<'_>,
    servers: &Servers,
    source: &Database<'_>,
    report: &mut Report,
) -> Result {
    let rows = kit.sizes.rows;
    let pipeline = Pipeline::new(kit, "replay", source)?;
    let file = pipeline.folder().join("orders.copy");
    run(&mut copy_out(source, &file))?;
    pipeline.stages(&servers.destination.database())?;
    let (_, staged) = pipeline.run()?;
    let pairs = kit.pairs(|_| {
        let (limit, mirror) = (servers.destination.database(), servers.destination.database());
        orders::make(&limit);
        servers.settle();
        let copied = usage(&mut copy_in(&file, &limit))?.wall;

        pipeline.stages(&mirror)?;
        servers.settle();
        let ours = pipeline.replay()?;

        orders::compare(source, &[&limit, &mirror])?;
        orders::empty(&[&limit, &mirror]);
        Ok(Pair { limit: Some(copied), ours, staged })
    })?;
    fs::remove_file(file)?;
    pipeline.end(source)?;
    report.compared(Comparison {
        work: format!("Replay of {rows} staged rows into PostgreSQL"),
        unit: "row",
        count: rows,
        limit: "psql COPY (binary) from a file",
        pairs,
    });
    Ok(())
}

fn copy_out(from: &Database<'_>, file: &Path) -> Command {
    let script = r#""$1" -qd "$2" -c 'COPY orders TO STDOUT (FORMAT binary)' > "$3""#;
    copy(script, from, file)
}

fn copy_in(file: &Path, to: &Database<'_>) -> Command {
    let script = r#""$1" -qd "$2" -c 'COPY orders FROM STDIN (FORMAT binary)' < "$3""#;
    copy(script, to, file)
}

fn copy(script: &str, database: &Database<'_>, file: &Path) -> Command {
    let mut copy = command("sh", ["-c", script, "copy"]);
    copy.arg(Postgres::program("psql")).arg(database.url()).arg(file);
    copy
}
