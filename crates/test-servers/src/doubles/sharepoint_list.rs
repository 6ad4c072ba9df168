//! A list of SharePoint Online, as its REST service shows it.
//!
//! Written from "Use OData query operations in SharePoint REST requests" and "Avoid getting throttled or blocked in SharePoint Online"
//! (Microsoft Learn).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Service, call, call::Call};
use crate::http::Response;

/// Items on a page at most, and how many may be looked at for a filter or an order without an index.
const MOST: usize = 5_000;

/// The list, by the ids of its items.
#[derive(Debug, Default)]
pub struct SharePointList {
    /// Its title.
    pub title: String,
    items: BTreeMap<u64, Value>,
    last: u64,
    /// Seconds since the list was made; each change takes one.
    clock: u64,
    /// Whether there is an index on `Modified`.
    pub is_indexed: bool,
    /// Whether links are relative to the request.
    pub links_are_relative: bool,
    /// Whether one of two pages has nothing but a link.
    pub has_empty_pages: bool,
    /// Whether pages have fewer items than they may.
    pub has_short_pages: bool,
    /// Pages that were given.
    pages: u64,
}

impl SharePointList {
    /// An empty list.
    pub fn new(title: &str) -> Self {
        Self { title: title.to_owned(), ..Self::default() }
    }

    /// Adds an item.
    pub fn create(&mut self, title: &str, amount: f64) -> u64 {
        (self.last, self.clock) = (self.last + 1, self.clock + 1);
        let (id, now) = (self.last, self.now());
        // As the service sends them: it says the id twice.
        let item = json!({
            "FileSystemObjectType": 0, "Id": id, "ServerRedirectedEmbedUri": null, "ServerRedirectedEmbedUrl": "",
            "ContentTypeId": "0x0100", "Title": title, "Amount": amount, "ID": id, "Modified": now, "Created": now,
            "AuthorId": 11, "EditorId": 11, "OData__UIVersionString": "1.0", "Attachments": false,
            "GUID": format!("3c7be6ad-0000-4000-8000-{id:012}"),
        });
        self.items.insert(id, item);
        id
    }

    /// Changes an item, if it is there.
    pub fn change(&mut self, id: u64, title: &str) {
        self.clock += 1;
        let now = self.now();
        if let Some(item) = self.items.get_mut(&id) {
            (item["Title"], item["Modified"]) = (json!(title), json!(now));
        }
    }

    /// Deletes an item: nothing is left of it.
    pub fn delete(&mut self, id: u64) {
        self.items.remove(&id);
    }

    /// The ids of all items.
    pub fn ids(&self) -> Vec<u64> {
        self.items.keys().copied().collect()
    }

    /// All items, as the service shows them.
    pub fn records(&self) -> Vec<Value> {
        self.items.values().cloned().collect()
    }

    fn now(&self) -> String {
        let (seconds, minutes) = (self.clock % 60, self.clock / 60);
        format!(
            "2024-01-{:02}T{:02}:{:02}:{seconds:02}Z",
            1 + minutes / 1440,
            minutes / 60 % 24,
            minutes % 60
        )
    }

    /// The items that are asked for, in their order.
    fn found(&self, filter: Option<&str>, order: Option<&str>) -> Result<Vec<(u64, &Value)>, Response> {
        if self.items.len() > MOST && !self.is_indexed && (filter.is_some() || order.is_some()) {
            return Err(error(
                500,
                "-2147024860, Microsoft.SharePoint.SPQueryThrottledException",
                "The attempted operation is prohibited because it exceeds the list view threshold.",
            ));
        }
        let since = match filter {
            None => "",
            Some(filter) => {
                let mark =
                    filter.strip_prefix("Modified ge datetime'").and_then(|rest| rest.strip_suffix('\''));
                mark.ok_or_else(|| {
                    error(400, "-1, Microsoft.SharePoint.Client.InvalidClientQueryException", filter)
                })?
            }
        };
        let is_found =
            |(_, item): &(u64, &Value)| item["Modified"].as_str().is_some_and(|modified| modified >= since);
        let mut found = self.items.iter().map(|(id, item)| (*id, item)).filter(is_found).collect::<Vec<_>>();
        match order {
            None => {}
            Some("Modified" | "Modified asc") => {
                found.sort_by_key(|(id, item)| (item["Modified"].to_string(), *id))
            }
            Some(other) => return Err(error(400, "-1, Microsoft.SharePoint.SPException", other)),
        }
        Ok(found)
    }

