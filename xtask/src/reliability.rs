//! `cargo xtask reliability`: what `docs/reliability.md` claims, tried longer than `cargo xtask test` does.

use std::process::Command;

use crate::{
    Result, docs,
    needs::{self, CLOUDS, Need},
    project::Project,
    shell::{command, run},
    steps::Steps,
};

/// Scenarios in which something is broken on purpose, beside the campaign.
const SCENARIOS: [&str; 14] = [
    "clock::",
    "damaged::",
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

/// How long, and from where.
pub(crate) struct Extent {
    /// Processes that the campaign kills.
    pub(crate) kills: u64,
    /// What random choices begin with; without one each scenario takes its own and prints it.
    pub(crate) seed: Option<u64>,
}

/// Runs each part one after another, all of them even when one fails.
pub(crate) fn prove(project: &Project, install: bool, extent: &Extent) -> Result {
    needs::meet(project, &[&[Need::Postgres][..], &CLOUDS].concat(), install, "cargo xtask reliability")?;
    let mut steps = Steps::default();
    steps.step("Tests that the documents name", || docs::check(project));
    steps.step("Simulation", || run(&mut tests(project, "tidemark-engine", "simulation")));
    steps.step("Campaign", || {
        let mut campaign = scenarios(project, extent);
        campaign.env("TIDEMARK_KILLS", extent.kills.to_string());
        run(campaign.args(["--", "--nocapture", "postgres::campaign::"]))
    });
    steps.step("Scenarios of failure", || {
        let mut failures = scenarios(project, extent);
        run(failures.arg("--").args(SCENARIOS))
    });
    steps.summary()
}

fn scenarios(project: &Project, extent: &Extent) -> Command {
    let mut tests = tests(project, "tidemark", "scenarios");
    if let Some(seed) = extent.seed {
        tests.env("TIDEMARK_SEED", seed.to_string());
    }
    tests
}

fn tests(project: &Project, package: &str, tests: &str) -> Command {
    let mut cargo = command("cargo", ["test", "--package", package, "--test", tests]);
    cargo.current_dir(project.root()).env("TIDEMARK_TEST_DATA", project.test_data());
    cargo
}
