//! What can be said against the pipeline file without asking the server.

use http::HeaderName;
use tidemark_engine::{Error, Result, change::Op};
use url::Url;

use super::{DestinationConfig, Verb};
use crate::{
    config::{Problem, Writing},
    http::client::{Auth, Grant, Template},
    messages,
};

/// What our own client sets.
const OURS: [&str; 6] =
    ["host", "content-length", "transfer-encoding", "webhook-id", "webhook-timestamp", "webhook-signature"];
const OPERATIONS: [Op; 5] = [Op::Read, Op::Create, Op::Update, Op::Delete, Op::Truncate];

impl DestinationConfig {
    /// Everything that is wrong with it, and with how it is to be written.
    pub fn validate(&self, writing: &Writing) -> Vec<Problem> {
        let mut problems = messages::validate(writing);
        match self.base() {
            Ok(base) => problems.extend(self.client.validate(&base)),
            Err(error) => problems.push(Problem::of("url", &error)),
        }
        problems.extend(self.problems_of_methods());
        let batch =
            self.batch.and_then(|_| self.envelope.problem_without_headers("the messages of a batch have"));
        problems.extend(batch);
        problems.extend(self.problems_of_headers());
        problems.extend(self.problems_of_statuses("done_on", &self.done_on));
        problems.extend(self.problems_of_statuses("retry_on", &self.retry_on));
        if let Some(status) = self.done_on.iter().find(|status| self.retry_on.contains(status)) {
            let problem = Problem::new(["retry_on"], format!("{status} stands under `done_on` as well"));
            problems.push(problem.hint("keep it in one of the two"));
        }
        let template = self.body.as_deref().map(Template::parse);
        problems.extend(template.and_then(Result::err).map(|error| Problem::of("body", &error)));
        if self.signature.as_ref().is_some_and(|signature| signature.keys().is_none()) {
            let problem = Problem::new(["signature", "secret"], "the secret is not base64");
            problems.push(problem.hint("give it as the receiver shows it: `whsec_` and base64"));
        }
        if matches!(&self.client.auth, Auth::OAuth2(oauth) if oauth.grant == Grant::RefreshToken) {
            let problem =
                Problem::new(["auth", "grant"], "a destination has no place to keep refresh tokens");
            problems.push(problem.hint("use `grant: client_credentials`"));
        }
        problems
    }

    /// Where its server is: what stands before the first placeholder.
    pub(super) fn base(&self) -> Result<Url> {
        let beginning = self.url.beginning();
        let is_path = beginning.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
        let is_fixed = self.url.fixed().is_some();
        let url = Url::parse(beginning).ok().filter(|url| {
            matches!(url.scheme(), "http" | "https") && url.has_host() && (is_path || is_fixed)
        });
        url.ok_or_else(|| {
            Error::config("`url` does not say where the server is")
                .hint("begin with a fixed host: `https://hooks.example.com/orders/{key}`")
        })
    }

    fn problems_of_methods(&self) -> Option<Problem> {
        let deletes = OPERATIONS.into_iter().any(|op| self.verb(op) == Verb::Delete);
        if deletes && self.batch.is_some() {
            let problem = Problem::new(["batch"], "a DELETE has no body, and so no batch");
            return Some(problem.hint("take `batch` out, or send deletes by another method"));
        }
        (deletes && self.url.fixed().is_some()).then(|| {
            Problem::new(["url"], "every DELETE goes to one address, whatever the record")
                .hint("say by the URL which record it is: `https://api.example.com/orders/{key}`")
        })
    }

    fn problems_of_headers(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (name, value) in &self.headers {
            let mut wrong = |message: String, hint: &str| {
                problems.push(Problem::new(["headers", name.as_str()], message).hint(hint));
            };
            match HeaderName::try_from(name.as_str()) {
                Err(_) => wrong(format!("`{name}` is no name of a header"), "use letters, digits and `-`"),
                Ok(name) if OURS.contains(&name.as_str()) => {
                    wrong(format!("`{name}` is set by Tidemark"), "take it out");
                }
                Ok(_) => {}
            }
            if let Err(error) = Template::parse(value.expose()) {
                wrong(error.message().to_owned(), "check its braces");
            }
            if self.batch.is_some() && ["{{", "{%"].iter().any(|mark| value.expose().contains(mark)) {
                wrong(
                    "a header of a batch cannot depend on one of its changes".to_owned(),
                    "give it a fixed value, or take `batch` out",
                );
            }
        }
        problems
    }

    fn problems_of_statuses(&self, key: &str, statuses: &[u16]) -> Option<Problem> {
        // They have meanings of their own: who we are, and whether to wait.
        let has_meaning = |status: u16| matches!(status, 401 | 407 | 408 | 425 | 429);
        let odd = statuses.iter().find(|status| !(400..500).contains(*status) || has_meaning(**status))?;
        Some(
            Problem::new([key], format!("{odd} cannot stand here"))
                .hint("list statuses from 400 to 499, without 401, 407, 408, 425 and 429"),
        )
    }
}