    fn page(&mut self, call: &Call<'_>) -> Response {
        self.pages += 1;
        let top = call.parameter("$top").map_or(100, |top| top.parse().unwrap());
        if top > MOST {
            return error(
                400,
                "-1, Microsoft.SharePoint.Client.InvalidClientQueryException",
                "The query is not valid.",
            );
        }
        let size = if self.has_short_pages { top.min(1 + self.pages as usize * 7919 % top) } else { top };
        let size = if self.has_empty_pages && self.pages.is_multiple_of(2) { 0 } else { size };
        let after =
            call.parameter("$skiptoken").and_then(|token| token.rsplit_once("p_ID=")).map(|(_, id)| id);
        let after = after.map_or(0, |id| id.split('&').next().unwrap_or_default().parse::<u64>().unwrap());
        let found = match self.found(call.parameter("$filter"), call.parameter("$orderby")) {
            Ok(found) => found,
            Err(refused) => return refused,
        };
        // Behind the item that is named; with an order, behind its place in it.
        let begin = match call.parameter("$orderby") {
            None => found.partition_point(|(id, _)| *id <= after),
            Some(_) => found.iter().position(|(id, _)| *id == after).map_or(0, |place| place + 1),
        };
        let rest = &found[begin..];
        let mut body =
            json!({"value": rest.iter().take(size).map(|(_, item)| (*item).clone()).collect::<Vec<_>>()});
        if rest.len() > size {
            let last = if size == 0 { after } else { rest[size - 1].0 };
            body["odata.nextLink"] = json!(self.link(call, last));
        }
        call::json(200, &[], &body)
    }

    /// The link to the page behind the item `last`, as it stands in answers.
    fn link(&self, call: &Call<'_>, last: u64) -> String {
        let title = self.title.replace('\'', "''").replace(' ', "%20");
        let base = if self.links_are_relative { "" } else { call.base };
        let mut link = format!("{base}/_api/web/lists/getbytitle('{title}')/items?");
        // Pages that are empty in a row have other links, as their tokens differ.
        link += &format!("%24skiptoken=Paged%3dTRUE%26p_ID%3d{last}%26page%3d{}", self.pages);
        for (name, value) in call.query.iter().filter(|(name, _)| name != "$skiptoken") {
            link += &format!(
                "&%24{}={}",
                name.trim_start_matches('$'),
                value.replace(' ', "+").replace('\'', "%27")
            );
        }
        link
    }
}

impl Service for SharePointList {
    fn answer(&mut self, call: &Call<'_>) -> Response {
        let title = self.title.replace('\'', "''");
        match call.path == format!("/_api/web/lists/getbytitle('{title}')/items") {
            true => self.page(call),
            false => error(404, "-1, System.ArgumentException", "List does not exist at site with URL."),
        }
    }

    fn refuse(&self) -> Response {
        let error =
            json!({"error": "invalid_request", "error_description": "The security token has expired."});
        call::json(401, &[("www-authenticate", "Bearer realm=\"tenant\"")], &error)
    }

    fn throttle(&self, wait: (&str, &str)) -> Response {
        Response::new(
            429,
            &[wait, ("content-type", "text/html")],
            b"<html><body>Too many requests</body></html>",
        )
    }

    fn token_path(&self) -> Option<&str> {
        Some("/tenant/oauth2/v2.0/token")
    }
}

fn error(status: u16, code: &str, message: &str) -> Response {
    let error = json!({"odata.error": {"code": code, "message": {"lang": "en-US", "value": message}}});
    call::json(status, &[], &error)
}
