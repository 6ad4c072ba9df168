//! What a benchmark prints.

use std::time::Duration;

use crate::measure::Usage;

/// Work that was done twice: by us, and by what bounds it.
pub(super) struct Comparison {
    pub(super) work: String,
    /// What is counted: `row`, `change`.
    pub(super) unit: &'static str,
    pub(super) count: u64,
    pub(super) ours: Usage,
    /// What the limit is, and how long it took.
    pub(super) limit: (&'static str, Duration),
    /// Bytes that were added to the staging log.
    pub(super) staged: u64,
}

impl Comparison {
    pub(super) fn print(&self) {
        let Self { work, unit, count, ours, limit: (limit, wall), staged } = self;
        report(work, unit, *count, ours);
        println!("  staged              {:>9.1} MiB", mebibytes(*staged));
        println!("  {limit}");
        println!("    wall              {:>9.2} s", wall.as_secs_f64());
        println!("    rate              {:>9.0} {unit}s/s", *count as f64 / wall.as_secs_f64());
        println!("  ratio to it         {:>9.2}\n", wall.as_secs_f64() / ours.wall.as_secs_f64());
    }
}

/// Prints what `work` on `count` units took.
pub(super) fn report(work: &str, unit: &str, count: u64, usage: &Usage) {
    let Usage { wall, cpu, peak_memory } = usage;
    let count = count as f64;
    println!("{work}");
    println!("  wall                {:>9.2} s", wall.as_secs_f64());
    println!("  rate                {:>9.0} {unit}s/s", count / wall.as_secs_f64());
    println!("  processor time      {:>9.2} us/{unit}", cpu.as_secs_f64() * 1e6 / count);
    println!("  peak memory         {:>9.1} MiB", mebibytes(*peak_memory));
}

pub(super) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
