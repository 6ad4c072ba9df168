//! A pipeline at work: its read loop, a write loop for each destination, signals, and what a person sees of it.

mod due;
mod pipeline_run;
mod progress;
mod reading;
mod requests;
mod signals;
mod tidying;
mod webhook;

pub(crate) use pipeline_run::{Outcome, PipelineRun, Written};
pub(crate) use progress::{BARS, Watched, watch};
pub(crate) use signals::stop_on_signals;

/// The name under which a destination that is filled out of sight, to take the place of `destination`, leaves its marks. No
/// destination can have it.
pub(crate) fn hidden(destination: &str) -> String {
    format!("{destination}.replay")
}
