//! A first look at a stream: what its first records are, before any is read into a log.

use std::sync::Arc;

use tidemark_engine::{
    Error, Result,
    change::{ChangeBatch, Op},
    schema::StreamSchema,
    world::World,
};

use super::{super::config::Format, Source, outgoing::Outgoing, values::Values};
use crate::{
    polling::{Answer, Ask, Page, Records, Sweep},
    records::{Known, Outline, Table},
};

/// Pages that are looked at, until one has records.
const PAGES: usize = 20;

/// The first records of a stream.
pub(super) struct Look {
    /// The names of the columns, in the order they came.
    pub(super) columns: Vec<String>,
    /// The records, where there were any.
    pub(super) batch: Option<ChangeBatch>,
    pub(super) schema: Option<Arc<StreamSchema>>,
}

impl Source {
    /// Asks for the first records of the stream called `name`.
    pub(super) async fn look(&self, name: &str) -> Result<Look> {
        let client = self.client(World::real(), None)?;
        if let Some(stream) = self.config.streams.get(name).filter(|it| it.format == Format::WebSocket) {
            // Nobody knows when it will say something: that it opens is all that can be told.
            let with = self.config.with.clone().into_iter().chain(stream.with.clone()).collect();
            let values = Values { stream: name.to_owned(), with, ..Values::default() };
            client.socket(&Outgoing::new(&self.config, stream)?.request(None, &values)?).await?;
            return Ok(Look { columns: Vec::new(), batch: None, schema: None });
        }
        let mut pages = self.pages(&client, name)?;
        let mut ask =
            Ask { sweep: Sweep::All, token: None, begun: World::real().now(), unless_unchanged: false };
        for _ in 0..PAGES {
            let page = match pages.page(&ask).await? {
                Answer::Page(page) => page,
                Answer::Unchanged | Answer::Expired => {
                    return Err(Error::data(format!("stream `{name}` was answered with no page of records"))
                        .hint("check its address"));
                }
            };
            if page.records.len() > 0 {
                return looked_at(&self.plan(name)?.outline, &page);
            }
            match page.next {
                Some(next) => ask.token = Some(next),
                None => break,
            }
        }
        Ok(Look { columns: Vec::new(), batch: None, schema: None })
    }
}

/// What the records of `page` look like. One without its key is told by whoever checks.
fn looked_at(outline: &Outline, page: &Page) -> Result<Look> {
    match &page.records {
        Records::Typed(batch) => {
            let columns = batch.schema().fields().iter().map(|field| field.name.clone()).collect();
            Ok(Look { columns, schema: Some(batch.schema().clone()), batch: Some(batch.clone()) })
        }
        Records::Text(rows) => {
            let columns = rows.names().to_vec();
            let is_keyed = outline.key.iter().all(|key| columns.contains(key));
            let outline = if is_keyed { outline.clone() } else { outline.without_key() };
            let mut table = Table::new(&outline, Known::default());
            let subset = crate::polling::Subset { all: rows.clone(), picked: (0..rows.len()).collect() };
            let batch = table.batch(&subset, Op::Read, true, &page.origin)?;
            Ok(Look { columns, schema: Some(table.schema()?), batch: Some(batch) })
        }
    }
}
