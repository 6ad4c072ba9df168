//! Where and on what was measured.

use std::{fs, thread};

use super::kit::Kit;
use crate::{
    Result,
    shell::{command, read},
};

/// One line about the machine, the day and the program.
pub(super) fn description(kit: &Kit<'_>) -> Result<String> {
    let git = |arguments: &[&str]| -> Result<String> {
        Ok(read(command("git", arguments).current_dir(kit.project.root()))?.trim().to_owned())
    };
    let changed = if git(&["status", "--porcelain", "--untracked-files=no"])?.is_empty() {
        ""
    } else {
        " with changes"
    };
    let runs = if kit.runs == 1 { "one run".to_owned() } else { format!("the medians of {} runs", kit.runs) };
    Ok(format!(
        "Measured on {} on {} cores of {}, {:.0} GiB of memory, {}; revision {}{changed}, profile `{}`, {runs}.",
        read(command("date", ["-u", "+%e %B %Y, %H:%M UTC"]).env("LC_ALL", "C"))?.trim(),
        thread::available_parallelism()?,
        field("/proc/cpuinfo", "model name")?,
        field("/proc/meminfo", "MemTotal")?.trim_end_matches(" kB").parse::<f64>()? / f64::from(1 << 20),
        field("/etc/os-release", "PRETTY_NAME")?,
        git(&["rev-parse", "--short", "HEAD"])?,
        kit.profile,
    ))
}

/// The first value of `name` in a file of `name : value` or `name=value` lines.
fn field(file: &str, name: &str) -> Result<String> {
    let text = fs::read_to_string(file)?;
    let line = text.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.split_once([':', '=']));
    Ok(value.ok_or_else(|| format!("{file} has no {name}"))?.1.trim().trim_matches('"').to_owned())
}
