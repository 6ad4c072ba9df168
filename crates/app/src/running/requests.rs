//! What people ask of a pipeline that is being run: looked for in the staging store, and handed to whoever sees to it.

use std::{convert::Infallible, time::Duration};

use tidemark_engine::{
    Error,
    log::{Log, Request},
    read::{Nudges, Resyncs},
};

/// How often requests are looked for: the listing of a folder.
const LOOK: Duration = Duration::from_secs(1);

/// Hands requests to those who see to them, and forgets those that are seen to.
pub(super) struct Requests {
    log: Log,
    resyncs: Resyncs,
    nudges: Nudges,
    /// What has been said to be in the way, so that it is said once.
    said: Option<String>,
}

impl Requests {
    pub(super) fn new(log: Log, resyncs: Resyncs, nudges: Nudges) -> Self {
        Self { log, resyncs, nudges, said: None }
    }

    /// Serves until dropped.
    pub(super) async fn serve(&mut self) -> Infallible {
        loop {
            tokio::select! {
                () = self.log.world().sleep(LOOK) => self.look().await,
                () = self.any_met() => {
                    self.forget().await;
                    // What cannot be forgotten is not tried again at once, and must not keep what else is asked from being seen.
                    self.log.world().sleep(LOOK).await;
                    self.look().await;
                }
            }
        }
    }

    /// Returns once something is seen to, and not forgotten.
    async fn any_met(&self) {
        tokio::select! {
            () = self.resyncs.any_met() => {}
            () = self.nudges.any_met() => {}
        }
    }

    /// Hands over what has been asked by now. A store that does not answer is asked again later.
    pub(super) async fn look(&mut self) {
        match self.log.requests().await {
            Ok(requests) => requests.iter().for_each(|(id, request)| self.hand_over(id, request)),
            Err(error) => self.say(&error),
        }
    }

    fn say(&mut self, error: &Error) {
        let text = error.to_string();
        if self.said.as_ref() != Some(&text) {
            tracing::warn!(%error, hint = error.hint_text(), "requests wait");
            self.said = Some(text);
        }
    }

    fn hand_over(&self, id: &str, request: &Request) {
        match request {
            Request::Resync { streams } => self.resyncs.ask(id, streams),
            Request::Read => self.nudges.ask(id),
            // The write loops look for those themselves.
            Request::Retry { .. } | Request::Discard { .. } | Request::Pause { .. } => {}
        }
    }

    /// Forgets what is seen to; what cannot be forgotten now is when this is asked again.
    pub(super) async fn forget(&mut self) {
        for id in self.resyncs.met() {
            match self.log.forget_request(&id).await {
                Ok(()) => self.resyncs.forgotten(&id),
                Err(error) => self.say(&error),
            }
        }
        for id in self.nudges.met() {
            match self.log.forget_request(&id).await {
                Ok(()) => self.nudges.forgotten(&id),
                Err(error) => self.say(&error),
            }
        }
    }
}
