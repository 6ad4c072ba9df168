//! Times of single events, and how they are spread.

use std::{
    fmt::{self, Display, Formatter},
    fs::OpenOptions,
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use crate::Result;

/// How long each of many events took.
pub(super) struct Latency {
    what: String,
    /// The shortest first; not empty.
    times: Vec<Duration>,
}

impl Latency {
    pub(super) fn of(what: impl Into<String>, mut times: Vec<Duration>) -> Result<Self> {
        let what = what.into();
        if times.is_empty() {
            return Err(format!("nothing was measured: {what}").into());
        }
        times.sort_unstable();
        Ok(Self { what, times })
    }

    /// The time that `percent` of the events did not exceed, in milliseconds.
    pub(super) fn percentile(&self, percent: usize) -> f64 {
        let last = self.times.len() - 1;
        self.times[(last * percent).div_ceil(100)].as_secs_f64() * 1e3
    }

    /// A row of a Markdown table.
    pub(super) fn row(&self) -> String {
        let [p50, p90, p99, longest] = [50, 90, 99, 100].map(|percent| self.percentile(percent));
        format!("| {} | {p50:.1} ms | {p90:.1} ms | {p99:.1} ms | {longest:.1} ms |", self.what)
    }
}

impl Display for Latency {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let [p50, p90, p99, longest] = [50, 90, 99, 100].map(|percent| self.percentile(percent));
        writeln!(f, "{}, {} times", self.what, self.times.len())?;
        write!(f, "  p50 {p50:.1} ms, p90 {p90:.1} ms, p99 {p99:.1} ms, longest {longest:.1} ms")
    }
}

/// What a disk needs at least: a block of 4 KiB is appended to a file in `folder` and flushed, again and again.
pub(super) fn of_flushes(folder: &Path) -> Result<Latency> {
    const TIMES: usize = 500;
    const LONG_ENOUGH: Duration = Duration::from_secs(5);
    let path = folder.join("blocks");
    let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
    let begun = Instant::now();
    let mut times = Vec::new();
    while times.len() < TIMES && begun.elapsed() < LONG_ENOUGH {
        let start = Instant::now();
        file.write_all(&[0x5a; 4_096])?;
        file.sync_all()?;
        times.push(start.elapsed());
    }
    std::fs::remove_file(path)?;
    Latency::of("write and fsync of one block of 4 KiB, nothing beside it", times)
}
