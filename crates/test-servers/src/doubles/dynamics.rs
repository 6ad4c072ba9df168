//! A table of Dataverse with its log of changes, by the Web API of Dynamics 365.
//!
//! Written from "Use change tracking to synchronize data with external systems", "Page results" and "Service protection API limits"
//! (Microsoft Learn).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Service, call, call::Call};
use crate::http::Response;

/// Records on a page at most.
const MOST: usize = 5_000;

/// The table `accounts`, and what happened to it.
#[derive(Debug, Default)]
pub struct Dataverse {
    records: BTreeMap<u64, Value>,
    /// The records that something happened to, in order.
    events: Vec<u64>,
    last: u64,
    /// Tokens from before this event have expired.
    expired: usize,
    pages: u64,
}

impl Dataverse {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a record.
    pub fn create(&mut self, name: &str) -> u64 {
        self.last += 1;
        self.put(self.last, name);
        self.last
    }

    /// Changes a record.
    pub fn put(&mut self, id: u64, name: &str) {
        self.events.push(id);
        let record = json!({
            "@odata.etag": format!("W/\"{}\"", 915_244 + self.events.len()),
            "name": name, "accountnumber": null, "revenue": id as f64 / 8.0, "statecode": 0,
            "reason": "a column of the table", "accountid": guid(id),
        });
        self.records.insert(id, record);
    }

    /// Deletes a record, if it is there.
    pub fn delete(&mut self, id: u64) {
        if self.records.remove(&id).is_some() {
            self.events.push(id);
        }
    }

    /// Forgets what happened so far, as it does after seven days.
    pub fn expire(&mut self) {
        self.expired = self.events.len();
    }

    /// The numbers of all records.
    pub fn ids(&self) -> Vec<u64> {
        self.records.keys().copied().collect()
    }

    /// All records, as the service shows them.
    pub fn records(&self) -> Vec<Value> {
        self.records.values().cloned().collect()
    }

    fn page(&mut self, call: &Call<'_>) -> Response {
        self.pages += 1;
        let refused = ["$filter", "$orderby", "$expand", "$top"];
        if let Some(name) = refused.iter().find(|name| call.parameter(name).is_some()) {
            return error(400, "0x80060888", &format!("The \"{name}\" query parameter isn't supported"));
        }
        let prefer = call.header("prefer").unwrap_or_default();
        let most =
            prefer.split(',').find_map(|preference| preference.trim().strip_prefix("odata.maxpagesize="));
        let most = most.map_or(MOST, |most| most.parse::<usize>().unwrap()).min(MOST);
        let cookie = call.parameter("$skiptoken").map(numbers);
        match call.parameter("$deltatoken") {
            None if !prefer.contains("odata.track-changes") => {
                error(400, "0x80060888", "No change tracking asked for")
            }
            None => self.all(call, cookie, most),
            Some(token) => self.changed(call, (numbers(token)[0], cookie), most),
        }
    }

    /// A page of all records; the changes since the first of these pages come later.
    fn all(&self, call: &Call<'_>, cookie: Option<Vec<usize>>, most: usize) -> Response {
        let (after, since) = cookie.map_or((0, self.events.len()), |cookie| (cookie[0] as u64, cookie[1]));
        let rest = self.records.range(after + 1..).collect::<Vec<_>>();
        let page = &rest[..rest.len().min(most)];
        let next =
            (page.len() < rest.len()).then(|| format!("$skiptoken={}!{since}", page[page.len() - 1].0));
        let value = page.iter().map(|(_, record)| (*record).clone()).collect();
        answer(call, value, next.unwrap_or_else(|| self.delta(since)))
    }

    /// A page of what has changed since an event: what is there, then what is gone.
    fn changed(
        &self,
        call: &Call<'_>,
        (since, cookie): (usize, Option<Vec<usize>>),
        most: usize,
    ) -> Response {
        if since < self.expired {
            return error(410, "0x80044352", "Version stamp associated with the client has expired.");
        }
        let (begin, end) = cookie.map_or((0, self.events.len()), |cookie| (cookie[0], cookie[1]));
        let mut changed = self.events[since..end].to_vec();
        changed.sort_unstable();
        changed.dedup();
        changed.sort_by_key(|id| !self.records.contains_key(id));
        let page = &changed[begin.min(changed.len())..changed.len().min(begin + most)];
        let context = format!("{}/api/data/v9.2/$metadata#accounts/$deletedEntity", call.base);
        let told = |id: &u64| {
            let gone = || json!({"@odata.context": context, "id": guid(*id), "reason": "deleted"});
            self.records.get(id).cloned().unwrap_or_else(gone)
        };
        let next = (begin + page.len() < changed.len())
            .then(|| format!("$deltatoken={since}!0&$skiptoken={}!{end}", begin + page.len()));
        answer(call, page.iter().map(told).collect(), next.unwrap_or_else(|| self.delta(end)))
    }

    fn delta(&self, event: usize) -> String {
        format!("$deltatoken={event}!{}", self.pages)
    }
}

fn answer(call: &Call<'_>, value: Vec<Value>, query: String) -> Response {
    let context = format!("{}/api/data/v9.2/$metadata#accounts", call.base);
    let name = if query.contains("$skiptoken") { "@odata.nextLink" } else { "@odata.deltaLink" };
    let link = format!("{}{}?{}", call.base, call.path, query.replace('!', "%21"));
    let applied = [("odata-version", "4.0"), ("preference-applied", "odata.track-changes")];
    call::json(200, &applied, &json!({"@odata.context": context, name: link, "value": value}))
}

fn numbers(token: &str) -> Vec<usize> {
    token.split('!').map(|number| number.parse().unwrap()).collect()
}

fn guid(id: u64) -> String {
    format!("60c4e274-0d87-e711-80e5-{id:012x}")
}

impl Service for Dataverse {
    fn answer(&mut self, call: &Call<'_>) -> Response {
        match call.path == "/api/data/v9.2/accounts" {
            true => self.page(call),
            false => error(404, "0x8006088a", "Resource not found for the segment."),
        }
    }

    fn refuse(&self) -> Response {
        Response::new(401, &[("www-authenticate", "Bearer authorization_uri=\"https://login.example\"")], b"")
    }

    fn throttle(&self, wait: (&str, &str)) -> Response {
        let message = "Number of requests exceeded the limit of 6000 over time window of 300 seconds.";
        let error = json!({"error": {"code": "0x80072322", "message": message}});
        call::json(429, &[wait], &error)
    }

    fn token_path(&self) -> Option<&str> {
        Some("/tenant/oauth2/v2.0/token")
    }
}

fn error(status: u16, code: &str, message: &str) -> Response {
    call::json(status, &[], &json!({"error": {"code": code, "message": message}}))
}
