//! The streams of a source, as they are read.

use std::{collections::BTreeMap, sync::Arc};

use tidemark_engine::{Error, Result};

use super::{
    super::{
        client::{Client, Template},
        config::{ChangesConfig, SourceConfig, StreamConfig, Vanished},
    },
    Source,
    children::ChildPages,
    circle::Circle,
    endpoint::Endpoint,
    pages::HttpPages,
    values::Values,
};
use crate::{
    config::Interval,
    polling::{Changes, Overlap, Pages, Plan},
    records::Outline,
};

impl Source {
    /// Where the API begins.
    pub(super) fn base(&self) -> Result<String> {
        let values = Values { with: self.config.with.clone(), ..Values::default() };
        Template::parse(&self.config.url)?.render(&values)
    }

    /// The pages of the stream called `name`.
    pub(super) fn pages(&self, client: &Arc<Client>, name: &str) -> Result<Box<dyn Pages>> {
        let stream = self.stream(name)?;
        let children = self.own_pages(client, name, stream)?;
        Ok(match &stream.parent {
            None => Box::new(children),
            Some(parent) => {
                let of = self.stream(&parent.stream)?;
                let parents = self.own_pages(client, &parent.stream, of)?;
                let columns = parent.columns.clone();
                Box::new(ChildPages { parents, children, columns, page: None })
            }
        })
    }

    fn own_pages(&self, client: &Arc<Client>, name: &str, stream: &StreamConfig) -> Result<HttpPages> {
        let endpoint = Arc::new(Endpoint::new(client.clone(), &self.config, stream)?);
        let mut with: BTreeMap<String, String> = self.config.with.clone();
        with.extend(stream.with.clone());
        Ok(HttpPages { endpoint, stream: name.to_owned(), with, circle: Circle::default(), has_come: false })
    }

    fn stream(&self, name: &str) -> Result<&StreamConfig> {
        let stream = self.config.streams.get(name);
        stream.ok_or_else(|| Error::config(format!("there is no stream `{name}`")))
    }

    /// How the stream called `name` is read.
    pub(super) fn plan(&self, name: &str) -> Result<Plan> {
        plan(&self.config, name, self.stream(name)?)
    }
}

fn plan(source: &SourceConfig, name: &str, stream: &StreamConfig) -> Result<Plan> {
    let changes = match stream.changes() {
        // What only goes forward is not polled; a look at it is like one at anything else.
        ChangesConfig::FullRefresh | ChangesConfig::StreamOnly => Changes::FullRefresh,
        ChangesConfig::Watermark => Changes::Watermark {
            column: stream.watermark.clone().unwrap_or_default(),
            overlap: overlap(stream.overlap.as_deref())?,
            compare_every: stream.compare_every.map(|every| every.0),
        },
        ChangesConfig::Delta => {
            Changes::Delta { sparse: stream.delta.as_ref().is_some_and(|delta| delta.sparse) }
        }
    };
    let is_parent_steady = stream.parent.as_ref().and_then(|parent| source.streams.get(&parent.stream));
    let is_parent_steady = is_parent_steady.is_none_or(StreamConfig::is_steady);
    Ok(Plan {
        outline: Outline::configured(name, &stream.key, &stream.exclude, &stream.types)?,
        changes,
        ignored: stream.ignore.clone(),
        poll: source.poll.0,
        keeps_vanished: stream.vanished == Vanished::Keep,
        max_deletes: stream.max_deletes,
        steady_pages: stream.is_steady() && is_parent_steady,
    })
}

/// How far to look back: a whole number, or a time.
pub(super) fn overlap(text: Option<&str>) -> Result<Overlap> {
    let Some(text) = text else { return Ok(Overlap::Steps(0)) };
    if let Ok(steps) = text.parse() {
        return Ok(Overlap::Steps(steps));
    }
    let span = Interval::parse(text).map(|span| Overlap::Time(span.0));
    span.ok_or_else(|| {
        Error::config(format!("`{text}` is no overlap")).hint("give a time such as `5m`, or a whole number")
    })
}
