//! `tidemark status`

mod reading;
mod retained;
mod streams;

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value as Json, json};
use tidemark_connectors::config::HeldBack;
use tidemark_engine::{
    Error, Time,
    log::{Log, Mark, MarkState, Marks, RunLock, Runner, SchemaChange},
    schema::StreamName,
    write::{Anew, Hold},
};

use super::running_for_programs;
use crate::{cli::EXIT_CODES, digits::grouped, failure::Failure, output::Output, pipeline_file, staging};
use reading::Reading;
use retained::Retained;
use streams::Streams;

/// Show how far a pipeline has come
///
/// Reads the staging store, and asks a source that keeps its log for the pipeline how much that is by now. No destination is
/// asked, and a running pipeline is not disturbed. A destination says where it stands every few seconds, so a running one
/// may be a little further.
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct Status {
    /// The pipeline file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print it as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

const EXAMPLES: &str = "\
Examples:
  tidemark status pipeline.yaml
  tidemark status --json pipeline.yaml | jq '.destinations[] | select(.behind > 0)'";

impl Status {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        let pipeline = pipeline_file::load(&self.file)?;
        let log = staging::existing_log(&pipeline).await?;
        let requests = log.requests().await?;
        let mut destinations = Vec::new();
        for destination in &pipeline.destinations {
            let name = &destination.writing.destination;
            let (_, mark) = Marks::open(&log, name).await?;
            let dead_letters = log.count_dead_letters(name).await?;
            let paused = requests.iter().any(|(_, request)| request.pauses(name));
            destinations.push(Standing { name, live: destination.live, paused, mark, dead_letters });
        }
        let runner = RunLock::runner(log.store());
        let reading = Reading::of(&pipeline.trigger, &log, &runner).await?;
        let held_back = pipeline.source.held_back(&pipeline.home).await;
        let streams = Streams::of(&pipeline, &log).await?;
        let schema_changes = log.schema_changes(SCHEMA_CHANGES).await?;
        let policy = &pipeline.staging.retention;
        let kept = log.kept(policy).await?;
        let retention = Retained { kept, expires_slow: policy.expires_slow };
        let picture = Picture {
            log: &log,
            runner,
            reading,
            held_back,
            retention,
            streams,
            schema_changes,
            destinations,
        };
        if self.json {
            return output.json(&for_programs(&picture));
        }
        output.data(for_people(&picture))
    }
}

/// How many changes of schema are shown, the newest.
const SCHEMA_CHANGES: usize = 5;

/// All there is to show.
struct Picture<'a> {
    log: &'a Log,
    /// Who runs the pipeline.
    runner: Runner,
    /// When the source is read.
    reading: Reading<'a>,
    /// What the source holds back; an error where it could not be asked.
    held_back: Result<Option<HeldBack>, Error>,
    retention: Retained,
    streams: Streams,
    /// Newest first.
    schema_changes: Vec<SchemaChange>,
    destinations: Vec<Standing<'a>>,
}

/// A destination and what it last said of itself.
struct Standing<'a> {
    name: &'a str,
    live: bool,
    /// Whether somebody has paused it.
    paused: bool,
    mark: Option<Mark>,
    /// How many changes it could not take.
    dead_letters: usize,
}

