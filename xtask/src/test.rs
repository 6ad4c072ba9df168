//! `cargo xtask test`: everything that must hold before a change lands.

use std::{process::Command, thread};

use crate::{
    Result, bench, docs, fuzz,
    needs::{self, CLOUDS, Need, cargo_deny},
    planted,
    project::Project,
    shell::{command, run},
    steps::Steps,
};

pub(crate) fn everything(project: &Project, install: bool) -> Result {
    let own = [
        Need::Flights,
        Need::CargoDeny,
        Need::Sqlite3,
        Need::Postgres,
        Need::Mosquitto,
        Need::Mariadb,
        Need::Nginx,
        Need::Readers,
        Need::TextTools,
        Need::CppCompiler,
    ];
    let brokers = [Need::Nats, Need::Tansu, Need::RabbitMq, Need::Redis, Need::ServiceBusClient];
    let needs = [&own[..], &CLOUDS, &brokers, &[Need::Cap, Need::Roundup, Need::Radicale]].concat();
    needs::meet(project, &needs, install, "cargo xtask test")?;
    let mut steps = Steps::default();
    steps.step("Format", || run(&mut cargo(project, &["fmt", "--check"])));
    steps.step("Links, tests that are named, the README's pipeline file", || docs::check(project));
    steps.step("Licences and sources of dependencies", || {
        run(cargo_deny(project).args(["--log-level", "error", "check", "licenses", "bans", "sources"]))
    });
    steps.step("Lints", || {
        run(&mut cargo(project, &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
    });
    steps.step("Documentation", || {
        run(cargo(project, &["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
    });
    steps.step("Tests", || {
        let mut tests = cargo(project, &["test", "--workspace", "--no-fail-fast"]);
        tests.env("TIDEMARK_TEST_DATA", project.test_data());
        run(tests.env("RUST_TEST_THREADS", tests_at_once().to_string()))
    });
    steps.step("Micro-benchmarks, each once", || bench::micro_once(project));
    // With the binaries that the tests have built.
    steps.step("Benchmarks on little data: are the results right?", || {
        bench::measure(project, &bench::Options::small())
    });
    steps.step("Planted bugs", || planted::sample(project));
    steps.step("Fuzzing, a moment for each target", || fuzz::briefly(project));
    steps.summary()
}

/// Most of what a scenario takes is waiting for a server.
fn tests_at_once() -> usize {
    2 * thread::available_parallelism().map_or(1, usize::from)
}

fn cargo(project: &Project, arguments: &[&str]) -> Command {
    let mut cargo = command("cargo", arguments);
    cargo.current_dir(project.root());
    cargo
}
