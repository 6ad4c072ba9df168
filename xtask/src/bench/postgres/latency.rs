//! How long after its commit a transaction can be seen at the destination, at a thousand transactions a second: ours, through
//! the durable log, and the server's own logical replication. Both under the same load, one after the other.
//!
//! The clock is the client's. A transaction's time begins when the client knows of the commit, and ends with the answer to the first
//! question at the destination that shows its row: a connection asks every millisecond, so an arrival is seen late by half of
//! that and of the question's own time on average, never early. A client that hears late of its commit makes the time shorter; what
//! the commit took, as the client saw it, is told beside it, and bounds that.

use std::{
    ops::Range,
    thread,
    time::{Duration, Instant},
};

use super::{
    super::{
        kit::Kit,
        latency::{self, Latency},
        report::{Comparison, Pair, Report},
    },
    Servers,
    load::{self, Commit},
    orders,
    pipeline::Pipeline,
    subscription::{self, Subscription},
    wait_until_equal,
    watcher::{self, Arrivals},
};
use crate::{Result, measure::Usage};

/// Transactions a second.
const RATE: u64 = 1_000;
/// Rows that are there before.
const EARLY: u64 = 1_000;

/// What was seen of one load.
struct Observed {
    commits: Vec<Commit>,
    arrivals: Arrivals,
}

pub(super) fn measure(kit: &Kit<'_>, servers: &Servers, report: &mut Report) -> Result {
    let source = orders::filled(&servers.source, EARLY);
    let (native, mirror) = (servers.destination.database(), servers.destination.database());
    let subscription = Subscription::new(&source, &native)?;
    let pipeline = Pipeline::new(kit, "latency", &source)?;
    pipeline.mirrors(&mirror)?;
    let flushes = latency::of_flushes(pipeline.folder())?;

    let transactions = kit.sizes.seconds * RATE;
    let mut next = EARLY as i64 + 1;
    // A second to warm up, and then what counts.
    let mut load = |url: &str| {
        next += (RATE + transactions) as i64;
        observe(&source.url(), url, next - (RATE + transactions) as i64..next)
    };
    let mut runs = kit.pairs(|_| {
        servers.settle();
        subscription.start()?;
        let theirs = load(&native.url())?;
        subscription.stop()?;

        servers.settle();
        let mut program = pipeline.start()?;
        wait_until_equal(&mut program, &source, &mirror)?;
        let (cpu, staged, begun) = (program.cpu()?, pipeline.staged_bytes()?, Instant::now());
        let ours = load(&mirror.url())?;
        let usage =
            Usage { wall: begun.elapsed(), cpu: program.cpu()? - cpu, peak_memory: program.peak_memory()? };
        let staged = pipeline.staged_bytes()?.saturating_sub(staged);
        program.stop()?;
        Ok((theirs, ours, usage, staged))
    })?;
    subscription.catch_up()?;
    orders::compare(&source, &[&native, &mirror])?;
    subscription.end();
    pipeline.end(&source)?;

    report.latency(flushes);
    runs.sort_by_key(|(_, ours, ..)| ours.median());
    let (theirs, ours, usage, staged) = runs.swap_remove((runs.len() - 1) / 2);
    theirs.report(subscription::NAME, report)?;
    ours.report("Tidemark, every step durable", report)?;
    report.compared(Comparison {
        work: format!("The same load on Tidemark: {RATE} transactions a second"),
        unit: "change",
        count: RATE + transactions,
        limit: "",
        pairs: vec![Pair { limit: None, ours: usage, staged }],
    });
    Ok(())
}

/// Makes a transaction for each of `ids` at the source and watches the destination meanwhile.
fn observe(source: &str, destination: &str, ids: Range<i64>) -> Result<Observed> {
    let pace = Duration::from_secs(1) / RATE as u32;
    thread::scope(|scope| {
        let watching =
            scope.spawn(|| watcher::watch(destination, ids.clone()).map_err(|error| error.to_string()));
        let commits = load::insert(source, ids.clone(), pace)?;
        let arrivals = watching.join().map_err(|_| "the watcher panicked")??;
        Ok(Observed { commits, arrivals })
    })
}

impl Observed {
    /// What counts: everything but the first second.
    fn counted(&self) -> impl Iterator<Item = &Commit> {
        let first = self.commits.iter().map(|commit| commit.id).min().unwrap_or(0);
        self.commits.iter().filter(move |commit| commit.id >= first + RATE as i64)
    }

    fn latencies(&self) -> Vec<Duration> {
        self.counted()
            .map(|commit| self.arrivals.of(commit.id).saturating_duration_since(commit.acknowledged))
            .collect()
    }

    fn median(&self) -> Duration {
        let mut latencies = self.latencies();
        let middle = latencies.len() / 2;
        *latencies.select_nth_unstable(middle).1
    }

    fn report(&self, who: &str, report: &mut Report) -> Result {
        let commits = self.counted().map(|commit| commit.acknowledged - commit.sent).collect();
        report.latency(Latency::of(format!("commit to visible: {who}"), self.latencies())?);
        report.latency(Latency::of(format!("beside it, the commit at the source: {who}"), commits)?);
        report.latency(Latency::of(
            format!("beside it, from look to look: {who}"),
            self.arrivals.looks.clone(),
        )?);
        let sent = || self.counted().map(|commit| commit.sent);
        if let (Some(first), Some(last)) = (sent().min(), sent().max()) {
            let rate = (self.counted().count() - 1) as f64 / (last - first).as_secs_f64();
            report.fact(format!("Transactions a second that were made: {who}"), format!("{rate:.0}"));
        }
        Ok(())
    }
}