impl Standing<'_> {
    fn behind(&self, log: &Log) -> u64 {
        log.head().sequence - self.sequence().min(log.head().sequence)
    }

    fn sequence(&self) -> u64 {
        self.mark.as_ref().map_or(0, |mark| mark.position.sequence)
    }

    /// The streams that wait for a person.
    fn held(&self) -> impl Iterator<Item = (&StreamName, &Hold)> {
        self.mark.iter().flat_map(|mark| &mark.held)
    }

    /// The streams that are being filled anew.
    fn anew(&self) -> impl Iterator<Item = (&StreamName, &Anew)> {
        self.mark.iter().flat_map(|mark| &mark.anew)
    }

    /// What became of it. A loop that died could not say so: it only runs while its process does.
    fn state(&self, runner: &Runner) -> (&'static str, Option<&str>) {
        match self.mark.as_ref().map(|mark| &mark.state) {
            Some(MarkState::Running | MarkState::Retrying { .. })
                if self.paused && *runner != Runner::Nobody =>
            {
                ("about to be paused", None)
            }
            _ if self.paused => ("paused", None),
            Some(MarkState::Paused) if *runner != Runner::Nobody => ("about to go on", None),
            None if self.live => ("not begun", None),
            None => ("waits for a replay", None),
            Some(MarkState::Running | MarkState::Retrying { .. } | MarkState::Paused)
                if self.live && *runner == Runner::Nobody =>
            {
                ("ended abruptly", None)
            }
            Some(MarkState::Running) if !self.live => ("being replayed, or interrupted", None),
            Some(MarkState::Running) if *runner == Runner::Untold => ("running, as it last said", None),
            Some(MarkState::Running) => ("running", None),
            Some(MarkState::Stopped | MarkState::Paused) => ("stopped", None),
            Some(MarkState::Retrying { error }) => ("retrying", Some(error)),
            Some(MarkState::Failed { error }) => ("failed", Some(error)),
        }
    }
}

/// What the process that runs the pipeline says is wrong with the staging store.
fn trouble_of(runner: &Runner) -> Option<&String> {
    match runner {
        Runner::Process(holder) => holder.trouble.as_ref(),
        Runner::Nobody | Runner::Untold => None,
    }
}

fn for_people(picture: &Picture<'_>) -> String {
    let Picture { log, runner, reading, held_back, retention, streams, schema_changes, destinations } =
        picture;
    let running = match runner {
        Runner::Nobody => "not running".to_owned(),
        Runner::Process(holder) => format!("run by {holder}"),
        Runner::Untold => "object storage does not tell who runs it".to_owned(),
    };
    let head = match log.head_times() {
        None => "empty".to_owned(),
        Some((recorded, watermark)) => {
            format!(
                "commit {}, recorded {}, source time {}",
                log.head().sequence,
                short(recorded),
                short(watermark)
            )
        }
    };
    let mut lines = vec![
        format!("{}: {running}", log.pipeline()),
        format!("  log `{}` in {}: {head}", log.id(), log.store().description()),
    ];
    let trouble = trouble_of(runner);
    lines.extend(trouble.map(|trouble| format!("  trouble with the staging store: {trouble}")));
    lines.push(reading.for_people());
    lines.extend(match held_back {
        Ok(None) => None,
        Ok(Some(HeldBack { bytes: Some(bytes), status })) => {
            Some(format!("  the source keeps {} of its log for us ({status})", size(*bytes)))
        }
        Ok(Some(HeldBack { bytes: None, status })) => {
            Some(format!("  the source has removed log that was not read yet ({status})"))
        }
        Err(error) => Some(format!("  the source cannot be asked: {error}")),
    });
    lines.extend(retention.for_people());
    lines.extend(streams.for_people());
    for SchemaChange { stream, commit, time, differences } in schema_changes {
        let said = differences.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        lines.push(format!("  schema of stream `{stream}` at commit {commit}, {}: {said}", short(*time)));
    }
    let width = destinations.iter().map(|standing| standing.name.len()).max().unwrap_or(0);
    for standing in destinations {
        let (state, error) = standing.state(runner);
        let progress = match &standing.mark {
            None => String::new(),
            Some(mark) => {
                let behind = match standing.behind(log) {
                    _ if log.is_dropped(mark.position.sequence) => "left behind by the log".to_owned(),
                    0 => "up to date".to_owned(),
                    1 => "1 commit behind".to_owned(),
                    behind => format!("{behind} commits behind"),
                };
                format!(", {} changes, {behind}, as of {}", grouped(mark.rows), short(mark.time))
            }
        };
        lines.push(format!("  {:width$}  {state}{progress}", standing.name));
        lines.extend(error.map(|error| format!("  {:width$}  {error}", "")));
        for (stream, hold) in standing.held() {
            let Hold { after, error, hint, .. } = hold;
            lines.push(format!("  {:width$}  stream `{stream}` held after commit {after}: {error}", ""));
            lines.extend(hint.as_ref().map(|hint| format!("  {:width$}  hint: {hint}", "")));
        }
        for (stream, anew) in standing.anew() {
            let left = standing.sequence().saturating_sub(anew.after);
            lines.push(format!(
                "  {:width$}  stream `{stream}` is being filled anew: {left} commits to go",
                ""
            ));
        }
        let told = match standing.dead_letters {
            0 => continue,
            1 => "1 dead letter".to_owned(),
            letters => format!("{} dead letters", grouped(letters as u64)),
        };
        lines.push(format!("  {:width$}  {told}: see `tidemark dead-letters FILE list`", ""));
    }
    lines.join("\n")
}

