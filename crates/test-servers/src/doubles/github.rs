//! A repository at GitHub, by its REST API.
//!
//! Written from "List repository issues", "List commits", "List releases", "Using pagination in the REST API" and "Rate limits for the
//! REST API" (GitHub Docs, version 2022-11-28).

use serde_json::{Value, json};

use super::{Service, call, call::Call};
use crate::{http::Response, sender::Sender};

/// The repository `octo/orders`.
#[derive(Debug, Default)]
pub struct GitHub {
    issues: Vec<Value>,
    commits: Vec<Value>,
    releases: Vec<Value>,
    clock: u64,
}

impl GitHub {
    /// An empty repository.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens an issue.
    pub fn open(&mut self, title: &str) -> u64 {
        let (number, now) = (self.issues.len() as u64 + 1, self.now());
        self.issues.push(json!({
            "id": 1_000_000 + number, "node_id": format!("MDU6SXNzdWU{number}"), "number": number, "title": title,
            "user": {"login": "octocat", "id": 1}, "labels": [], "state": "open", "locked": false, "comments": 0,
            "created_at": now, "updated_at": now, "closed_at": null, "body": null,
        }));
        number
    }

    /// Closes an issue, or opens it again.
    pub fn toggle(&mut self, number: u64) {
        let now = self.now();
        let issue = &mut self.issues[number as usize - 1];
        let is_open = issue["state"] == "open";
        issue["state"] = json!(if is_open { "closed" } else { "open" });
        issue["closed_at"] = if is_open { json!(now) } else { Value::Null };
        issue["updated_at"] = json!(now);
    }

    /// Adds a commit.
    pub fn commit(&mut self, message: &str) {
        let sha = format!("{:040x}", 0x6dcb_09b5_b578_75f3_u64.wrapping_mul(self.commits.len() as u64 + 1));
        let commit = json!({"message": message, "tree": {"sha": sha}});
        self.commits.push(json!({"sha": sha, "commit": commit, "parents": []}));
    }

    /// Takes the latest commit back, as a forced push does.
    pub fn take_back(&mut self) {
        self.commits.pop();
    }

    /// Releases a version.
    pub fn release(&mut self, tag: &str) {
        let id = self.releases.len() + 1;
        self.releases.push(json!({"id": id, "tag_name": tag, "draft": false, "assets": []}));
    }

    /// What is in a list, as the service shows it.
    pub fn records(&self, list: &str) -> Vec<Value> {
        match list {
            "issues" => self.issues.clone(),
            "commits" => self.commits.clone(),
            _ => self.releases.clone(),
        }
    }

    fn now(&mut self) -> String {
        self.clock += 1;
        let (hours, minutes) = (self.clock / 3_600 % 24, self.clock / 60 % 60);
        format!("2024-04-{:02}T{hours:02}:{minutes:02}:{:02}Z", 1 + self.clock / 86_400, self.clock % 60)
    }

    /// What is asked for, in its order.
    fn found(&self, list: &str, call: &Call<'_>) -> Vec<Value> {
        let mut found = self.records(list);
        if list != "issues" {
            found.reverse();
            return found;
        }
        let (state, since) =
            (call.parameter("state").unwrap_or("open"), call.parameter("since").unwrap_or_default());
        found.retain(|issue| state == "all" || issue["state"] == state);
        found.retain(|issue| issue["updated_at"].as_str().is_some_and(|updated| updated >= since));
        let by = if call.parameter("sort") == Some("updated") { "updated_at" } else { "created_at" };
        found.sort_by_key(|issue| issue[by].as_str().map(str::to_owned));
        if call.parameter("direction") != Some("asc") {
            found.reverse();
        }
        found
    }

    fn page(&self, list: &str, call: &Call<'_>) -> Response {
        let number =
            |name: &str, default: usize| call.parameter(name).map_or(default, |text| text.parse().unwrap());
        let (size, page) = (number("per_page", 30).min(100), number("page", 1));
        let found = self.found(list, call);
        let pages = found.len().div_ceil(size).max(1);
        let link = |page: usize, rel: &str| {
            let query = call.query.iter().filter(|(name, _)| name != "page");
            let query = query
                .map(|(name, value)| format!("{name}={}&", value.replace(':', "%3A")))
                .collect::<String>();
            format!("<{}{}?{query}page={page}>; rel=\"{rel}\"", call.base, call.path)
        };
        let mut links = Vec::new();
        if page > 1 {
            links.extend([link(page - 1, "prev"), link(1, "first")]);
        }
        if page < pages {
            links.extend([link(page + 1, "next"), link(pages, "last")]);
        }
        let shown = found.into_iter().skip((page - 1) * size).take(size).collect::<Vec<_>>();
        let links = links.join(", ");
        let headers = [("link", links.as_str())];
        call::json(200, if links.is_empty() { &[] } else { &headers }, &Value::Array(shown))
    }
}

impl Service for GitHub {
    fn answer(&mut self, call: &Call<'_>) -> Response {
        if call.header("user-agent").is_none_or(str::is_empty) {
            return call::json(403, &[], &json!({"message": "Request forbidden by administrative rules."}));
        }
        match call.path.strip_prefix("/repos/octo/orders/") {
            Some(list @ ("issues" | "commits" | "releases")) => self.page(list, call),
            _ => call::json(404, &[], &json!({"message": "Not Found"})),
        }
    }

    fn refuse(&self) -> Response {
        call::json(401, &[], &json!({"message": "Bad credentials"}))
    }

    /// The primary limit: it says when the window ends, and nothing else.
    fn throttle(&self, _: (&str, &str)) -> Response {
        let reset = (Sender::now() + 1).to_string();
        let headers =
            [("x-ratelimit-limit", "5000"), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", &reset)];
        call::json(403, &headers, &json!({"message": "API rate limit exceeded for user ID 1."}))
    }
}
