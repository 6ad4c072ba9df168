//! When the source is read.

mod schedule;

use std::{fmt, net::SocketAddr, time::Duration};

use tidemark_connectors::config::{Interval, Secret};

pub(crate) use schedule::Schedule;
pub(super) use schedule::zone;

/// When the source is read.
#[derive(Debug, Clone)]
pub(crate) enum Trigger {
    /// Always: the source is waited for.
    Always,
    /// To its end, whenever there is an occasion.
    Sweeps(Box<Occasions>),
}

/// What has the source read to its end. Whatever they are, a person may ask for it too: with none of them, only then it is read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Occasions {
    /// This much time from one start to the next; the first is when the pipeline starts.
    pub(crate) every: Option<Duration>,
    /// Times of the calendar.
    pub(crate) schedule: Option<Schedule>,
    /// Requests over HTTP.
    pub(crate) webhook: Option<Webhook>,
}

/// Where requests to read are listened for.
#[derive(Debug, Clone)]
pub(crate) struct Webhook {
    pub(crate) listen: SocketAddr,
    /// Begins with `/`.
    pub(crate) path: String,
    /// What a request must show, as `Authorization: Bearer …`.
    pub(crate) secret: Option<Secret>,
}

/// What follows "reads": `always`, `every 15m, at …`.
impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Sweeps(occasions) = self else { return f.write_str("always") };
        let Occasions { every, schedule, webhook } = occasions.as_ref();
        let mut phrases = Vec::new();
        phrases.extend(every.map(|period| format!("every {}", Interval(period))));
        phrases.extend(schedule.as_ref().map(|schedule| format!("at {schedule}")));
        phrases.extend(
            webhook.as_ref().map(|Webhook { listen, path, .. }| format!("on POST to http://{listen}{path}")),
        );
        if phrases.is_empty() {
            phrases.push("when asked".to_owned());
        }
        f.write_str(&phrases.join(", "))
    }
}
