//! A list of things to do, all of them done even when one fails, and what came of each.

use std::time::{Duration, Instant};

use crate::Result;

/// The steps done so far.
#[derive(Default)]
pub(crate) struct Steps {
    done: Vec<Step>,
}

struct Step {
    name: &'static str,
    took: Duration,
    error: Option<String>,
}

impl Steps {
    /// Does a step now.
    pub(crate) fn step(&mut self, name: &'static str, work: impl FnOnce() -> Result) {
        println!("\n==> {name}");
        let start = Instant::now();
        let error = work().err().map(|error| error.to_string());
        if let Some(error) = &error {
            println!("{error}");
        }
        self.done.push(Step { name, took: start.elapsed(), error });
    }

    /// Prints what came of each step and how long it took.
    ///
    /// Fails when a step failed.
    pub(crate) fn summary(self) -> Result {
        println!("\n==> Summary");
        for Step { name, took, error } in &self.done {
            let outcome = if error.is_none() { "ok" } else { "FAILED" };
            println!("{outcome:>6}  {:>6.1} s  {name}", took.as_secs_f64());
        }
        let failed = self.done.iter().filter(|step| step.error.is_some()).count();
        println!("steps: {} passed, {failed} failed", self.done.len() - failed);
        if failed == 0 { Ok(()) } else { Err(format!("{failed} of {} steps failed", self.done.len()).into()) }
    }
}
