//! What benchmarks print: each when it is known, and all in the end as tables for docs/benchmarks.md.

use std::time::Duration;

use super::latency::Latency;
use crate::measure::Usage;

/// What has been measured so far.
#[derive(Default)]
pub(super) struct Report {
    comparisons: Vec<Comparison>,
    latencies: Vec<Latency>,
    facts: Vec<(String, String)>,
}

/// Work that was done by us, and mostly by what bounds it as well.
pub(super) struct Comparison {
    pub(super) work: String,
    /// What is counted: `row`, `change`.
    pub(super) unit: &'static str,
    pub(super) count: u64,
    /// What the limit is.
    pub(super) limit: &'static str,
    /// Each time that both were measured.
    pub(super) pairs: Vec<Pair>,
}

/// One time.
pub(super) struct Pair {
    /// How long the limit took, where there is one.
    pub(super) limit: Option<Duration>,
    pub(super) ours: Usage,
    /// Bytes that were added to the staging log.
    pub(super) staged: u64,
}

impl Report {
    pub(super) fn compared(&mut self, comparison: Comparison) {
        comparison.print();
        self.comparisons.push(comparison);
    }

    pub(super) fn latency(&mut self, latency: Latency) {
        println!("{latency}");
        self.latencies.push(latency);
    }

    /// Something about the program that is compared with nothing.
    pub(super) fn fact(&mut self, what: impl Into<String>, figure: String) {
        let what = what.into();
        println!("{what}: {figure}");
        self.facts.push((what, figure));
    }

    /// Everything, as Markdown.
    pub(super) fn print(&self) {
        if !self.comparisons.is_empty() {
            println!("\n| Work | Limit | Tidemark | Ratio | CPU | Peak memory | Staged |");
            println!("|---|---|---|---|---|---|---|");
            self.comparisons.iter().for_each(|comparison| println!("{}", comparison.row()));
        }
        if !self.latencies.is_empty() {
            println!("\n| | p50 | p90 | p99 | Longest |\n|---|---|---|---|---|");
            self.latencies.iter().for_each(|latency| println!("{}", latency.row()));
        }
        if !self.facts.is_empty() {
            println!("\n| | |\n|---|---|");
            self.facts.iter().for_each(|(what, figure)| println!("| {what} | {figure} |"));
        }
    }
}

impl Comparison {
    /// The pair with the median ratio.
    fn median(&self) -> &Pair {
        let mut pairs: Vec<&Pair> = self.pairs.iter().collect();
        pairs.sort_by(|a, b| a.order().total_cmp(&b.order()));
        pairs[(pairs.len() - 1) / 2]
    }

    fn rate(&self, wall: Duration) -> f64 {
        self.count as f64 / wall.as_secs_f64()
    }

    fn processor_time(&self, pair: &Pair) -> f64 {
        pair.ours.cpu.as_secs_f64() * 1e6 / self.count as f64
    }

    fn print(&self) {
        let Self { work, unit, limit, pairs, .. } = self;
        println!("{work}");
        for pair in pairs {
            let Pair { ours, staged, .. } = pair;
            println!("  wall                {:>9.2} s", ours.wall.as_secs_f64());
            println!("  rate                {:>9.0} {unit}s/s", self.rate(ours.wall));
            println!("  processor time      {:>9.2} us/{unit}", self.processor_time(pair));
            println!("  peak memory         {:>9.1} MiB", mebibytes(ours.peak_memory));
            println!("  staged              {:>9.1} MiB", mebibytes(*staged));
            if let Some(wall) = pair.limit {
                println!("  {limit}");
                println!("    wall              {:>9.2} s", wall.as_secs_f64());
                println!("    rate              {:>9.0} {unit}s/s", self.rate(wall));
                println!("  ratio to it         {:>9.2}", pair.order());
            }
            println!();
        }
    }

    /// The median as a row of the table; with it the least and the most of the ratios.
    fn row(&self) -> String {
        let Self { work, unit, limit, pairs, .. } = self;
        let median = self.median();
        let limits = median
            .limit
            .map_or("–".to_owned(), |wall| format!("{limit}: {} {unit}s/s", thousands(self.rate(wall))));
        let ratios = pairs.iter().map(Pair::order);
        let (least, most) =
            ratios.fold((f64::MAX, 0.0_f64), |(least, most), ratio| (least.min(ratio), most.max(ratio)));
        let ratio = match (median.limit, pairs.len()) {
            (None, _) => "–".to_owned(),
            (_, 1) => format!("**{:.2}**", median.order()),
            _ => format!("**{:.2}** ({least:.2} to {most:.2})", median.order()),
        };
        format!(
            "| {work} | {limits} | {} {unit}s/s | {ratio} | {:.2} us/{unit} | {:.0} MiB | {:.1} MiB |",
            thousands(self.rate(median.ours.wall)),
            self.processor_time(median),
            mebibytes(median.ours.peak_memory),
            mebibytes(median.staged),
        )
    }
}

impl Pair {
    /// What pairs are ordered by: the ratio to the limit, or where there is none, how long ours took.
    fn order(&self) -> f64 {
        self.limit.map_or(1.0, |limit| limit.as_secs_f64()) / self.ours.wall.as_secs_f64()
    }
}

pub(super) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// A whole number with its digits in threes.
fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
