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
  cargo xtask advisories [--install]      look for known weaknesses in the dependencies (reaches GitHub)
  cargo xtask example-data [--install]    cut the data of examples/flights anew

  --install   first install what the chore needs, saying what; without it the chore names it and stops
";

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
        ["advisories"] => advisories::check(&project, install),
        ["example-data"] => example_data::cut(&project, install),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
