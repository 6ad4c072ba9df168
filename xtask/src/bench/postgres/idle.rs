//! What a pipeline takes that has nothing to do.

use std::{thread, time::Duration};

use super::{
    super::{
        kit::Kit,
        report::{Report, mebibytes},
    },
    Servers, orders,
    pipeline::Pipeline,
    wait_until_equal,
};
use crate::Result;

/// Rows that it has read before.
const ROWS: u64 = 1_000;

pub(super) fn measure(kit: &Kit<'_>, servers: &Servers, report: &mut Report) -> Result {
    let source = orders::filled(&servers.source, ROWS);
    let mirror = servers.destination.database();
    let pipeline = Pipeline::new(kit, "idle", &source)?;
    pipeline.mirrors(&mirror)?;
    let mut program = pipeline.start()?;
    wait_until_equal(&mut program, &source, &mirror)?;
    let while_idle = Duration::from_secs(kit.sizes.seconds);
    let before = program.cpu()?;
    thread::sleep(while_idle);
    let cpu = (program.cpu()? - before).as_secs_f64() / while_idle.as_secs_f64();
    let memory = program.memory()?;
    program.stop()?;
    orders::compare(&source, &[&mirror])?;
    pipeline.end(&source)?;
    report.fact(
        format!("`tidemark run`, PostgreSQL to PostgreSQL, after {while_idle:?} without any change"),
        format!("{:.1} MiB of memory, {:.2} % of a core", mebibytes(memory), cpu * 100.0),
    );
    Ok(())
}
