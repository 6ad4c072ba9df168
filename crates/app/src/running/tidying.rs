//! Housekeeping of the staging log, beside the loops of a run.

use tidemark_engine::{
    Stop,
    log::{Housekeeping, HousekeepingSettings, Log},
};

use crate::pipeline_file::Pipeline;

/// Keeps the log in order while a pipeline runs, and once more at its end.
pub(super) struct Tidying {
    housekeeping: Housekeeping,
    /// Whether the run is over when everything is everywhere: nobody else would drop what is old then.
    once: bool,
    stop: Stop,
    /// What ends the run before its time.
    ends: Stop,
}

impl Tidying {
    pub(super) fn new(pipeline: &Pipeline, log: Log, once: bool, ends: Stop) -> Self {
        let staging = &pipeline.staging;
        let stop = Stop::new();
        let settings = HousekeepingSettings {
            format: staging.format,
            fold_after: staging.fold_after,
            retention: staging.retention.clone(),
        };
        Self { housekeeping: Housekeeping::new(log, settings, stop.clone()), once, stop, ends }
    }

    /// What ends it: what it is doing is brought to its end.
    pub(super) fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// Does what is due until it is stopped, then once more: a run that is over soon has to do its share too. What fails for good
    /// is said once; the loops go on without.
    pub(super) async fn serve(&mut self) {
        if let Err(error) = self.housekeeping.run().await {
            tracing::error!(%error, hint = error.hint_text(), "housekeeping has stopped");
            self.stop.stopped().await;
            return;
        }
        if let Err(error) = self.housekeeping.finish(self.once, &self.ends).await {
            tracing::warn!(%error, hint = error.hint_text(), "the staging log is left to the next run as it is");
        }
    }
}
