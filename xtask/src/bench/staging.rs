//! `cargo xtask bench staging`: a million commits of one small change each, while the log is kept in order beside them. What must not
//! grow with them is the number of objects and the time it takes to open the log. No figure is printed before every change has been
//! read back once.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use super::build;
use crate::{
    Result,
    measure::measure,
    project::Project,
    shell::{command, read, run},
};

const PIPELINE: &str = "name: bench
source: {type: files, path: ./data, streams: {numbers: {files: '*.csv'}}}
staging: ./staging
destinations:
  copy: {type: sqlite, path: ./copy.db, write: append}
";

pub(crate) fn staging(project: &Project, commits: u64, folder: Option<PathBuf>) -> Result {
    build(project)?;
    let example = ["build", "--release", "--package", "tidemark-engine", "--example", "small_commits"];
    run(command("cargo", example).current_dir(project.root()))?;
    let folder = folder.unwrap_or_else(|| project.target("bench/staging"));
    if folder.exists() {
        return Err(format!("`{}` exists: remove it, or name another folder", folder.display()).into());
    }
    fs::create_dir_all(folder.join("data"))?;
    fs::write(folder.join("pipeline.yaml"), PIPELINE)?;

    let log = folder.join("staging/bench");
    let program = project.target("release/examples/small_commits");
    let said =
        read(command(program, [log.as_os_str(), commits.to_string().as_ref()]).stderr(Stdio::inherit()))?;
    println!(
        "{commits} commits of one small change, each durable before the next; every change read back once\n"
    );
    println!("{said}");
    println!("tidemark status    {:>9.1} ms", status(project, &folder)?.as_secs_f64() * 1e3);
    fs::remove_dir_all(&folder)?;
    Ok(())
}

/// How long the program needs to say how the pipeline is, the quickest of five times.
fn status(project: &Project, folder: &Path) -> Result<Duration> {
    let mut quickest = Duration::MAX;
    for _ in 0..5 {
        let mut status = command(project.target("dist/tidemark"), ["status", "pipeline.yaml"]);
        status.current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
        quickest = quickest.min(measure(&mut status)?.wall);
    }
    Ok(quickest)
}
