//! `tidemark fsck`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use tidemark_engine::{
    ErrorKind, Time,
    log::{Findings, Log, Problem, Range, Stray, StrayKind},
    world::World,
};

use crate::{cli::EXIT_CODES, digits::grouped, failure::Failure, output::Output, pipeline_file, staging};

/// Look whether everything in the staging store is whole
///
/// Reads all of it: every commit and the chain that binds it to the one before, every segment and each change in it, schemas, the
/// layout and its volumes, marks, dead letters, requests and keys. Says of each object that is damaged, missing or exchanged what
/// follows from that and what to do, and what can still be read. Nothing is changed, and the pipeline may run meanwhile.
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct Fsck {
    /// The pipeline file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print it as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

const EXAMPLES: &str = "\
Examples:
  tidemark fsck pipeline.yaml            # exit code 3 when something is wrong
  tidemark fsck --json pipeline.yaml | jq -r '.problems[].object'";

impl Fsck {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        let pipeline = pipeline_file::load(&self.file)?;
        let store = staging::existing_store(&pipeline).await?;
        let found = match store {
            Some(store) => Log::inspect(store, World::real()).await?,
            None => None,
        };
        let findings = found.ok_or_else(|| staging::nothing_staged(&pipeline))?;
        if self.json {
            let whole = findings.is_whole();
            output.json(&json!({"pipeline": pipeline.name, "whole": whole, "findings": findings}))?;
        } else {
            output.data(for_people(&pipeline.name, &findings))?;
        }
        match findings.is_whole() {
            true => Ok(()),
            false => Err(Failure::Told(ErrorKind::Conflict)),
        }
    }
}

fn for_people(name: &str, findings: &Findings) -> String {
    let Findings { log, head, base, objects, changes, problems, more_problems, readable, lost, strays } =
        findings;
    let log = log.as_ref().map_or(String::new(), |log| format!(" of log `{log}`"));
    let from = if *base > 0 { *base } else { 1 };
    let mut lines = vec![match problems.len() as u64 + more_problems {
        0 if *head == 0 => format!("{name}: the log{log} is empty, and whole"),
        0 => format!(
            "{name}: commits {from} to {head}{log} are whole: {} objects, {} changes",
            grouped(*objects),
            grouped(*changes)
        ),
        1 => format!("{name}: 1 problem{log}"),
        many => format!("{name}: {} problems{log}", grouped(many)),
    }];
    for Problem { object, what, means, repair } in problems {
        lines.push(format!("  `{object}`: {what}"));
        lines.push(format!("    so: {means}"));
        lines.push(format!("    do: {repair}"));
    }
    if *more_problems > 0 {
        lines.push(format!("  and {} more", grouped(*more_problems)));
    }
    if !findings.is_whole() {
        lines.extend(readable.iter().map(|Range { first, last, from, until, changes }| {
            format!(
                "  whole: commits {first} to {last}, recorded {} to {}, {} changes",
                short(*from),
                short(*until),
                grouped(*changes)
            )
        }));
        for (stream, lost) in lost {
            lines.push(format!(
                "  lost: {} changes of stream `{stream}`, in commits {} to {}",
                grouped(lost.changes),
                lost.first,
                lost.last
            ));
        }
        lines.extend(without_backup(findings));
    }
    lines.extend(strays.iter().map(stray));
    lines.join("\n")
}

/// What is left to do when there is no backup of commits that cannot be read.
fn without_backup(findings: &Findings) -> Option<String> {
    let last = findings.readable.last()?;
    let first = findings.base.max(1);
    if (last.first, last.last) == (first, findings.head) {
        return None;
    }
    let first = last.first;
    Some(format!(
        "  without a backup: a destination that stands at commit {first} or later goes on; a new one in `append` can be given what comes \
         after that commit, with `tidemark replay FILE --to DESTINATION --from seq:{first}`; for everything else give the pipeline another \
         `name`, which begins a new log with a new initial sync"
    ))
}

fn stray(Stray { kind, count, objects }: &Stray) -> String {
    let why = match kind {
        StrayKind::Orphan => "of a process that died or is at work, named by no commit; goes by itself",
        StrayKind::Doomed => "not needed any more; goes by itself",
        StrayKind::Foreign => "not Tidemark's",
    };
    let example = objects.first().map_or(String::new(), |object| format!(", such as `{object}`"));
    let objects = if *count == 1 { "1 object".to_owned() } else { format!("{} objects", grouped(*count)) };
    format!("  no problem: {objects} {why}{example}")
}

/// A time to the second.
fn short(time: Time) -> String {
    let text = time.to_string();
    text.split_once('.').map_or(text.clone(), |(seconds, _)| format!("{seconds}Z"))
}
