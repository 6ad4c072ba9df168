//! The pages of the server.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use tidemark_engine::{Error, Result};

use super::server::{Order, Row, Server};
use crate::{
    polling::{Answer, Ask, Gone, Page, Pages, Records, Sweep},
    records::{JsonCutter, RecordPath},
};

/// The server, asked.
pub(super) struct Asked {
    pub(super) server: Arc<Mutex<Server>>,
    /// Whether it tells changes by tokens.
    pub(super) by_delta: bool,
}

/// Records of a page, and what is gone.
#[derive(Default)]
struct Told {
    records: Vec<String>,
    gone: Vec<(u64, usize)>,
    next: Option<String>,
    delta: Option<String>,
}

#[async_trait]
impl Pages for Asked {
    async fn page(&mut self, ask: &Ask) -> Result<Answer> {
        let waits = self.server.lock().unwrap().chance.below(5);
        for _ in 0..waits {
            tokio::task::yield_now().await;
        }
        let mut server = self.server.lock().unwrap();
        server.asked += 1;
        // A source that changed faster than it can be read would never be read to its end.
        server.patience = server.patience.saturating_sub(1);
        if server.is_restless && server.patience > 0 {
            for _ in 0..server.chance.below(3) {
                server.change();
            }
            if server.chance.one_in(25) {
                return Err(Error::unavailable("the server does not answer"));
            }
            server.epoch += u64::from(server.chance.one_in(40));
            if server.chance.one_in(25) {
                server.forgotten = server.events.len();
            }
        }
        let Some(token) = server.place(ask.token.as_deref()) else { return Ok(Answer::Expired) };
        let told = match &ask.sweep {
            Sweep::All if self.by_delta => server.all_since_now(token.as_deref()),
            Sweep::All => server.listing(None, token.as_deref()),
            Sweep::Since(mark) => server.listing(Some(mark), token.as_deref()),
            Sweep::Delta(since) => match server.changes(since, token.as_deref()) {
                Some(told) => told,
                None => return Ok(Answer::Expired),
            },
        };
        let epoch = server.epoch;
        let page = Page {
            next: told.next.map(|token| format!("{token}@{epoch}")),
            ..page(&told.records, &told.gone)
        };
        Ok(Answer::Page(Page { delta: told.delta, ..page }))
    }
}

/// A page with these records as JSON, and these keys gone behind so many of them.
pub(super) fn page(records: &[String], gone: &[(u64, usize)]) -> Page {
    let rows = |records: &[String]| {
        let body = format!("[{}]", records.join(","));
        let rows = JsonCutter::default().records(body.as_bytes(), &RecordPath::default(), "orders");
        Records::Text(Arc::new(rows.unwrap()))
    };
    let keys: Vec<String> = gone.iter().map(|(key, _)| format!("{{\"id\": \"{key}\"}}")).collect();
    Page {
        records: rows(records),
        gone: (!gone.is_empty())
            .then(|| Gone { records: rows(&keys), after: gone.iter().map(|(_, after)| *after).collect() }),
        next: None,
        delta: None,
        bytes: records.iter().map(String::len).sum(),
        origin: "orders".into(),
    }
}

impl Server {
    /// The place that a token names; `None`: it has expired.
    fn place(&self, token: Option<&str>) -> Option<Option<String>> {
        let Some(token) = token else { return Some(None) };
        let (place, epoch) = token.split_once('@').unwrap();
        (epoch == self.epoch.to_string()).then(|| Some(place.to_owned()))
    }

    /// How many records the next page has.
    fn count(&mut self) -> usize {
        let size = self.habits.size;
        (if self.habits.is_untidy { self.chance.below(size + 1) } else { size }) as usize
    }

