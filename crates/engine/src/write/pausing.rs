//! Destinations that somebody has paused: they are let go of, and left alone until they are resumed.

use std::time::Duration;

use super::{WriteLoop, WriteStrategy, write_loop::Run};
use crate::{
    Result,
    log::{MarkState, Request},
};

/// How often it is looked whether a paused destination is resumed.
const EVERY: Duration = Duration::from_secs(2);

/// How a pause ended.
pub(super) enum Rested {
    /// The destination goes on.
    Resumed,
    /// The loop is to end, and the pause stays.
    Ended,
}

impl WriteLoop {
    /// Whether somebody has paused the destination. Nothing is given to one of which the store does not tell.
    pub(super) async fn is_paused(&self) -> Result<bool> {
        Ok(self.may_be_paused && self.is_paused_by(&self.log.recent_requests(EVERY).await?))
    }

    /// Whether one of `requests` pauses the destination.
    pub(super) fn is_paused_by(&self, requests: &[(String, Request)]) -> bool {
        self.may_be_paused && requests.iter().any(|(_, request)| request.pauses(&self.destination))
    }

    /// Lets go of the destination until it is resumed, or until everything has been read that is to be.
    pub(super) async fn rest(&self, strategy: &mut dyn WriteStrategy, run: &mut Run<'_>) -> Rested {
        let destination = &self.destination;
        tracing::warn!(%destination, hint = "`tidemark resume` has it go on", "the destination is paused");
        if let Err(error) = strategy.close().await {
            // What it was given is safe without it.
            tracing::warn!(%destination, %error, hint = error.hint_text(), "the paused destination was not left in good order");
        }
        run.report.say(MarkState::Paused).await;
        let mut horizon = self.horizon.clone();
        let read_to_its_end = async {
            if horizon.wait_for(Option::is_some).await.is_err() {
                // Whoever set the horizon is gone: it stays as it is.
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            () = self.stop.stopped() => Rested::Ended,
            () = self.resumed() => {
                tracing::info!(%destination, "the destination goes on");
                run.report.say(MarkState::Running).await;
                Rested::Resumed
            }
            () = read_to_its_end => Rested::Ended,
        }
    }

    /// Returns once the destination is paused no more. While the store does not tell, it stays paused.
    async fn resumed(&self) {
        loop {
            self.log.world().sleep(EVERY).await;
            if matches!(self.is_paused().await, Ok(false)) {
                return;
            }
        }
    }
}
