//! When the source is read, as `tidemark status` shows it.

use serde_json::{Value as Json, json};
use tidemark_engine::{
    Result, Time,
    log::{Log, Request, Runner},
};

use super::short;
use crate::pipeline_file::Trigger;

/// What has the source read, and what is known of the next time.
pub(super) struct Reading<'p> {
    trigger: &'p Trigger,
    /// The next time of the schedule, where there is one and somebody would keep it.
    next: Option<Time>,
    /// Whether somebody has asked, and no reading since has ended.
    asked: bool,
}

impl<'p> Reading<'p> {
    pub(super) async fn of(trigger: &'p Trigger, log: &Log, runner: &Runner) -> Result<Self> {
        let next = match trigger {
            Trigger::Sweeps(occasions) if *runner != Runner::Nobody => {
                let now = log.world().now();
                occasions.schedule.as_ref().and_then(|schedule| schedule.next_after(now))
            }
            Trigger::Sweeps(_) | Trigger::Always => None,
        };
        let asked = log.requests().await?.iter().any(|(_, request)| *request == Request::Read);
        Ok(Self { trigger, next, asked })
    }

    /// As a line.
    pub(super) fn for_people(&self) -> String {
        let Self { trigger, next, asked } = self;
        let next = next.map_or(String::new(), |next| format!("; next at {}", short(next)));
        let asked = if *asked { "; somebody has asked for it now" } else { "" };
        format!("  the source is read {trigger}{next}{asked}")
    }

    pub(super) fn for_programs(&self) -> Json {
        let Self { trigger, next, asked } = self;
        json!({"trigger": trigger.to_string(), "next": next, "asked": asked})
    }
}
