//! The project's own chores. One file a chore; run `cargo xtask` for the list.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a chore talks to the person who runs it")]
#![expect(
    clippy::disallowed_methods,
    reason = "chores measure real time; only the product's loops are simulated"
)]

mod advisories;
mod bench;
mod docs;
mod example_data;
mod measure;
mod needs;
mod project;
mod shell;
mod steps;
mod test;

use std::{env, error::Error, process::ExitCode};

use project::Project;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

const USAGE: &str = "\
Tidemark's chores

  cargo xtask test [--install]            run every check and every test
  cargo xtask bench flights [--install]   measure 336,776 flights on their way to SQLite and Parquet
  cargo xtask bench postgres [--rows N] [--install]
                                          measure an initial sync of N (2,000,000) rows from PostgreSQL to PostgreSQL,
                                          and changes in proportion
  cargo xtask bench staging [--commits N] [--in FOLDER]
                                          measure what becomes of N (1,000,000) commits of one small change
  cargo xtask advisories [--install]      look for known weaknesses in the dependencies (reaches GitHub)
  cargo xtask example-data [--install]    cut the data of examples/flights anew

  --install   first install what the chore needs, saying what; without it the chore names it and stops
";

/// The rows of the benchmark with PostgreSQL, unless another number is asked for; and the fewest that its changes can be made of.
const ROWS: u64 = 2_000_000;
const LEAST_ROWS: u64 = 10_000;
/// The commits of the benchmark of the staging log, unless another number is asked for.
const COMMITS: u64 = 1_000_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (install, chore) = match arguments.as_slice() {
        [chore @ .., "--install"] => (true, chore),
        chore => (false, chore),
    };
    let project = Project::here();
    let outcome = match chore {
        ["test"] => test::everything(&project, install),
        ["bench", "flights"] => bench::flights(&project, install),
        ["bench", "postgres"] => bench::postgres(&project, install, ROWS),
        ["bench", "postgres", "--rows", rows] if rows.parse().is_ok_and(|rows: u64| rows >= LEAST_ROWS) => {
            rows.parse().map_err(Into::into).and_then(|rows| bench::postgres(&project, install, rows))
        }
        ["bench", "staging", options @ ..] => match staging_options(options) {
            Some((commits, folder)) => bench::staging(&project, commits, folder),
            None => return usage(),
        },
        ["advisories"] => advisories::check(&project, install),
        ["example-data"] => example_data::cut(&project, install),
        _ => return usage(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprint!("{USAGE}");
    ExitCode::from(2)
}

/// How many commits, and where; `None` when the options are no such.
fn staging_options<'a>(options: &[&'a str]) -> Option<(u64, Option<&'a str>)> {
    let (mut commits, mut folder) = (COMMITS, None);
    for option in options.chunks(2) {
        match option {
            ["--commits", number] => commits = number.parse().ok().filter(|number| *number >= 100)?,
            ["--in", place] => folder = Some(*place),
            _ => return None,
        }
    }
    Some((commits, folder))
}
