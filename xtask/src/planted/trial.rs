//! A test command in the copy, and what became of it.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    path::PathBuf,
    process::{Child, Command, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use super::copy::Copy;
use crate::{
    Result,
    shell::{command, line},
};

/// How long a build may take.
const BUILD: Duration = Duration::from_secs(1_800);
const TICK: Duration = Duration::from_millis(100);

/// Runs `cargo test` with some arguments in a copy.
pub(super) struct Trial<'a> {
    copy: &'a Copy,
    arguments: &'a str,
    /// What it prints goes here.
    output: PathBuf,
}

/// What a test command says.
pub(super) enum Verdict {
    Passed {
        tests: usize,
    },
    /// These tests did; none where they ended before they could say.
    Failed(Vec<String>),
    /// They did not come to their end.
    Hung(Duration),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed { tests } => write!(f, "passes with {tests} tests"),
            Self::Failed(tests) if tests.is_empty() => f.write_str("tests that broke off"),
            Self::Failed(tests) => f.write_str(&tests.join(", ")),
            Self::Hung(time) => write!(f, "tests that did not end in {} s", time.as_secs()),
        }
    }
}

impl<'a> Trial<'a> {
    /// The trial called `name`.
    pub(super) fn new(copy: &'a Copy, arguments: &'a str, name: &str) -> Self {
        let output = copy.output.join(format!("{}.txt", name.replace('/', "-")));
        Self { copy, arguments, output }
    }

    /// Where it says what it saw.
    pub(super) fn output(&self) -> impl fmt::Display {
        self.output.display()
    }

    /// Builds the tests and runs them, for so long at most.
    ///
    /// Fails when they cannot be built: that says nothing of the tests.
    pub(super) fn run(&self, patience: Duration) -> Result<Verdict> {
        // What an earlier run has left is no news.
        let _ = fs::remove_file(&self.output);
        let (cargo, own) = self.arguments.split_once(" -- ").unwrap_or((self.arguments, ""));
        let mut build = self.cargo(cargo, &["--no-run"]);
        match self.ends(&mut build, BUILD)? {
            Some(status) if status.success() => {}
            _ => return Err(format!("it cannot be built; see {}", self.output()).into()),
        }
        let mut tests = self.cargo(cargo, &[]);
        tests.arg("--").args(own.split_whitespace());
        let Some(status) = self.ends(&mut tests, patience)? else { return Ok(Verdict::Hung(patience)) };
        let said = fs::read_to_string(&self.output)?;
        Ok(match status.success() {
            true => Verdict::Passed { tests: passed(&said) },
            false => Verdict::Failed(failed(&said)),
        })
    }

    fn cargo(&self, arguments: &str, more: &[&str]) -> Command {
        let mut cargo = command("cargo", ["test"]);
        cargo.args(arguments.split_whitespace()).args(more).current_dir(&self.copy.source);
        cargo.env("CARGO_TARGET_DIR", &self.copy.build).env("TIDEMARK_TEST_DATA", &self.copy.test_data);
        // It is built again and again, and nobody looks at it with a debugger.
        cargo.env("CARGO_PROFILE_DEV_DEBUG", "0");
        cargo
    }

    /// How it ended; `None` when it did not in this time.
    fn ends(&self, command: &mut Command, patience: Duration) -> Result<Option<ExitStatus>> {
        let output = OpenOptions::new().create(true).append(true).open(&self.output)?;
        let mut child = started(command, &output)?;
        let start = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(Some(status));
            }
            if start.elapsed() > patience {
                kill(&mut child);
                child.wait()?;
                return Ok(None);
            }
            thread::sleep(TICK);
        }
    }
}

/// Starts it in a process group of its own: whatever it starts can be ended with it.
fn started(command: &mut Command, output: &File) -> Result<Child> {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    let child = command.stdout(output.try_clone()?).stderr(output.try_clone()?).spawn();
    child.map_err(|error| format!("`{}` does not start: {error}", line(command)).into())
}

/// Ends it with all that it has started.
fn kill(child: &mut Child) {
    let group = format!("-{}", child.id());
    let killed = command("kill", ["-s", "KILL", "--", &group]).status();
    if !killed.is_ok_and(|status| status.success()) {
        let _ = child.kill();
    }
}

/// How many tests have passed, over all programs.
fn passed(said: &str) -> usize {
    let results = said.lines().filter_map(|line| line.strip_prefix("test result: ok. "));
    results.filter_map(|result| result.split(' ').next()?.parse::<usize>().ok()).sum()
}

/// The names of the tests that have failed.
fn failed(said: &str) -> Vec<String> {
    let tests = said.lines().filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"));
    tests.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_says_is_understood() {
        let said = "running 3 tests\ntest a::one ... ok\ntest a::two ... FAILED\n\ntest result: FAILED. 1 passed; 1 failed;\n\
                    test result: ok. 2 passed; 0 failed;\ntest result: ok. 0 passed; 0 failed;\n";
        assert_eq!(failed(said), ["a::two"]);
        assert_eq!(passed(said), 2);
    }
}
