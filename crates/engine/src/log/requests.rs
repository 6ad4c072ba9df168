//! What people ask of a pipeline while it may be running elsewhere: kept in the store until whoever runs it has seen to it.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{Log, document, names, store::Placed};
use crate::{Error, Result, Time, schema::StreamName};

/// What this process has seen of them. Nobody waits for anybody else's look: whoever looks may be left alone for as long as a delivery takes.
#[derive(Debug, Default)]
pub(super) struct Looks(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// When the last look that was finished began, and what there was.
    last: Option<(Time, Vec<(String, Request)>)>,
    /// When the last look began.
    begun: Option<Time>,
    /// What was seen to, also while somebody looked.
    forgotten: BTreeSet<String>,
}

impl Looks {
    /// What was seen less than `age` ago, or before while somebody looks; `None` where the caller is the one who is to look.
    fn recent(&self, now: Time, age: Duration) -> Option<Vec<(String, Request)>> {
        let is_recent = |time: Time| time <= now && u128::from(now.micros_since(time)) < age.as_micros();
        let mut seen = self.seen();
        if let Some((time, requests)) = &seen.last
            && (is_recent(*time) || seen.begun.is_some_and(is_recent))
        {
            return Some(requests.clone());
        }
        seen.begun = Some(now);
        None
    }

    /// Keeps what a look that began at `time` has found, and gives what of it is still to be seen to.
    fn found(&self, time: Time, mut requests: Vec<(String, Request)>) -> Vec<(String, Request)> {
        let mut seen = self.seen();
        requests.retain(|(id, _)| !seen.forgotten.contains(id));
        if seen.last.as_ref().is_none_or(|(last, _)| *last <= time) {
            seen.last = Some((time, requests.clone()));
        }
        requests
    }

    fn forget(&self, id: &str) {
        let mut seen = self.seen();
        seen.forgotten.insert(id.to_owned());
        if let Some((_, requests)) = &mut seen.last {
            requests.retain(|(other, _)| other != id);
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something to be done by the process that runs the pipeline, now or when it is run next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum Request {
    /// A new initial sync of these streams, beside what goes on.
    Resync {
        /// Empty: all.
        streams: Vec<StreamName>,
    },
    /// The source is to be read now.
    Read,
    /// Dead letters of a destination are to be written after all.
    Retry {
        /// Whose.
        destination: String,
        /// Which; empty: all.
        letters: Vec<String>,
    },
    /// Nothing is to be given to a destination, for as long as this stands.
    Pause {
        /// Which.
        destination: String,
    },
    /// Dead letters of a destination are not to be written any more.
    Discard {
        /// Whose.
        destination: String,
        /// Which; empty: all.
        letters: Vec<String>,
    },
}

impl Request {
    /// Whether it pauses `destination`.
    pub fn pauses(&self, destination: &str) -> bool {
        matches!(self, Self::Pause { destination: paused } if paused == destination)
    }
}

impl Log {
    /// Keeps `request` until it is seen to, and names it.
    pub async fn ask(&self, request: &Request) -> Result<String> {
        loop {
            let id = format!("{}-{}", self.world().now().compact(), self.world().name(4));
            let path = names::request(&id);
            let bytes = document::write(&path, request, "a request")?;
            if self.store().place(&path, bytes).await? == Placed::Ours {
                return Ok(id);
            }
        }
    }

    /// What has been asked and not been seen to, oldest first.
    pub async fn requests(&self) -> Result<Vec<(String, Request)>> {
        let mut requests = Vec::new();
        for path in self.store().objects(&names::requests()).await? {
            let (Some(id), Some(bytes)) = (path.filename(), self.store().get(&path).await?) else { continue };
            let request = document::read(&path, &bytes).map_err(|what| {
                Error::conflict(format!("the request `{path}` is damaged: {what}"))
                    .hint("remove it, and ask again")
            })?;
            requests.push((id.to_owned(), request));
        }
        requests.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(requests)
    }

    /// The same as of a moment that is past by little more than `age`: however many ask, the store is looked at once in so long.
    pub(crate) async fn recent_requests(&self, age: Duration) -> Result<Vec<(String, Request)>> {
        let now = self.world().now();
        match self.0.looks.recent(now, age) {
            Some(requests) => Ok(requests),
            None => Ok(self.0.looks.found(now, self.requests().await?)),
        }
    }

    /// Forgets a request: it has been seen to.
    pub async fn forget_request(&self, id: &str) -> Result<()> {
        self.store().delete(&names::request(id)).await?;
        self.0.looks.forget(id);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
