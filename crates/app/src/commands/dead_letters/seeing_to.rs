//! What becomes of dead letters: only a write loop acts on them, that of the running process or one of our own.

use serde_json::json;
use tidemark_engine::{
    ErrorKind, Result, Stop,
    log::{Ledger, LetterId, Log, Request, RunLock, Runner},
    write::WriteLoop,
};
use tokio::sync::watch;

use super::{Action, DeadLetters, Kept};
use crate::{commands::UNKNOWN, digits::grouped, failure::Failure, output::Output, pipeline_file::Pipeline};

/// What came of it at one destination.
struct Seen {
    destination: String,
    letters: usize,
    left: Vec<LetterId>,
}

impl DeadLetters {
    pub(super) async fn see_to(
        &self,
        pipeline: &Pipeline,
        log: &Log,
        boxes: Vec<Kept<'_>>,
        ids: &[LetterId],
        output: &Output,
    ) -> Result<(), Failure> {
        let mut boxes = boxes;
        boxes.retain(|it| !it.letters.is_empty());
        if boxes.is_empty() {
            return match self.json {
                true => output.json(&json!([])),
                false => output.say("there are no dead letters"),
            };
        }
        for it in &boxes {
            let destination = it.name().to_owned();
            let wanted = it.letters.iter().map(|letter| letter.id.to_string());
            let letters = if ids.is_empty() { Vec::new() } else { wanted.collect() };
            let request = match self.action {
                Action::Discard => Request::Discard { destination, letters },
                _ => Request::Retry { destination, letters },
            };
            log.ask(&request).await?;
        }
        // Somebody who has begun to run it since will see to it.
        let runner = RunLock::runner(log.store());
        let lock = match runner {
            Runner::Process(_) | Runner::Untold => None,
            Runner::Nobody => RunLock::take(log.store(), log.world()).await.ok(),
        };
        if lock.is_none() {
            return self.say_asked(&boxes, &runner, output);
        }
        let mut seen = Vec::new();
        for it in &boxes {
            seen.push(see_to(pipeline, log, it).await?);
        }
        self.say_seen(&seen, output)
    }

    fn say_asked(&self, boxes: &[Kept<'_>], runner: &Runner, output: &Output) -> Result<(), Failure> {
        let holder = match runner {
            Runner::Process(holder) => holder.process.as_str(),
            Runner::Untold => UNKNOWN,
            Runner::Nobody => "another process",
        };
        if self.json {
            let asked = boxes.iter().map(|it| {
                json!({"destination": it.name(), "letters": it.letters.len(), "asked": holder, "left": null})
            });
            return output.json(&asked.collect::<Vec<_>>());
        }
        let letters = boxes.iter().map(|it| it.letters.len() as u64).sum();
        let letters = grouped(letters);
        output.say(match runner {
            Runner::Untold => format!(
                "asked whoever runs the pipeline, now or next, to see to {letters} dead letters: in object storage nothing tells \
                 this command that nobody does; `list` tells what is left"
            ),
            _ => format!(
                "asked {holder}, which runs the pipeline, to see to {letters} dead letters; `list` tells what is left"
            ),
        })
    }

    /// A letter that is left is no success.
    fn say_seen(&self, seen: &[Seen], output: &Output) -> Result<(), Failure> {
        if self.json {
            let seen = seen.iter().map(|Seen { destination, letters, left }| {
                json!({"destination": destination, "letters": letters, "asked": null, "left": left})
            });
            output.json(&seen.collect::<Vec<_>>())?;
        } else {
            let done = if self.action == Action::Discard { "discarded" } else { "written" };
            for Seen { destination, letters, left } in seen {
                let gone = grouped(letters.saturating_sub(left.len()) as u64);
                let left = match left.len() {
                    0 => String::new(),
                    left => format!(", {} left: see what `list` tells", grouped(left as u64)),
                };
                output.say(format!("{destination}: {gone} {done}{left}"))?;
            }
        }
        match seen.iter().all(|seen| seen.left.is_empty()) {
            true => Ok(()),
            false => Err(Failure::Told(ErrorKind::Data)),
        }
    }
}

/// Has a write loop of our own do what has been asked of one destination.
async fn see_to(pipeline: &Pipeline, log: &Log, it: &Kept<'_>) -> Result<Seen> {
    let mut strategy = it.destination.system.strategy(
        &pipeline.home,
        &it.destination.writing,
        Ledger::new(log, it.name()),
    )?;
    let (_horizon, last) = watch::channel(Some(0));
    let write_loop = WriteLoop::new(log.clone(), it.name(), it.destination.plan(), last, Stop::new());
    write_loop.see_to_letters(strategy.as_mut()).await?;
    let left = log.dead_letters(it.name()).await?;
    let is_left = |id: &LetterId| left.get(id).is_some_and(|letter| !letter.discarded);
    let left = it.letters.iter().map(|letter| letter.id).filter(is_left);
    Ok(Seen { destination: it.name().to_owned(), letters: it.letters.len(), left: left.collect() })
}
