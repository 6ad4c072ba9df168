//! The program itself: how large it is, how soon it has started, and what it takes when there is nothing to do.

use std::{fs, process::Stdio};

use super::{kit::Kit, latency::Latency, report::Report};
use crate::{Result, measure::time, shell::command};

const PIPELINE: &str = "name: bench
source: {type: files, path: ./data, streams: {numbers: {files: '*.csv'}}}
staging: ./staging
destinations:
  copy: {type: sqlite, path: ./copy.db, write: append}
";

/// How often it is started.
const STARTS: usize = 21;

pub(super) fn measure(kit: &Kit<'_>, report: &mut Report) -> Result {
    let folder = kit.fresh_folder("program")?;
    fs::create_dir_all(folder.join("data"))?;
    fs::write(folder.join("pipeline.yaml"), PIPELINE)?;
    let size = fs::metadata(kit.program())?.len();
    report.fact(
        format!("Size of the binary, profile `{}`", kit.profile),
        format!("{:.1} MB", size as f64 / 1e6),
    );
    for arguments in [&["--version"][..], &["check", "pipeline.yaml", "--offline"]] {
        let line = arguments.join(" ");
        let mut times = Vec::new();
        for _ in 0..STARTS {
            let mut start = command(kit.program(), arguments);
            start.current_dir(&folder).stdout(Stdio::null()).stderr(Stdio::null());
            times.push(time(&mut start)?);
        }
        report.latency(Latency::of(format!("`tidemark {line}`, from start to end"), times)?);
    }
    Ok(())
}
