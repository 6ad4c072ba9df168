//! Which seeds are tried, by as many threads as there are processors, and what a failing one prints.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it tells the person who runs it")]

use std::{
    ops::Range,
    panic::{self, AssertUnwindSafe},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// How often it is said how many seeds have passed.
const EVERY: Duration = Duration::from_secs(10);

/// Tries the seeds that somebody asks for by `TIDEMARK_SEED` (a number, or `FROM..UNTIL`), or the first `many`. `simulation` is the name
/// by which `cargo xtask simulate` knows them.
///
/// Panics when one fails, and says how that one alone is tried again.
pub(crate) fn each(simulation: &str, many: u64, attempt: impl Fn(u64) + Sync) {
    let seeds = asked().unwrap_or(0..many);
    let (next, done) = (AtomicU64::new(seeds.start), AtomicU64::new(0));
    let (begun, said) = (now(), Mutex::new(now()));
    let failed = AtomicBool::new(false);
    on_all_processors(|| {
        while !failed.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                break;
            }
            if panic::catch_unwind(AssertUnwindSafe(|| attempt(seed))).is_err() {
                failed.store(true, Ordering::Relaxed);
                eprintln!(
                    "seed {seed} of `{simulation}` fails. To see it again:\n    cargo xtask simulate --seed {seed} {simulation}"
                );
            }
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            let mut said = said.lock().expect("nobody panics while saying something");
            if said.elapsed() > EVERY {
                *said = now();
                tell(simulation, done, &seeds, begun);
            }
        }
    });
    tell(simulation, done.load(Ordering::Relaxed), &seeds, begun);
    assert!(!failed.load(Ordering::Relaxed), "a seed of `{simulation}` fails");
}

/// Tries 0, 1, 2 and so on, until an attempt says that there is nothing beyond it. Returns that number.
pub(crate) fn until(attempt: impl Fn(u64) -> bool + Sync) -> u64 {
    let (next, end) = (AtomicU64::new(0), AtomicU64::new(u64::MAX));
    on_all_processors(|| {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number > end.load(Ordering::Relaxed) {
                break;
            }
            let outcome = panic::catch_unwind(AssertUnwindSafe(|| attempt(number)));
            let is_last = outcome.unwrap_or_else(|panic| {
                eprintln!("number {number} fails");
                panic::resume_unwind(panic)
            });
            if is_last {
                end.fetch_min(number, Ordering::Relaxed);
            }
        }
    });
    end.into_inner()
}

/// Whether somebody asks for certain seeds: then what is expected of many together need not come to pass.
pub(crate) fn are_asked_for() -> bool {
    asked().is_some()
}

fn asked() -> Option<Range<u64>> {
    let asked = std::env::var("TIDEMARK_SEED").ok()?;
    let (from, until) = asked.split_once("..").unwrap_or((&asked, ""));
    let from = from.parse().expect("TIDEMARK_SEED is a number, or two with `..` between");
    Some(from..until.parse().unwrap_or(from + 1))
}

fn on_all_processors(work: impl Fn() + Sync) {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            // What is not optimized takes much of it.
            let thread = thread::Builder::new().stack_size(16 << 20);
            thread.spawn_scoped(scope, &work).expect("a thread starts");
        }
    });
}

fn tell(simulation: &str, done: u64, seeds: &Range<u64>, begun: Instant) {
    let (many, seconds) = (seeds.end - seeds.start, begun.elapsed().as_secs_f64());
    println!(
        "{simulation}: {done} of {many} seeds from {} on in {seconds:.1} s, {:.1} a second",
        seeds.start,
        done as f64 / seconds
    );
}

#[expect(clippy::disallowed_methods, reason = "how long the simulation itself takes is not simulated")]
fn now() -> Instant {
    Instant::now()
}
