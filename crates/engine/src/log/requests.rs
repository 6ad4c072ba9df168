//! What people ask of a pipeline while it may be running elsewhere: kept in the store until whoever runs it has seen to it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::{Log, document, names, store::Placed};
use crate::{Error, Result, Time, schema::StreamName};

/// What was there when somebody of this process last looked.
#[derive(Debug, Default)]
pub(super) struct LastLook(Mutex<Option<Look>>);

#[derive(Debug)]
struct Look {
    time: Time,
    requests: Vec<(String, Request)>,
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
    /// Dead letters of a destination are to be written after all.
    Retry {
        /// Whose.
        destination: String,
        /// Which; empty: all.
        letters: Vec<String>,
    },
    /// Dead letters of a destination are not to be written any more.
    Discard {
        /// Whose.
        destination: String,
        /// Which; empty: all.
        letters: Vec<String>,
    },
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

    /// The same as of a moment that is past by at most `age`: however many ask, the store is looked at once in so long.
    pub(crate) async fn recent_requests(&self, age: Duration) -> Result<Vec<(String, Request)>> {
        let mut last = self.0.last_look.0.lock().await;
        let now = self.world().now();
        if let Some(Look { time, requests }) = &*last
            && *time <= now
            && u128::from(now.micros_since(*time)) < age.as_micros()
        {
            return Ok(requests.clone());
        }
        let requests = self.requests().await?;
        *last = Some(Look { time: now, requests: requests.clone() });
        Ok(requests)
    }

    /// Forgets a request: it has been seen to.
    pub async fn forget_request(&self, id: &str) -> Result<()> {
        self.store().delete(&names::request(id)).await?;
        if let Some(Look { requests, .. }) = &mut *self.0.last_look.0.lock().await {
            requests.retain(|(other, _)| other != id);
        }
        Ok(())
    }
}
