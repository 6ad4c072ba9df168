//! A table as it is, into the staging log alone: Parquet files. Beside it a COPY into zstd, whose file is flushed to the disk.

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
use crate::{Result, measure::measure as usage, shell::command};

pub(super) fn measure(
    kit: &Kit<'_>,
    servers: &Servers,
    source: &Database<'_>,
    report: &mut Report,
) -> Result {
    let rows = kit.sizes.rows;
    let pairs = kit.pairs(|run| {
        let mirror = servers.destination.database();
        let pipeline = Pipeline::new(kit, &format!("parquet_{run}"), source)?;
        pipeline.stages(&mirror)?;
        let file = pipeline.folder().join("orders.zst");
        servers.settle();
        let copied = usage(&mut compress(source, &file))?.wall;
        fs::remove_file(file)?;

        servers.settle();
        let (ours, staged) = pipeline.run()?;

        pipeline.replay()?;
        orders::compare(source, &[&mirror])?;
        pipeline.end(source)?;
        orders::empty(&[&mirror]);
        Ok(Pair { limit: Some(copied), ours, staged })
    })?;
    report.compared(Comparison {
        work: format!("Initial sync of {rows} rows: PostgreSQL -> staging as Parquet"),
        unit: "row",
        count: rows,
        limit: "psql COPY (binary) into zstd -1, fsync",
        pairs,
    });
    Ok(())
}

/// The rows of `orders` through a pipe, into a compressed file.
fn compress(from: &Database<'_>, file: &Path) -> Command {
    let script =
        r#""$1" -qd "$2" -c 'COPY orders TO STDOUT (FORMAT binary)' | zstd -q -1 -o "$3" && sync "$3""#;
    let mut compress = command("sh", ["-c", script, "compress"]);
    compress.arg(Postgres::program("psql")).arg(from.url()).arg(file);
    compress
}
