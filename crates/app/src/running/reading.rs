//! The reading half of a run: when the source is read, and how often.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use tidemark_engine::{
    Result, Stop,
    log::Log,
    read::{ReadLoop, ReadSettings, ReadStrategy, Resyncs},
};
use tokio::sync::watch;

use crate::pipeline_file::{Pipeline, Trigger};

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
            until_caught_up: once || pipeline.trigger != Trigger::Always,
        };
        let source = pipeline.source.strategy(&pipeline.home)?;
        let read_loop = ReadLoop::new(log.clone(), settings, stop.clone());
        Ok(Self { log, trigger: pipeline.trigger, once, stop, read_loop, source, horizon })
    }

    /// How many changes have been read so far.
    pub(super) fn rows(&self) -> Arc<AtomicU64> {
        self.read_loop.read()
    }

    /// Where to ask for streams to be read anew.
    pub(super) fn resyncs(&self) -> Resyncs {
        self.read_loop.resyncs()
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
        loop {
            let begun = self.log.world().now();
            self.read_loop.run(self.source.as_mut()).await?;
            let Trigger::Every(period) = self.trigger else { return Ok(()) };
            if self.once || self.stop.is_stopped() {
                return Ok(());
            }
            let (world, resyncs) = (self.log.world(), self.resyncs());
            let taken = Duration::from_micros(world.now().micros_since(begun));
            tokio::select! {
                () = self.stop.stopped() => return Ok(()),
                // Whoever asks for something does not wait for the next time.
                () = resyncs.any_asked() => {}
                () = world.sleep(period.saturating_sub(taken)) => {}
            }
        }
    }
}
