//! Benchmarks: the real binary beside a limit that a simpler program reaches in the same run. No rate is printed before the
//! results are known to be right.

mod destinations;
mod flights;
mod kit;
mod latency;
mod machine;
mod micro;
mod options;
mod postgres;
mod program;
mod report;
mod staging;

pub(crate) use micro::once as micro_once;
pub(crate) use options::Options;

use crate::{
    Result,
    needs::{self, Need},
    project::Project,
};
use kit::Kit;
use options::Work;
use report::Report;

/// Builds the program and measures what `options` name.
pub(crate) fn run(project: &Project, install: bool, options: &Options) -> Result {
    needs::meet(project, &needs(options), install, "cargo xtask bench")?;
    if options.wants(Work::Micro) {
        micro::measure(project)?;
    }
    if !options.wants_more_than(Work::Micro) {
        return Ok(());
    }
    let kit = Kit::new(project, options);
    kit.build()?;
    if options.wants(Work::Staging) {
        staging::build(&kit)?;
    }
    measure(project, options)
}

/// What must be there for what `options` name.
fn needs(options: &Options) -> Vec<Need> {
    let mut needs = Vec::new();
    if !options.of_postgres().is_empty() {
        needs.push(Need::Postgres);
    }
    if options.wants(Work::Rest) {
        needs.push(Need::Nginx);
    }
    if options.wants(Work::Parquet) {
        needs.push(Need::TextTools);
    }
    if options.wants(Work::Flights) {
        needs.extend([Need::Flights, Need::Sqlite3]);
    }
    if options.wants(Work::Destinations) {
        needs.extend([Need::Mariadb, Need::Nats, Need::RabbitMq, Need::Redis, Need::Tansu]);
    }
    needs
}

/// Measures what `options` name, with what has been built.
pub(crate) fn measure(project: &Project, options: &Options) -> Result {
    let kit = Kit::new(project, options);
    let mut report = Report::default();
    let of_postgres = options.of_postgres();
    if !of_postgres.is_empty() {
        postgres::measure(&kit, &of_postgres, &mut report)?;
    }
    if options.wants(Work::Flights) {
        flights::measure(&kit, &mut report)?;
    }
    if options.wants(Work::Destinations) {
        destinations::measure(&kit, &mut report)?;
    }
    if options.wants(Work::Staging) {
        staging::measure(&kit, options.folder.clone(), &mut report)?;
    }
    if options.wants(Work::Program) {
        program::measure(&kit, &mut report)?;
    }
    println!("\n{}", machine::description(&kit)?);
    report.print();
    Ok(())
}
