//! SIGTERM and SIGINT: the first asks for an orderly end, the second ends the process at once. Either is safe.

use std::process;

use tidemark_engine::{Error, Result, Stop};
use tokio::signal::unix::{SignalKind, signal};

/// Leaving at once, as a shell reports a process that SIGINT ended.
const INTERRUPTED: i32 = 130;

/// A switch that the first signal throws.
pub(crate) fn stop_on_signals() -> Result<Stop> {
    let cannot = |error| Error::internal("cannot listen for signals").source(error);
    let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
    let stop = Stop::new();
    let switch = stop.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if switch.is_stopped() {
                process::exit(INTERRUPTED);
            }
            tracing::info!("stopping; a second signal leaves at once");
            switch.stop();
        }
    });
    Ok(stop)
}
