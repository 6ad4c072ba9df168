//! Posts of X that match a query, by its recent search.
//!
//! Written from "Search recent Posts", "Recent search pagination" and "Rate limits" (X Developer Platform).

use serde_json::{Value, json};

use super::{Service, call, call::Call};
use crate::{http::Response, sender::Sender};

/// Posts that match any query, the oldest first.
#[derive(Debug, Default)]
pub struct X {
    posts: Vec<Value>,
    last: u64,
    /// Posts that are older than a week are not shown, and ids before them are refused.
    oldest: u64,
}

impl X {
    /// No posts.
    pub fn new() -> Self {
        Self { last: 1_204_860_580_630_278_147, ..Self::default() }
    }

    /// Adds a post.
    pub fn post(&mut self, text: &str) {
        self.last += 4_194_304;
        self.posts.push(json!({
            "author_id": "2244994945", "id": self.last.to_string(), "text": text, "lang": "en",
            "created_at": "2024-05-01T10:00:00.000Z", "public_metrics": {"like_count": 0, "retweet_count": 0},
            "edit_history_tweet_ids": [self.last.to_string()],
        }));
    }

    /// Takes a post back.
    pub fn delete(&mut self, place: usize) {
        self.posts.remove(place);
    }

    /// A week passes: nobody is shown what is there now.
    pub fn pass_a_week(&mut self) {
        self.oldest = self.last;
    }

    /// All posts, as the service shows them.
    pub fn records(&self) -> Vec<Value> {
        self.posts.clone()
    }

    fn page(&self, call: &Call<'_>) -> Response {
        let most = call.parameter("max_results").map_or(10, |most| most.parse::<usize>().unwrap());
        if !(10..=100).contains(&most) || call.parameter("query").is_none() {
            return invalid("The `max_results` query parameter value is not between 10 and 100");
        }
        let since = call.parameter("since_id").map_or(self.oldest, |id| id.parse::<u64>().unwrap());
        if since < self.oldest {
            return invalid("'since_id' must be a tweet id created after 2024-05-01T10:00Z.");
        }
        // A token does not expire, and always leads to the same posts.
        let until = call
            .parameter("next_token")
            .map_or(u64::MAX, |token| token.trim_start_matches("b26v").parse().unwrap());
        let matches = |post: &&Value| (since + 1..until).contains(&id(post));
        let found = self.posts.iter().rev().filter(matches).collect::<Vec<_>>();
        let page = &found[..found.len().min(most)];
        let mut meta = json!({"result_count": page.len()});
        let (Some(first), Some(last)) = (page.first(), page.last()) else {
            return call::json(200, &[], &json!({"meta": meta}));
        };
        (meta["newest_id"], meta["oldest_id"]) = (first["id"].clone(), last["id"].clone());
        if page.len() < found.len() {
            meta["next_token"] = json!(format!("b26v{}", id(last)));
        }
        call::json(200, &[], &json!({"data": page, "meta": meta}))
    }
}

fn id(post: &Value) -> u64 {
    post["id"].as_str().unwrap().parse().unwrap()
}

fn invalid(message: &str) -> Response {
    let body = json!({"errors": [{"message": message}], "title": "Invalid Request", "detail": "One or more parameters is invalid."});
    call::json(400, &[], &body)
}

impl Service for X {
    fn answer(&mut self, call: &Call<'_>) -> Response {
        match call.path == "/2/tweets/search/recent" {
            true => self.page(call),
            false => call::json(404, &[], &json!({"title": "Not Found Error"})),
        }
    }

    fn refuse(&self) -> Response {
        call::json(401, &[], &json!({"title": "Unauthorized", "status": 401}))
    }

    /// It says when the window of 15 minutes ends, and nothing else.
    fn throttle(&self, _: (&str, &str)) -> Response {
        let reset = (Sender::now() + 1).to_string();
        let headers =
            [("x-rate-limit-limit", "300"), ("x-rate-limit-remaining", "0"), ("x-rate-limit-reset", &reset)];
        call::json(429, &headers, &json!({"title": "Too Many Requests", "status": 429}))
    }
}
