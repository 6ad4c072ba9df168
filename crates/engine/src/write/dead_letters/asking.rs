//! What people ask of a destination's dead letters, looked for from time to time.

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
    next: BoxFuture<'static, ()>,
    has_looked: bool,
}

impl Asking {
    /// At once, for the first time.
    pub(super) fn at_once(log: &Log, destination: &str) -> Self {
        let next = std::future::ready(()).boxed();
        Self { log: log.clone(), destination: destination.to_owned(), next, has_looked: false }
    }

    /// What has been asked before this process began; empty when it has looked already.
    ///
    /// Fails with [`crate::ErrorKind::Unavailable`] when the store does not tell.
    pub(super) async fn asked_before(&mut self) -> Result<Vec<(String, Request)>> {
        if self.has_looked { Ok(Vec::new()) } else { self.look().await }
    }

    /// Returns when it is time to look, with what has been asked. That the store does not tell is no reason to stop: others find
    /// out, and it is asked again. May be dropped at any await.
    pub(super) async fn asked(&mut self) -> Vec<(String, Request)> {
        (&mut self.next).await;
        // Whoever drops this here shall look when asked again.
        self.next = std::future::ready(()).boxed();
        self.look().await.unwrap_or_else(|error| {
            self.put_off();
            tracing::warn!(%error, hint = error.hint_text(), "cannot see what has been asked");
            Vec::new()
        })
    }

    async fn look(&mut self) -> Result<Vec<(String, Request)>> {
        let requests = self.log.recent_requests(EVERY).await?;
        self.put_off();
        self.has_looked = true;
        Ok(requests.into_iter().filter(|(_, request)| is_for(request, &self.destination)).collect())
    }

    fn put_off(&mut self) {
        let world = self.log.world().clone();
        self.next = async move { world.sleep(EVERY).await }.boxed();
    }
}

/// Whether `request` is about dead letters of `destination`.
pub(super) fn is_for(request: &Request, destination: &str) -> bool {
    match request {
        Request::Retry { destination: whose, .. } | Request::Discard { destination: whose, .. } => {
            whose == destination
        }
        Request::Resync { .. } => false,
    }
}
