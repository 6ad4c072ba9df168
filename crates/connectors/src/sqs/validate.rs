//! What can be said against the pipeline file without asking the service.

use std::time::Duration;

use super::DestinationConfig;
use crate::{
    config::{Problem, Writing},
    messages,
};

/// "SendMessageBatchRequestEntry", `DelaySeconds`.
const LONGEST_DELAY: Duration = Duration::from_secs(900);

impl DestinationConfig {
    /// Everything that is wrong with it, and with how it is to be written.
    pub fn validate(&self, writing: &Writing) -> Vec<Problem> {
        let mut problems = messages::validate(writing);
        match (self.endpoint(), self.client()) {
            (Ok(endpoint), Ok(client)) => problems.extend(client.validate(&endpoint)),
            (Err(error), _) => problems.push(Problem::of("url", &error)),
            (_, Err(error)) => problems.push(Problem::of("region", &error)),
        }
        let delay = self.delay.filter(|delay| delay.0 > LONGEST_DELAY || delay.0.subsec_nanos() > 0);
        if let Some(delay) = delay {
            let problem = Problem::new(["delay"], format!("a message cannot be held back for `{delay}`"));
            problems.push(problem.hint("give whole seconds, up to `15m`"));
        }
        if self.delay.is_some() && self.is_fifo() {
            let problem = Problem::new(["delay"], "a FIFO queue takes no delay of single messages");
            problems.push(problem.hint("set the queue's own, `DelaySeconds`, and take `delay` out"));
        }
        problems
    }
}
