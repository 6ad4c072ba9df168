//! The attempts of one request.

use std::time::Duration;

use tidemark_engine::world::World;

use super::Reaction;
use crate::http::client::{
    budget::Budget,
    config::Retry,
    failure::{Failed, Failure},
};

/// The wait after the first failure; it doubles.
const FIRST: Duration = Duration::from_millis(500);

/// How often a request was tried.
pub(in crate::http::client) struct Tries<'c> {
    limits: &'c Retry,
    made: u32,
    renewed: bool,
    wait: Duration,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::http::client) enum Next {
    /// The same again.
    Again,
    /// The same again, with other credentials.
    Renewed,
}

impl<'c> Tries<'c> {
    pub(in crate::http::client) fn new(limits: &'c Retry) -> Self {
        Self { limits, made: 0, renewed: false, wait: FIRST }
    }

    /// Waits as `failed` asks for, so that the request may be sent again; or gives it back, when it has been sent often enough
    /// or would fail again.
    pub(in crate::http::client) async fn after(
        &mut self,
        failed: Failed,
        budget: &Budget,
        world: &World,
    ) -> Result<Next, Failure> {
        let Failed { failure, reaction } = failed;
        let asked = match reaction {
            Reaction::Stop => return Err(failure),
            Reaction::Renew if self.renewed => return Err(failure),
            Reaction::Renew => {
                self.renewed = true;
                return Ok(Next::Renewed);
            }
            Reaction::Repeat(asked) | Reaction::RepeatTogether(asked) => asked,
        };
        self.made += 1;
        let growing = world.jitter(self.wait);
        self.wait = (self.wait * 2).min(self.limits.longest_wait.0);
        // Never sooner than asked for, and not all at the same moment.
        let wait = asked.map_or(growing, |asked| asked.saturating_add(world.jitter(asked / 10)));
        let wait = wait.min(self.limits.longest_wait.0);
        if matches!(reaction, Reaction::RepeatTogether(_)) {
            budget.pause(wait, world.now());
        }
        if self.made >= self.limits.attempts {
            return Err(exhausted(failure, self.made));
        }
        tracing::debug!(error = %failure, attempt = self.made, ?wait, "a request is repeated");
        if !matches!(reaction, Reaction::RepeatTogether(_)) {
            world.sleep(wait).await;
        }
        Ok(Next::Again)
    }
}

fn exhausted(failure: Failure, attempts: u32) -> Failure {
    if attempts < 2 {
        return failure;
    }
    Failure { error: Box::new(failure.error.context(format!("after {attempts} attempts"))), ..failure }
}
