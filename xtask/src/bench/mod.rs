//! Benchmarks: the real binary beside a limit that a simpler program reaches in the same run. No rate is printed before the
//! results are known to be right.

mod flights;
mod postgres;
mod report;
mod staging;

pub(crate) use flights::flights;
pub(crate) use postgres::postgres;
pub(crate) use staging::staging;

use crate::{
    Result,
    project::Project,
    shell::{command, run},
};

/// Builds the binary as it is shipped.
fn build(project: &Project) -> Result {
    run(command("cargo", ["build", "--profile", "dist", "--package", "tidemark"]).current_dir(project.root()))
}
