//! `tidemark test`

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value as Json, json};
use tidemark_engine::{ErrorKind, Result, change::Reshape};
use tidemark_transforms::{Record, Shown};

use crate::{
    cli::EXIT_CODES,
    failure::Failure,
    output::Output,
    pipeline_file::{self, Expected, Pipeline, Test as Case},
};

/// Hold the transforms of a pipeline to the examples in its file
///
/// Each entry of `tests` is a change and what is to come of it. Nothing is read, staged or written.
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct Test {
    /// The pipeline file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print what was found as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

const EXAMPLES: &str = "\
Examples:
  tidemark test pipeline.yaml
  tidemark test pipeline.yaml --json | jq '.tests[] | select(.passed == false)'";

/// How a test went.
struct Verdict<'p> {
    case: &'p Case,
    /// What came of the change; the error where one did.
    found: Result<Vec<Shown>, String>,
}

impl Test {
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let pipeline = pipeline_file::load(&self.file)?;
        let verdicts = pipeline
            .tests
            .iter()
            .map(|case| Ok(Verdict { case, found: outcome(&pipeline, case)? }))
            .collect::<Result<Vec<_>>>()?;
        let failed = verdicts.iter().filter(|verdict| !verdict.has_passed()).count();
        if self.json {
            let tests: Vec<_> = verdicts.iter().map(Verdict::for_programs).collect();
            output.json(&json!({"pipeline": pipeline.name, "passed": failed == 0, "tests": tests}))?;
        } else {
            verdicts.iter().try_for_each(|verdict| output.data(verdict.for_people()))?;
            match (verdicts.len(), failed) {
                (0, _) => output.say("the pipeline file has no `tests`")?,
                (all, 0) => output.say(format!("{all} passed"))?,
                (all, failed) => output.say(format!("{failed} of {all} failed"))?,
            }
        }
        if failed == 0 { Ok(()) } else { Err(Failure::Told(ErrorKind::Data)) }
    }
}

/// What comes of the change of `case`.
fn outcome(pipeline: &Pipeline, case: &Case) -> Result<Result<Vec<Shown>, String>> {
    let own = match &case.through {
        Some(name) => pipeline.destination(name)?.transforms.as_ref(),
        None => None,
    };
    let mut changes = case.example.changes()?;
    for transforms in pipeline.transforms.iter().chain(own) {
        match transforms.changes(changes) {
            Ok(made) if made.rows() == 0 => return Ok(Ok(Vec::new())),
            Ok(made) => changes = made,
            Err(refused) => return Ok(Err(refused.error.to_string())),
        }
    }
    Shown::all(&changes).map(Ok)
}

impl Verdict<'_> {
    fn has_passed(&self) -> bool {
        match (&self.case.expected, &self.found) {
            (Expected::Error(words), Err(error)) => error.contains(words),
            (Expected::Changes(expected), Ok(found)) => {
                expected.len() == found.len()
                    && expected.iter().zip(found).all(|(expected, found)| is_as(expected, found))
            }
            _ => false,
        }
    }

    fn for_people(&self) -> String {
        if self.has_passed() {
            return format!("passed  {}", self.case.name);
        }
        let expected = match &self.case.expected {
            Expected::Error(words) => format!("an error that says: {words}"),
            Expected::Changes(changes) => listed(changes),
        };
        let found = match &self.found {
            Err(error) => format!("the error: {error}"),
            Ok(changes) => listed(changes),
        };
        format!("failed  {}\n  expected  {expected}\n  found     {found}", self.case.name)
    }

    fn for_programs(&self) -> Json {
        let found = match &self.found {
            Ok(changes) => json!(changes.iter().map(for_programs).collect::<Vec<_>>()),
            Err(_) => Json::Null,
        };
        let error = self.found.as_ref().err();
        json!({"name": self.case.name, "passed": self.has_passed(), "found": found, "error": error})
    }
}

/// Whether `found` is the change that was expected: of what was before only what is written counts.
fn is_as(expected: &Shown, found: &Shown) -> bool {
    let same = |expected: &Option<Record>, found: &Option<Record>| match (expected, found) {
        (None, _) => true,
        (Some(expected), Some(found)) => {
            expected.len() == found.len()
                && expected.iter().all(|(name, value)| found.get(name).is_some_and(|it| is_same(value, it)))
        }
        (Some(_), None) => false,
    };
    expected.op == found.op && same(&expected.before, &found.before) && same(&expected.after, &found.after)
}

/// Whether two values are the same, `12.5` and `12.50` being one number.
fn is_same(one: &Json, other: &Json) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(a), Some(b)) if one.is_f64() || other.is_f64() => a.to_bits() == b.to_bits(),
        _ => one == other,
    }
}

fn listed(changes: &[Shown]) -> String {
    match changes {
        [] => "nothing".to_owned(),
        changes => {
            changes.iter().map(|change| for_programs(change).to_string()).collect::<Vec<_>>().join(" ")
        }
    }
}

fn for_programs(change: &Shown) -> Json {
    let mut json = json!({"op": change.op.as_str()});
    for (side, record) in [("before", &change.before), ("after", &change.after)] {
        if let Some(record) = record {
            json[side] = Json::Object(record.clone());
        }
    }
    json
}
