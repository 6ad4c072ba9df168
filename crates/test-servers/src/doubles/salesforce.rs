//! An object of Salesforce, by the resource `queryAll` of its REST API.
//!
//! Written from "QueryAll", "QueryAll More Results" (REST API Developer Guide) and "Date Formats and Date Literals in WHERE" (SOQL and
//! SOSL Reference).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Service, call, call::Call};
use crate::http::Response;

/// Records in a batch at most.
const MOST: usize = 2_000;
const VERSION: &str = "/services/data/v62.0";

/// The object `Account`: also what was deleted, for as long as it is in the recycle bin.
#[derive(Debug, Default)]
pub struct Salesforce {
    /// By id: name, whether deleted, and the moment of the last change, in seconds.
    records: BTreeMap<u64, (String, bool, u64)>,
    last: u64,
    clock: u64,
    /// Queries whose results are not all fetched.
    cursors: Vec<Vec<Value>>,
    /// Whether batches have fewer records than they may.
    pub has_short_batches: bool,
    batches: u64,
}

impl Salesforce {
    /// No records.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a record.
    pub fn create(&mut self, name: &str) -> u64 {
        self.last += 1;
        self.put(self.last, name);
        self.last
    }

    /// Changes a record, or takes it out of the recycle bin.
    pub fn put(&mut self, id: u64, name: &str) {
        self.clock += 1;
        self.records.insert(id, (name.to_owned(), false, self.clock));
    }

    /// Puts a record into the recycle bin.
    pub fn delete(&mut self, id: u64) {
        self.clock += 1;
        if let Some(record) = self.records.get_mut(&id) {
            (record.1, record.2) = (true, self.clock);
        }
    }

    /// Forgets the queries whose results are not all fetched, as it does after two days.
    pub fn forget(&mut self) {
        self.cursors.iter_mut().for_each(Vec::clear);
    }

    /// The numbers of the records that are not deleted.
    pub fn ids(&self) -> Vec<u64> {
        self.records.iter().filter(|(_, record)| !record.1).map(|(id, _)| *id).collect()
    }

    /// The records that are not deleted, as the service shows them.
    pub fn records(&self) -> Vec<Value> {
        self.records.iter().filter(|(_, record)| !record.1).map(shown).collect()
    }

    /// The first batch of a query.
    fn query(&mut self, query: &str) -> Response {
        let Some(rest) =
            query.strip_prefix("SELECT Id, Name, AnnualRevenue, SystemModstamp, IsDeleted FROM Account")
        else {
            return error(400, "MALFORMED_QUERY", "unexpected token");
        };
        let Some(condition) = rest.strip_suffix(" ORDER BY SystemModstamp, Id") else {
            return error(400, "MALFORMED_QUERY", "unexpected token after the object");
        };
        let since = match condition.strip_prefix(" WHERE SystemModstamp >= ") {
            None => String::new(),
            // A moment has no quotes, and its offset is `Z` or has a colon.
            Some(moment) if moment.len() == 20 && moment.ends_with('Z') => {
                moment.trim_end_matches('Z').to_owned()
            }
            Some(_) => {
                return error(400, "INVALID_FIELD", "value of filter criterion must be of type dateTime");
            }
        };
        let mut found =
            self.records.iter().filter(|(_, record)| moment(record.2) >= since).collect::<Vec<_>>();
        found.sort_by_key(|(id, record)| (record.2, **id));
        let found = found.into_iter().map(shown).collect();
        self.cursors.push(found);
        self.batch(self.cursors.len() - 1, 0)
    }

    /// The batch of a query that begins behind so many of its records: as they were when it was asked.
    fn batch(&mut self, cursor: usize, begin: usize) -> Response {
        self.batches += 1;
        let size = if self.has_short_batches { 200 + self.batches as usize * 7919 % 1_800 } else { MOST };
        let found = &self.cursors[cursor];
        let end = found.len().min(begin + size);
        let mut body = json!({
            "totalSize": found.len(), "done": end == found.len(), "records": found[begin..end],
        });
        if end < found.len() {
            body["nextRecordsUrl"] = json!(format!("{VERSION}/query/0r8xx{cursor:010}AAA-{end}"));
        }
        call::json(200, &[("sforce-limit-info", "api-usage=18/5000")], &body)
    }
}

fn shown((id, (name, is_deleted, changed)): (&u64, &(String, bool, u64))) -> Value {
    let id = format!("001D{id:011}AAA");
    json!({
        "attributes": {"type": "Account", "url": format!("{VERSION}/sobjects/Account/{id}")},
        "Id": id, "Name": name, "AnnualRevenue": null, "SystemModstamp": format!("{}.000+0000", moment(*changed)),
        "IsDeleted": is_deleted,
    })
}

fn moment(seconds: u64) -> String {
    let (days, hours, minutes) = (1 + seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    format!("2024-03-{days:02}T{hours:02}:{minutes:02}:{:02}", seconds % 60)
}

impl Service for Salesforce {
    fn answer(&mut self, call: &Call<'_>) -> Response {
        if call.path == format!("{VERSION}/queryAll") {
            let query = call.parameter("q").unwrap_or_default().to_owned();
            return self.query(&query);
        }
        let locator = call.path.strip_prefix(&format!("{VERSION}/query/0r8xx"));
        let place = locator.and_then(|locator| locator.split_once("AAA-"));
        match place
            .and_then(|(cursor, begin)| Some((cursor.parse::<usize>().ok()?, begin.parse::<usize>().ok()?)))
        {
            Some((cursor, begin)) if self.cursors.get(cursor).is_some_and(|found| begin < found.len()) => {
                self.batch(cursor, begin)
            }
            Some(_) => error(400, "INVALID_QUERY_LOCATOR", "invalid query locator"),
            None => error(404, "NOT_FOUND", "The requested resource does not exist"),
        }
    }

    fn refuse(&self) -> Response {
        error(401, "INVALID_SESSION_ID", "Session expired or invalid")
    }

    fn throttle(&self, wait: (&str, &str)) -> Response {
        let error =
            json!([{"message": "The server is temporarily unavailable", "errorCode": "SERVER_UNAVAILABLE"}]);
        call::json(503, &[wait], &error)
    }

    fn token_path(&self) -> Option<&str> {
        Some("/services/oauth2/token")
    }

    fn token_lifetime(&self) -> Option<u64> {
        None
    }
}

fn error(status: u16, code: &str, message: &str) -> Response {
    call::json(status, &[], &json!([{"message": message, "errorCode": code}]))
}
