//! What people ask of a destination's dead letters, looked for from time to time.

use std::time::Duration;

use futures::{FutureExt, future::BoxFuture};

use crate::log::{Log, Request};

/// How often, besides at the start.
const EVERY: Duration = Duration::from_secs(2);

/// Looks for requests of one destination.
pub(in crate::write) struct Asking {
    log: Log,
    destination: String,
    next: BoxFuture<'static, ()>,
}

impl Asking {
    /// At once, for the first time.
    pub(super) fn at_once(log: &Log, destination: &str) -> Self {
        let next = std::future::ready(()).boxed();
        Self { log: log.clone(), destination: destination.to_owned(), next }
    }

    /// Returns when it is time to look, with what has been asked. That the store does not tell is no reason to stop: others find
    /// out, and it is asked again. May be dropped at any await.
    pub(super) async fn asked(&mut self) -> Vec<(String, Request)> {
        (&mut self.next).await;
        let requests = match self.log.recent_requests(EVERY).await {
            Ok(requests) => requests,
            Err(error) => {
                tracing::warn!(%error, hint = error.hint_text(), "cannot see what has been asked");
                Vec::new()
            }
        };
        let world = self.log.world().clone();
        self.next = async move { world.sleep(EVERY).await }.boxed();
        requests.into_iter().filter(|(_, request)| is_for(request, &self.destination)).collect()
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
