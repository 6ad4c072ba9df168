//! Many commits of one small change each, while the log is kept in order beside them. What must not
//! grow with them is the number of objects and the time it takes to open the log. No figure is printed before every change has been
//! read back once.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use super::{kit::Kit, report::Report};
use crate::{
    Result,
    measure::time,
    shell::{command, read, run},
};

const PIPELINE: &str = "name: bench
source: {type: files, path: ./data, streams: {numbers: {files: '*.csv'}}}
staging: ./staging
destinations:
  copy: {type: sqlite, path: ./copy.db, write: append}
";

/// Builds the program that makes the commits: without optimisation where that is what there is, else as for release.
pub(super) fn build(kit: &Kit<'_>) -> Result {
    let example =
        ["build", "--profile", profile(kit), "--package", "tidemark-engine", "--example", "small_commits"];
    run(command("cargo", example).current_dir(kit.project.root()))
}

fn profile(kit: &Kit<'_>) -> &'static str {
    if kit.profile == "dev" { "dev" } else { "release" }
}

/// `folder` is where the log goes, unless it goes where the others do.
pub(super) fn measure(kit: &Kit<'_>, folder: Option<PathBuf>, report: &mut Report) -> Result {
    let commits = kit.sizes.commits;
    let folder = match folder {
        Some(folder) if folder.exists() => {
            return Err(format!("`{}` exists: remove it, or name another folder", folder.display()).into());
        }
        Some(folder) => folder,
        None => kit.fresh_folder("staging")?,
    };
    fs::create_dir_all(folder.join("data"))?;
    fs::write(folder.join("pipeline.yaml"), PIPELINE)?;

    let log = folder.join("staging/bench");
    let program = kit.built_with(profile(kit), "examples/small_commits");
    let said =
        read(command(program, [log.as_os_str(), commits.to_string().as_ref()]).stderr(Stdio::inherit()))?;
    println!(
        "{commits} commits of one small change, each durable before the next; every change read back once"
    );
    for line in said.lines() {
        report.fact("A log of small commits", line.trim_matches(['{', '}']).replace('"', ""));
    }
    let status = status(kit, &folder)?.as_secs_f64() * 1e3;
    report.fact(format!("`tidemark status` after {commits} small commits"), format!("{status:.1} ms"));
    Ok(fs::remove_dir_all(&folder)?)
}

/// How long the program needs to say how the pipeline is, the quickest of five times.
fn status(kit: &Kit<'_>, folder: &Path) -> Result<Duration> {
    let mut quickest = Duration::MAX;
    for _ in 0..5 {
        let mut status = command(kit.program(), ["status", "pipeline.yaml"]);
        status.current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
        quickest = quickest.min(time(&mut status)?);
    }
    Ok(quickest)
}
