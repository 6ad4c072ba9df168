//! A list of SharePoint Online, as Microsoft Graph tells of its changes.
//!
//! Written from "listItem: delta" (v1.0) and "Microsoft Graph throttling guidance" (Microsoft Learn).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Service, call, call::Call};
use crate::http::Response;

/// Items on a page.
const PAGE: usize = 200;

/// The list: what is in it, and everything that ever happened to it.
#[derive(Debug, Default)]
pub struct Graph {
    site: String,
    list: String,
    items: BTreeMap<u64, Value>,
    /// What happened, in order: the item after it; `None` where it was deleted.
    events: Vec<(u64, Option<Value>)>,
    last: u64,
    /// Tokens of before are forgotten.
    tokens: u64,
    /// Whether items that changed several times are told of several times, as they were; the last time counts.
    pub repeats: bool,
    /// Whether one of three pages has nothing but a link.
    pub has_empty_pages: bool,
    /// Whether pages have fewer items than they may.
    pub has_short_pages: bool,
    /// All tokens are forgotten after so many more pages.
    pub forgets_after: Option<u64>,
    /// Times that somebody came with a forgotten token.
    pub forgotten: u64,
    pages: u64,
}

/// Where an enumeration stands.
enum Place {
    /// Among all items, behind this one; what has happened since this event comes later.
    All { after: u64, since: usize },
    /// Among the events, before this one.
    Since(usize),
}

impl Graph {
    /// An empty list of a site.
    pub fn new(site: &str, list: &str) -> Self {
        Self { site: site.to_owned(), list: list.to_owned(), ..Self::default() }
    }

    /// Adds an item.
    pub fn create(&mut self, title: &str) -> u64 {
        self.last += 1;
        self.put(self.last, title);
        self.last
    }

    /// Changes an item, or brings back one that was deleted.
    pub fn put(&mut self, id: u64, title: &str) {
        let modified =
            format!("2024-02-01T00:{:02}:{:02}Z", self.events.len() / 60 % 60, self.events.len() % 60);
        let item = json!({
            "@odata.etag": format!("\"{{12AD05BB}},{}\"", self.events.len()),
            "createdDateTime": "2024-01-31T22:46:58Z", "eTag": format!("\"{{12AD05BB}},{}\"", self.events.len()),
            "id": id.to_string(), "lastModifiedDateTime": modified,
            "webUrl": format!("https://contoso.example/Lists/Orders/{id}_.000"),
            "createdBy": {"user": {"displayName": "J. Doe"}},
            "parentReference": {"id": "1", "siteId": "12AD05BB"},
            "contentType": {"id": "0x0100", "name": "Item"},
            "fields": {"id": id.to_string(), "Title": title, "Amount": id as f64 / 4.0},
        });
        self.events.push((id, Some(item.clone())));
        self.items.insert(id, item);
    }

    /// Deletes an item, if it is there.
    pub fn delete(&mut self, id: u64) {
        if self.items.remove(&id).is_some() {
            self.events.push((id, None));
        }
    }

    /// Forgets every token.
    pub fn forget(&mut self) {
        self.tokens += 1;
    }

    /// The ids of all items.
    pub fn ids(&self) -> Vec<u64> {
        self.items.keys().copied().collect()
    }

    /// All items, as the service shows them.
    pub fn records(&self) -> Vec<Value> {
        self.items.values().cloned().collect()
    }

    /// What a token stands for; `None`: it is forgotten.
    fn place(&self, token: Option<&str>) -> Option<Place> {
        let Some(token) = token else { return Some(Place::All { after: 0, since: self.events.len() }) };
        let numbers =
            token.split('.').skip(1).map(|number| number.parse::<usize>().unwrap()).collect::<Vec<_>>();
        if numbers[0] as u64 != self.tokens {
            return None;
        }
        Some(match token.starts_with("all") {
            true => Place::All { after: numbers[1] as u64, since: numbers[2] },
            false => Place::Since(numbers[1]),
        })
    }

