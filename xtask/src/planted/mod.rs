//! Planted bugs: proof that the test suite can fail. Each patch in `planted-bugs` puts one bug into a copy of the sources, and a test
//! must find it there.
//!
//! | Question | File |
//! |---|---|
//! | What does a patch say? | `bug` |
//! | Where is it applied, and what is that built into? | `copy` |
//! | What became of a test command? | `trial` |

mod bug;
mod copy;
mod trial;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use crate::{
    Result,
    needs::{self, CLOUDS, Need},
    project::Project,
};
use bug::Bug;
use copy::Copy;
use trial::{Trial, Verdict};

/// Those that every run of the tests plants: one in the engine, in what a log promises, and one in a destination, which takes a real
/// PostgreSQL server to find.
const SAMPLE: [&str; 2] =
    ["engine/commit-known-by-its-writer", "connectors/position-outside-the-transaction"];
/// What a command may take before it counts as hanging, its build not included,
const PATIENCE: Duration = Duration::from_secs(600);
/// and the whole suite of a package.
const PATIENCE_WITH_A_SUITE: Duration = Duration::from_secs(2_400);

/// Plants the bugs called `names`, or all of them.
///
/// Fails unless the tests find every one.
pub(crate) fn plant(project: &Project, install: bool, names: &[String]) -> Result {
    let own = [Need::Flights, Need::Postgres, Need::Readers, Need::TextTools];
    needs::meet(project, &[&own[..], &CLOUDS].concat(), install, "cargo xtask planted")?;
    let all = Bug::all(project)?;
    if let Some(unknown) = names.iter().find(|name| all.iter().all(|bug| &bug.name != *name)) {
        let known: Vec<_> = all.iter().map(|bug| format!("  {}\n", bug.name)).collect();
        return Err(format!("there is no planted bug `{unknown}`; there are:\n{}", known.concat()).into());
    }
    let bugs = all.into_iter().filter(|bug| names.is_empty() || names.contains(&bug.name));
    find(project, &bugs.collect::<Vec<_>>())
}

/// Plants the few that stand for all of them.
pub(crate) fn sample(project: &Project) -> Result {
    plant(project, false, &SAMPLE.map(str::to_owned))
}

fn find(project: &Project, bugs: &[Bug]) -> Result {
    let begun = Instant::now();
    let copy = Copy::of(project)?;
    check_without_bugs(&copy, bugs)?;
    let mut caught = 0;
    for bug in bugs {
        let start = Instant::now();
        let outcome = look_for(bug, &copy);
        copy.refresh()?;
        let (word, said) = match outcome {
            Ok(Finding::Caught(by)) => {
                caught += 1;
                ("caught", by)
            }
            Ok(Finding::NotCaught) => {
                ("NOT CAUGHT", format!("every test of its package passes; {}", bug.what))
            }
            Err(error) => ("ERROR", error.to_string()),
        };
        println!("{word:>10}  {:>5.0} s  {}: {said}", start.elapsed().as_secs_f64(), bug.name);
    }
    println!("caught/planted: {caught}/{} in {:.0} min", bugs.len(), begun.elapsed().as_secs_f64() / 60.0);
    match bugs.len() - caught {
        0 => Ok(()),
        left => Err(format!("{left} of {} planted bugs were not caught", bugs.len()).into()),
    }
}

/// Whoever fails without a bug has found none.
fn check_without_bugs(copy: &Copy, bugs: &[Bug]) -> Result {
    for test in bugs.iter().map(|bug| &bug.test).collect::<BTreeSet<_>>() {
        let start = Instant::now();
        let trial = Trial::new(copy, test, "without-a-bug");
        match trial.run(PATIENCE)? {
            Verdict::Passed { tests: 0 } => return Err(format!("`{test}` runs no test").into()),
            Verdict::Passed { tests } => {
                let seconds = start.elapsed().as_secs_f64();
                println!("{:>10}  {seconds:>5.0} s  without a bug: {tests} tests by `{test}`", "pass");
            }
            verdict => {
                return Err(format!("`{test}` {verdict} without any bug; see {}", trial.output()).into());
            }
        }
    }
    Ok(())
}

/// What became of a bug.
enum Finding {
    /// By what.
    Caught(String),
    NotCaught,
}

fn look_for(bug: &Bug, copy: &Copy) -> Result<Finding> {
    copy.apply(bug)?;
    let expected = Trial::new(copy, &bug.test, &bug.name).run(PATIENCE)?;
    if !matches!(expected, Verdict::Passed { .. }) {
        return Ok(Finding::Caught(expected.to_string()));
    }
    let suite = Trial::new(copy, &bug.suite(), &bug.name).run(PATIENCE_WITH_A_SUITE)?;
    let Verdict::Failed(tests) = suite else { return Ok(Finding::NotCaught) };
    // Another test has failed: because of the bug, if it passes without.
    copy.refresh()?;
    for test in &tests {
        let alone = format!("{} -- --exact {test}", bug.suite());
        if matches!(Trial::new(copy, &alone, &bug.name).run(PATIENCE)?, Verdict::Passed { tests: 1.. }) {
            return Ok(Finding::Caught(format!("not by `{}`, but by {test}", bug.test)));
        }
    }
    Ok(Finding::NotCaught)
}
