//! What can be said against the pipeline file without asking the account.

use std::time::Duration;

use super::DestinationConfig;
use crate::{
    config::{Problem, Writing},
    messages,
};

/// The longest that a message may stay unseen: "Put Message", `visibilitytimeout`.
const LONGEST_UNSEEN: Duration = Duration::from_secs(7 * 24 * 3600);

impl DestinationConfig {
    /// Everything that is wrong with it, and with how it is to be written.
    pub fn validate(&self, writing: &Writing) -> Vec<Problem> {
        let mut problems = messages::validate(writing);
        match self.queues() {
            Ok(account) => problems.extend(self.client(&account).validate(&account.base)),
            Err(error) => problems.push(Problem::of(self.key_of_account(), &error)),
        }
        if let Some(name) = self.queue.fixed().filter(|name| !is_name(name)) {
            let problem = Problem::new(["queue"], format!("`{name}` cannot be the name of a queue"));
            problems.push(problem.hint(NAMES));
        }
        if let Some(claim) = &self.claim_check {
            if !is_name(&claim.container) {
                let message = format!("`{}` cannot be the name of a container", claim.container);
                problems.push(Problem::new(["claim_check", "container"], message).hint(NAMES));
            }
            problems.extend(self.blobs().err().map(|error| Problem::of("claim_check", &error)));
        }
        problems.extend(self.problem_of_times());
        problems.extend(self.envelope.problem_without_headers("a queue's messages have"));
        problems
    }

    fn key_of_account(&self) -> &'static str {
        if self.connection_string.is_some() { "connection_string" } else { "url" }
    }

    fn problem_of_times(&self) -> Option<Problem> {
        let seconds = |time: Duration| time.subsec_nanos() == 0;
        let (unseen, kept) = (self.visible_after.0, self.time_to_live.map(|time| time.0));
        if unseen > LONGEST_UNSEEN || !seconds(unseen) {
            let problem = Problem::new(["visible_after"], "a message cannot stay unseen for so long");
            return Some(problem.hint("give whole seconds, up to `7d`"));
        }
        kept.filter(|kept| kept.is_zero() || !seconds(*kept) || *kept <= unseen).map(|_| {
            Problem::new(["time_to_live"], "a message would be gone before anybody sees it")
                .hint("give whole seconds, and more than `visible_after`")
        })
    }
}

/// What names of queues and containers are made of.
pub(super) const NAMES: &str = "give 3 to 63 small letters, digits and single dashes between them";

/// "Naming Queues and Metadata".
pub(super) fn is_name(name: &str) -> bool {
    let sound = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (3..=63).contains(&name.len())
        && name.bytes().all(sound)
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("--")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_documentation() {
        for name in ["abc", "a-1", "orders-2024"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["ab", "Orders", "public.orders", "-ab", "ab-", "a--b", "orders_1", &"a".repeat(64)] {
            assert!(!is_name(name), "{name}");
        }
    }
}