    fn size(&self) -> usize {
        match () {
            () if self.has_empty_pages && self.pages.is_multiple_of(3) => 0,
            () if self.has_short_pages => 1 + self.pages as usize * 7919 % PAGE,
            () => PAGE,
        }
    }

    fn page(&mut self, call: &Call<'_>) -> Response {
        self.pages += 1;
        if let Some(left) = &mut self.forgets_after {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.forgets_after = None;
                self.forget();
            }
        }
        let Some(place) = self.place(call.parameter("token")) else {
            self.forgotten += 1;
            let location = format!("{}{}", call.base, call.path);
            let code = "resyncChangesApplyDifferences";
            let error =
                json!({"error": {"code": code, "message": "Resync required. Replace any local items."}});
            return call::json(410, &[("location", &location)], &error);
        };
        let (items, next, is_last) = match place {
            Place::All { after, since } => {
                let rest = self.items.range(after + 1..).collect::<Vec<_>>();
                let page = &rest[..self.size().min(rest.len())];
                let after = page.last().map_or(after, |(id, _)| **id);
                let items = page.iter().map(|(_, item)| (*item).clone()).collect::<Vec<_>>();
                let next = format!("all.{}.{after}.{since}.{}", self.tokens, self.pages);
                let is_last = page.len() == rest.len();
                (items, if is_last { self.since(since) } else { next }, is_last)
            }
            Place::Since(event) => {
                let end = self.events.len().min(event + self.size());
                let is_told = |at: &usize| {
                    let id = self.events[*at].0;
                    self.repeats || !self.events[at + 1..].iter().any(|(other, _)| *other == id)
                };
                let items = (event..end).filter(is_told).map(|at| told(&self.events[at])).collect();
                (items, self.since(end), end == self.events.len())
            }
        };
        let items = if call.parameter("$expand") == Some("fields") { items } else { without_fields(items) };
        let link = format!("{}{}?token={next}&$expand=fields", call.base, call.path);
        let name = if is_last { "@odata.deltaLink" } else { "@odata.nextLink" };
        let context = format!("{}/v1.0/$metadata#Collection(listItem)", call.base);
        call::json(200, &[], &json!({"@odata.context": context, "value": items, name: link}))
    }

    fn since(&self, event: usize) -> String {
        format!("since.{}.{event}.{}", self.tokens, self.pages)
    }
}

fn told((id, item): &(u64, Option<Value>)) -> Value {
    item.clone().unwrap_or_else(|| {
        json!({
            "id": id.to_string(), "parentReference": {"siteId": "12AD05BB"},
            "contentType": {"id": "0x0100", "name": "Item"}, "deleted": {"state": "deleted"},
        })
    })
}

fn without_fields(mut items: Vec<Value>) -> Vec<Value> {
    for item in items.iter_mut().filter_map(Value::as_object_mut) {
        item.remove("fields");
    }
    items
}

impl Service for Graph {
    fn answer(&mut self, call: &Call<'_>) -> Response {
        match call.path == format!("/v1.0/sites/{}/lists/{}/items/delta", self.site, self.list) {
            true => self.page(call),
            false => error(404, "itemNotFound", "The resource could not be found."),
        }
    }

    fn refuse(&self) -> Response {
        error(401, "InvalidAuthenticationToken", "Lifetime validation failed, the token is expired.")
    }

    fn throttle(&self, wait: (&str, &str)) -> Response {
        let error = json!({"error": {"code": "TooManyRequests", "message": "Please retry again later."}});
        call::json(429, &[wait], &error)
    }

    fn token_path(&self) -> Option<&str> {
        Some("/tenant/oauth2/v2.0/token")
    }
}

fn error(status: u16, code: &str, message: &str) -> Response {
    call::json(status, &[], &json!({"error": {"code": code, "message": message}}))
}