    /// Records whose marks are at `since` or beyond, in order.
    fn listing(&mut self, since: Option<&str>, token: Option<&str>) -> Told {
        let is_asked = |row: &Row| {
            let mark = self.mark_text(row.mark);
            since.is_none_or(|since| crate::polling::watermark::compare(&mark, since).is_ge())
        };
        let mut rows: Vec<(u64, Row)> =
            self.rows.iter().filter(|(_, row)| is_asked(row)).map(|(key, row)| (*key, row.clone())).collect();
        let order = self.habits.order;
        if matches!(order, Order::Marks | Order::OffsetOfMarks) {
            rows.sort_by_key(|(key, row)| (row.mark, *key));
        }
        let place = |key: u64, row: &Row| match order {
            Order::Keys | Order::Offset => (key, 0),
            Order::Marks | Order::OffsetOfMarks => (row.mark, key),
        };
        let begin = match token.map(|token| token.split_once('/').unwrap()) {
            None => 0,
            Some((at, _)) if matches!(order, Order::Offset | Order::OffsetOfMarks) => {
                at.parse::<usize>().unwrap().min(rows.len())
            }
            Some((a, b)) => {
                let last = (a.parse().unwrap(), b.parse().unwrap());
                rows.partition_point(|(key, row)| place(*key, row) <= last)
            }
        };
        let count = self.count();
        let end = (begin + count).min(rows.len());
        // The last record of the page before once more. Where pages shift, that happens by itself.
        let repeats =
            self.habits.is_untidy && matches!(order, Order::Keys | Order::Marks) && self.chance.one_in(4);
        let from = begin.saturating_sub(usize::from(repeats));
        let records = rows[from..end].iter().map(|(key, row)| self.json(*key, row, None)).collect();
        let is_over = end == rows.len() && !(self.habits.is_untidy && self.chance.one_in(4));
        let next = (!is_over).then(|| match order {
            Order::Offset | Order::OffsetOfMarks => format!("{end}/0"),
            Order::Keys | Order::Marks => match end.checked_sub(1).filter(|_| end > begin) {
                Some(last) => {
                    let (a, b) = place(rows[last].0, &rows[last].1);
                    format!("{a}/{b}")
                }
                None => token.map_or_else(|| "0/0".to_owned(), str::to_owned),
            },
        });
        Told { records, next, ..Told::default() }
    }

    /// All records, and from when on changes are to be told then.
    fn all_since_now(&mut self, token: Option<&str>) -> Told {
        let (since, after) = match token.map(|token| token.split_once('/').unwrap()) {
            None => (self.events.len(), None),
            Some((since, after)) => (since.parse().unwrap(), after.parse::<u64>().ok()),
        };
        let count = self.count();
        let rest = self.rows.iter().filter(|(key, _)| after.is_none_or(|after| **key > after));
        let rest: Vec<_> = rest.map(|(key, row)| (*key, self.json(*key, row, None))).collect();
        let told = &rest[..count.min(rest.len())];
        let last = told.last().map(|(key, _)| *key).or(after);
        let records = told.iter().map(|(_, json)| json.clone()).collect();
        match rest.len() > told.len() {
            true => {
                let last = last.map_or("-".to_owned(), |last| last.to_string());
                Told { records, next: Some(format!("{since}/{last}")), ..Told::default() }
            }
            false => Told { records, delta: Some(since.to_string()), ..Told::default() },
        }
    }

    /// What has happened since; `None`: it does not know any more.
    fn changes(&mut self, since: &str, token: Option<&str>) -> Option<Told> {
        let begin: usize = token.unwrap_or(since).parse().unwrap();
        if begin < self.forgotten {
            return None;
        }
        let end = (begin + self.count()).min(self.events.len());
        let mut told = Told::default();
        let every: BTreeSet<usize> = (begin..end).collect();
        for event in every.into_iter().map(|index| self.events[index].clone()) {
            match (&event.columns, self.rows.get(&event.key)) {
                (Some(columns), Some(row)) => {
                    let columns = self.habits.sparse.then_some(columns);
                    told.records.push(self.json(event.key, row, columns));
                }
                // It is gone meanwhile, which is told when it comes to that.
                (Some(_), None) => {}
                (None, _) => told.gone.push((event.key, told.records.len())),
            }
        }
        match end < self.events.len() {
            true => told.next = Some(end.to_string()),
            false => told.delta = Some(end.to_string()),
        }
        Some(told)
    }
}
