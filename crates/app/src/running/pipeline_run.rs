//! One run of a pipeline: the source is read into the log while every live destination plays the log.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tidemark_engine::{
    Error, Result, Stop,
    log::{Ledger, Log},
    write::{Progress, WriteLoop, WriteStrategy},
};
use tokio::{sync::watch, task::JoinSet};

use super::{progress::Watched, reading::Reading, requests::Requests, tidying::Tidying};
use crate::pipeline_file::{Destination, Pipeline};

/// A pipeline ready to run.
pub(crate) struct PipelineRun {
    log: Log,
    stop: Stop,
    reading: Reading,
    writing: Vec<Writing>,
    tidying: Tidying,
}

struct Writing {
    destination: String,
    write_loop: WriteLoop,
    strategy: Box<dyn WriteStrategy>,
}

/// What a run did.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Changes read from the source.
    pub(crate) read: u64,
    /// Commits added to the log.
    pub(crate) commits: u64,
    /// The last commit of the log.
    pub(crate) head: u64,
    pub(crate) written: Vec<Written>,
    /// What went wrong, first things first.
    pub(crate) errors: Vec<Error>,
}

/// What a run did to one destination.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) destination: String,
    pub(crate) rows: u64,
    /// The last commit that it has.
    pub(crate) sequence: u64,
    /// Changes that it could not take.
    pub(crate) dead_letters: u64,
}

impl PipelineRun {
    /// Prepares a run of `pipeline` over `log`, until `stop` or, with `once`, until everything that the source has now is
    /// everywhere.
    pub(crate) fn new(pipeline: &Pipeline, log: Log, once: bool, stop: Stop) -> Result<Self> {
        // While the source is read, nobody knows the last commit.
        let (horizon, last_commit) = watch::channel(None);
        let live = pipeline.destinations.iter().filter(|destination| destination.live);
        let writing = live.map(|destination| {
            let plan = destination.plan();
            let Destination { writing, system, .. } = destination;
            let destination = writing.destination.clone();
            let strategy = system.strategy(&pipeline.home, writing, Ledger::new(&log, &destination))?;
            let write_loop =
                WriteLoop::new(log.clone(), &destination, plan, last_commit.clone(), stop.clone())
                    .that_may_be_paused();
            Ok(Writing { destination, write_loop, strategy })
        });
        Ok(Self {
            writing: writing.collect::<Result<_>>()?,
            tidying: Tidying::new(pipeline, log.clone(), once, stop.clone()),
            reading: Reading::new(pipeline, log.clone(), once, stop.clone(), horizon)?,
            stop,
            log,
        })
    }

    /// What can be watched while it runs.
    pub(crate) fn watched(&self) -> Watched {
        Watched { log: self.log.clone(), read: Some(self.reading.rows()), destinations: self.progress() }
    }

    fn progress(&self) -> Vec<(String, Arc<Progress>)> {
        let progress = |writing: &Writing| (writing.destination.clone(), writing.write_loop.progress());
        self.writing.iter().map(progress).collect()
    }

    /// Runs it to its end. A destination that fails stops alone; the source stops when no destination is left.
    pub(crate) async fn run(self) -> Outcome {
        let begin = self.log.head().sequence;
        let (rows, progress) = (self.reading.rows(), self.progress());
        let Self { log, stop, reading, writing, mut tidying } = self;

        let mut loops = JoinSet::new();
        for Writing { write_loop, mut strategy, .. } in writing {
            loops.spawn(async move { write_loop.run(strategy.as_mut()).await });
        }
        let has_destinations = !loops.is_empty();
        let mut requests = Requests::new(log.clone(), reading.resyncs(), reading.nudges());
        // What was asked while nobody ran it is seen to first.
        requests.look().await;
        let errors = {
            let mut serving = std::pin::pin!(requests.serve());
            let mut reading = std::pin::pin!(reading.run());
            let stop_tidying = tidying.stop();
            let mut tidying = std::pin::pin!(tidying.serve());
            let (mut is_reading, mut is_tidying, mut errors) = (true, true, Vec::new());
            while is_reading || !loops.is_empty() {
                tokio::select! {
                    ended = &mut reading, if is_reading => {
                        is_reading = false;
                        if let Err(error) = ended {
                            tracing::error!(%error, "reading has stopped");
                            errors.push(error);
                        }
                    }
                    never = &mut serving => match never {},
                    () = &mut tidying, if is_tidying => is_tidying = false,
                    Some(ended) = loops.join_next() => {
                        if let Err(error) = ended.map_err(Error::from).flatten() {
                            tracing::error!(%error, "a destination has stopped");
                            errors.push(error);
                        }
                        // Once everything is everywhere nobody has to be stopped.
                        if loops.is_empty() && has_destinations && is_reading {
                            stop.stop();
                        }
                    }
                }
            }
            stop_tidying.stop();
            if is_tidying {
                tidying.await;
            }
            errors
        };
        requests.forget().await;
        Outcome::new(begin, &log, &rows, &progress, errors)
    }
}

impl Outcome {
    fn new(
        begin: u64,
        log: &Log,
        rows: &AtomicU64,
        progress: &[(String, Arc<Progress>)],
        errors: Vec<Error>,
    ) -> Self {
        let head = log.head().sequence;
        let written = progress.iter().map(|(destination, progress)| Written {
            destination: destination.clone(),
            rows: progress.rows(),
            sequence: progress.sequence(),
            dead_letters: progress.dead_letters(),
        });
        Self {
            read: rows.load(Ordering::Relaxed),
            commits: head - begin,
            head,
            written: written.collect(),
            errors,
        }
    }
}
