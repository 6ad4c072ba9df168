//! `cargo xtask reliability`: what `docs/reliability.md` claims, tried longer than `cargo xtask test` does.

use std::process::Command;

use clap::Args;

use crate::{
    Result, docs, fuzz,
    needs::{self, CLOUDS, Need},
    planted,
    project::Project,
    shell::{command, run},
    simulate,
    steps::Steps,
};

/// Scenarios in which something is broken on purpose, beside the campaign.
const SCENARIOS: [&str; 15] = [
    "clock::",
    "damaged::",
    "flushed::",
    "full_destinations::",
    "postgres::convergence::",
    "postgres::fencing::",
    "postgres::meddled::",
    "postgres::network::",
    "postgres::outages::",
    "postgres::restored::",
    "postgres::slot::",
    "postgres::stopped::",
    "staging::",
    "stores::",
    "troubled_disk::",
];

#[derive(Args)]
pub(crate) struct Options {
    /// How many seeds of each simulation
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// How many processes the campaign kills
    #[arg(long, default_value_t = 200)]
    kills: u64,
    /// What random choices of scenarios begin with, to see a failure again; else each takes its own and prints it
    #[arg(long)]
    seed: Option<u64>,
    /// Seconds for each target of the fuzzing
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    fuzz: u64,
}

/// Runs each part one after another, all of them even when one fails.
pub(crate) fn prove(project: &Project, install: bool, options: &Options) -> Result {
    let own = [Need::Flights, Need::Postgres, Need::Readers, Need::TextTools, Need::CppCompiler];
    needs::meet(project, &[&own[..], &CLOUDS].concat(), install, "cargo xtask reliability")?;
    let mut steps = Steps::default();
    steps.step("Tests that the documents name", || docs::check(project));
    steps.step("Simulation", || simulate::each(project, options.seeds));
    steps.step("Campaign", || {
        let mut campaign = scenarios(project, options);
        campaign.env("TIDEMARK_KILLS", options.kills.to_string());
        run(campaign.args(["--", "--nocapture", "postgres::campaign::"]))
    });
    steps.step("Scenarios of failure", || {
        let mut failures = scenarios(project, options);
        run(failures.arg("--").args(SCENARIOS))
    });
    steps.step("Planted bugs", || planted::plant(project, install, &[]));
    steps.step("Fuzzing", || fuzz::each(project, options.fuzz, None));
    steps.summary()
}

fn scenarios(project: &Project, options: &Options) -> Command {
    let mut tests = command("cargo", ["test", "--package", "tidemark", "--test", "scenarios"]);
    tests.current_dir(project.root()).env("TIDEMARK_TEST_DATA", project.test_data());
    if let Some(seed) = options.seed {
        tests.env("TIDEMARK_SEED", seed.to_string());
    }
    tests
}
