//! The reading half of a run: when the source is read, and how often.

use std::sync::{Arc, atomic::AtomicU64};

use tidemark_engine::{
    Result, Stop,
    change::Reshape,
    log::Log,
    read::{End, Nudges, ReadLoop, ReadSettings, ReadStrategy, Resyncs, Seen},
};
use tokio::sync::watch;

use super::{due::Due, webhook::Listening};
use crate::pipeline_file::{Occasions, Pipeline, Trigger};

/// Reads the source whenever the trigger says so.
pub(super) struct Reading {
    log: Log,
    trigger: Trigger,
    once: bool,
    stop: Stop,
    read_loop: ReadLoop,
    source: Box<dyn ReadStrategy>,
    /// Told the last commit when there will be no more.
    horizon: watch::Sender<Option<u64>>,
}

impl Reading {
    pub(super) fn new(
        pipeline: &Pipeline,
        log: Log,
        once: bool,
        stop: Stop,
        horizon: watch::Sender<Option<u64>>,
    ) -> Result<Self> {
        let settings = ReadSettings {
            format: pipeline.staging.format,
            max_delay: pipeline.staging.max_delay,
            memory: pipeline.staging.memory,
            until_caught_up: once || matches!(pipeline.trigger, Trigger::Sweeps(_)),
        };
        let source = pipeline.source.strategy(&pipeline.home)?;
        let reshape = pipeline.transforms.clone().map(|transforms| transforms as Arc<dyn Reshape>);
        let read_loop = ReadLoop::new(log.clone(), settings, stop.clone()).reshaped_by(reshape);
        Ok(Self { log, trigger: pipeline.trigger.clone(), once, stop, read_loop, source, horizon })
    }

    /// How many changes have been read so far.
    pub(super) fn rows(&self) -> Arc<AtomicU64> {
        self.read_loop.read()
    }

    /// Where to ask for streams to be read anew.
    pub(super) fn resyncs(&self) -> Resyncs {
        self.read_loop.resyncs()
    }

    /// Where to ask for a reading.
    pub(super) fn nudges(&self) -> Nudges {
        self.read_loop.nudges()
    }

    /// Reads until stopped or, once, until caught up. However it ends, destinations may play what is in the log.
    pub(super) async fn run(mut self) -> Result<()> {
        let outcome = self.read().await;
        if let Err(error) = self.read_loop.retire().await {
            tracing::debug!(%error, "cannot say that this run adds nothing more");
        }
        self.horizon.send_replace(Some(self.log.head().sequence));
        outcome
    }

    async fn read(&mut self) -> Result<()> {
        let Trigger::Sweeps(occasions) = self.trigger.clone() else {
            return self.read_always().await;
        };
        if self.once {
            let seen = self.nudges().seen();
            return self.sweep(&seen).await.map(drop);
        }
        let Some(webhook) = &occasions.webhook else { return self.sweeps(&occasions).await };
        let listening = Listening::open(webhook, self.nudges()).await?;
        tokio::select! {
            read = self.sweeps(&occasions) => read,
            never = listening.serve() => match never {},
        }
    }

    /// Reads while the source is waited for: whoever asks for a reading has it.
    async fn read_always(&mut self) -> Result<()> {
        let nudges = self.nudges();
        let met_at_once = async {
            loop {
                let seen = nudges.seen();
                nudges.meet(&seen);
                nudges.more_than(&seen).await;
            }
        };
        tokio::select! {
            ended = self.read_loop.run(self.source.as_mut()) => ended.map(drop),
            never = met_at_once => match never {},
        }
    }

    /// Reads to the source's end on each of `occasions` until stopped.
    async fn sweeps(&mut self, occasions: &Occasions) -> Result<()> {
        let (stop, resyncs, nudges) = (self.stop.clone(), self.resyncs(), self.nudges());
        let mut due = Due::new(self.log.world().clone(), occasions);
        let mut seen = Seen::default();
        loop {
            tokio::select! {
                () = stop.stopped() => return Ok(()),
                // Whoever asks for something does not wait for the next time.
                () = resyncs.any_asked() => {}
                () = nudges.more_than(&seen) => {}
                () = due.come() => {}
            }
            seen = nudges.seen();
            due.begin();
            if self.sweep(&seen).await? == End::Stopped {
                return Ok(());
            }
        }
    }

    /// Reads to the source's end, which meets what was `seen` to be asked.
    async fn sweep(&mut self, seen: &Seen) -> Result<End> {
        let end = self.read_loop.run(self.source.as_mut()).await?;
        if end != End::Stopped && !self.stop.is_stopped() {
            self.nudges().meet(seen);
        }
        Ok(end)
    }
}
