//! `cargo xtask simulate`: the engine's loops from many seeds, or again from the one that failed.

use std::process::Command;

use clap::{Args, ValueEnum};

use crate::{
    Result,
    project::Project,
    shell::{command, line},
};

/// Beyond so many seeds it is worth it to build with optimization.
const FEW: u64 = 2_000;

/// What to simulate, and from which seeds.
#[derive(Args)]
pub(crate) struct Simulate {
    /// What goes wrong; without one, everything does, one after another
    #[arg(value_enum)]
    simulation: Option<Simulation>,

    /// How many seeds of each simulation
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "seed")]
    seeds: u64,

    /// The first seed
    #[arg(long, value_name = "SEED", default_value_t = 0, conflicts_with = "seed")]
    from: u64,

    /// This seed alone
    #[arg(long)]
    seed: Option<u64>,
}

/// What goes wrong: each is a module of the engine's test `simulation`, which says more of it.
#[derive(Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Simulation {
    /// Processes die again and again, and calls fail, before or after they took effect
    Failing,
    /// The store is full, read-only, slow, or silent for a while
    AnyWeather,
    /// Two processes at once; one stands still past its replacement, and goes on
    Rivals,
    /// Calls that failed take effect when their process is dead; answers come after hours
    Late,
    /// The power goes: a disk loses what is not synced
    Power,
    /// An object's bits are flipped, its end is missing, or zeros stand there
    Damage,
    /// Destinations take hours while the log is folded, dropped, and removed
    SlowReaders,
    /// Nobody is waited for: what is old is dropped although somebody needs it
    LeftBehind,
    /// A destination refuses single changes
    Poison,
}

/// Every simulation from its first seeds.
pub(crate) fn each(project: &Project, seeds: u64) -> Result {
    simulate(project, &Simulate { simulation: None, seeds, from: 0, seed: None })
}

pub(crate) fn simulate(project: &Project, asked: &Simulate) -> Result {
    let seeds = match asked.seed {
        Some(seed) => seed..seed + 1,
        None => asked.from..asked.from.saturating_add(asked.seeds),
    };
    let all = Simulation::value_variants();
    let simulations = asked.simulation.as_ref().map_or(all, std::slice::from_ref);
    for simulation in simulations {
        let mut cargo = test(project, simulation, seeds.end - seeds.start > FEW);
        cargo.env("TIDEMARK_SEED", format!("{}..{}", seeds.start, seeds.end));
        let status = cargo.status().map_err(|error| format!("`{}` does not start: {error}", line(&cargo)))?;
        if !status.success() {
            return Err(format!("`{}` fails: see above for its seed", name(simulation)).into());
        }
    }
    Ok(())
}

/// The seeds of one simulation, with all that it prints.
fn test(project: &Project, simulation: &Simulation, is_optimized: bool) -> Command {
    let mut cargo =
        command("cargo", ["test", "--quiet", "--package", "tidemark-engine", "--test", "simulation"]);
    if is_optimized {
        cargo.arg("--release");
    }
    cargo.args(["--", "--nocapture", "--test-threads", "1", &format!("{}::", name(simulation))]);
    cargo.current_dir(project.root());
    cargo
}

fn name(simulation: &Simulation) -> String {
    simulation.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
