//! A pipeline at work: its read loop, a write loop for each destination, signals, and what a person sees of it.

mod pipeline_run;
mod progress;
mod reading;
mod requests;
mod signals;

pub(crate) use pipeline_run::{Outcome, PipelineRun, Written};
pub(crate) use progress::{BARS, Watched, watch};
pub(crate) use signals::stop_on_signals;
