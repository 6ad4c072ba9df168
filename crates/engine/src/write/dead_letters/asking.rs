//! What people ask of a destination, looked for from time to time.

use std::time::Duration;

use futures::{FutureExt, future::BoxFuture};

use crate::{
    Result,
    log::{Log, Request},
};

/// How often, besides at the start.
const EVERY: Duration = Duration::from_secs(2);

/// Looks for requests of one destination.
pub(in crate::write) struct Asking {
    log: Log,
    destination: String,
    /// The next look, when it is time. It outlives whoever waits for it and is dropped.
    next: BoxFuture<'static, Result<Vec<(String, Request)>>>,
    has_looked: bool,
}

impl Asking {
    /// At once, for the first time.
    pub(super) fn at_once(log: &Log, destination: &str) -> Self {
        let next = look(log.clone(), destination.to_owned(), Duration::ZERO);
        Self { log: log.clone(), destination: destination.to_owned(), next, has_looked: false }
    }

    /// What has been asked before this process began; empty when it has looked already.
    ///
    /// Fails with [`crate::ErrorKind::Unavailable`] when the store does not tell.
    pub(super) async fn asked_before(&mut self) -> Result<Vec<(String, Request)>> {
        if self.has_looked { Ok(Vec::new()) } else { self.looked().await }
    }

    /// Returns when it is time to look, with what has been asked. That the store does not tell is no reason to stop: others find
    /// out, and it is asked again. May be dropped at any await.
    pub(super) async fn asked(&mut self) -> Vec<(String, Request)> {
        self.looked().await.unwrap_or_else(|error| {
            tracing::warn!(%error, hint = error.hint_text(), "cannot see what has been asked");
            Vec::new()
        })
    }

    async fn looked(&mut self) -> Result<Vec<(String, Request)>> {
        let requests = (&mut self.next).await;
        self.next = look(self.log.clone(), self.destination.clone(), EVERY);
        self.has_looked |= requests.is_ok();
        requests
    }
}

/// Looks for requests of `destination` after a while.
fn look(
    log: Log,
    destination: String,
    after: Duration,
) -> BoxFuture<'static, Result<Vec<(String, Request)>>> {
    let look = async move {
        if !after.is_zero() {
            log.world().sleep(after).await;
        }
        let requests = log.recent_requests(EVERY).await?;
        Ok(requests.into_iter().filter(|(_, request)| is_for(request, &destination)).collect())
    };
    look.boxed()
}

/// Whether `request` is for whoever writes to `destination`.
pub(super) fn is_for(request: &Request, destination: &str) -> bool {
    match request {
        Request::Retry { destination: whose, .. }
        | Request::Discard { destination: whose, .. }
        | Request::Pause { destination: whose } => whose == destination,
        Request::Resync { .. } | Request::Read => false,
    }
}