fn for_programs(picture: &Picture<'_>) -> Json {
    let Picture { log, runner, reading, held_back, retention, streams, schema_changes, destinations } =
        picture;
    let anew = |(stream, anew): (&StreamName, &Anew)| json!({"stream": stream, "from": anew.from, "after": anew.after, "waits": anew.waits});
    let held = |(stream, hold): (&StreamName, &Hold)| {
        let Hold { after, error, kind, hint, .. } = hold;
        json!({"stream": stream, "commit": after, "error": error, "kind": kind, "hint": hint})
    };
    let standing = |standing: &Standing<'_>| {
        let (state, error) = standing.state(runner);
        json!({
            "name": standing.name,
            "live": standing.live,
            "state": state,
            "paused": standing.paused,
            "error": error,
            "held": standing.held().map(held).collect::<Vec<_>>(),
            "dead_letters": standing.dead_letters,
            "anew": standing.anew().map(anew).collect::<Vec<_>>(),
            "commit": standing.sequence(),
            "behind": standing.behind(log),
            "changes": standing.mark.as_ref().map_or(0, |mark| mark.rows),
            "as_of": standing.mark.as_ref().map(|mark| mark.time),
        })
    };
    let schema_change = |change: &SchemaChange| {
        let SchemaChange { stream, commit, time, differences } = change;
        let differences: Vec<_> = differences.iter().map(ToString::to_string).collect();
        json!({"stream": stream, "commit": commit, "recorded": time, "differences": differences})
    };
    let times = log.head_times();
    json!({
        "pipeline": log.pipeline(),
        "running": running_for_programs(runner),
        "trouble": trouble_of(runner),
        "log": {
            "id": log.id(),
            "commit": log.head().sequence,
            "recorded": times.map(|(recorded, _)| recorded),
            "source_time": times.map(|(_, watermark)| watermark),
            "syncing": log.syncing().keys().map(|stream| stream.as_str()).collect::<Vec<_>>(),
            "parts": log.cursor().parts().map(|(part, _)| part.as_str()).collect::<Vec<_>>(),
        },
        "reading": reading.for_programs(),
        "kept": retention.for_programs(),
        "schema_changes": schema_changes.iter().map(schema_change).collect::<Vec<_>>(),
        "source": match held_back {
            Ok(None) => json!({}),
            Ok(Some(HeldBack { bytes, status })) => json!({"held_back": bytes, "slot": status}),
            Err(error) => json!({"error": error.to_string()}),
        },
        "streams": streams.for_programs(),
        "destinations": destinations.iter().map(standing).collect::<Vec<_>>(),
    })
}

/// Bytes in the largest unit that leaves a whole number before the point.
fn size(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", bytes as f64 / unit as f64),
        None => format!("{bytes} B"),
    }
}

/// A time to the second.
fn short(time: Time) -> String {
    let text = time.to_string();
    text.split_once('.').map_or(text.clone(), |(seconds, _)| format!("{seconds}Z"))
}
