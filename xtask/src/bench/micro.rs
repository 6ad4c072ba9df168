//! Benchmarks of single functions, in `benches/` of the crates. They print for themselves.

use crate::{
    Result,
    project::Project,
    shell::{command, run},
};

const BENCHES: [&str; 3] = ["codecs", "log", "postgres"];

/// Measures.
pub(super) fn measure(project: &Project) -> Result {
    cargo(project, "bench")
}

/// Runs each once, as the tests are built.
pub(crate) fn once(project: &Project) -> Result {
    cargo(project, "test")
}

fn cargo(project: &Project, what: &str) -> Result {
    let benches = BENCHES.iter().flat_map(|bench| ["--bench", bench]);
    run(command("cargo", [what, "--workspace"]).args(benches).current_dir(project.root()))
}
