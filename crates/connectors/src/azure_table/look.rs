//! A look at the account before anything is read into a log: whether the tables are there, and what their first entities are.

use std::sync::Arc;

use tidemark_engine::{Error, Result, change::Op, world::World};

use super::{Source, config::TableStream, service, service::Service};
use crate::{
    config::{Discovered, Extent, Findings},
    polling::{Answer, Ask, Page, PolledStream, Records, Subset, Sweep},
    records::{Known, Table},
};

/// Pages that are looked at, until one has entities.
const PAGES: usize = 20;

impl Source {
    /// Says what stands in the way of reading it.
    pub async fn check(&self) -> Findings {
        match self.problems().await {
            Ok(problems) => problems.into(),
            Err(error) => error.into(),
        }
    }

    async fn problems(&self) -> Result<Vec<Error>> {
        let service = self.service(World::real())?;
        // Who may read tables need not be allowed to list them.
        let tables = match (&self.config.streams, service.tables().await) {
            (None, Err(error)) => return Err(error),
            (_, tables) => tables.unwrap_or_default(),
        };
        let mut problems = Vec::new();
        for (name, stream) in self.streams(&tables) {
            let table = stream.table(&name);
            // Names of tables do not tell small letters from capital ones.
            let is_there = |other: &String| other.eq_ignore_ascii_case(table);
            let looked = match tables.is_empty() || tables.iter().any(is_there) {
                true => self.look(&service, &name, &stream).await.map(drop),
                false => Err(service::missing(table, &tables)),
            };
            problems.extend(looked.err().map(|error| error.context(format!("stream `{name}`"))));
        }
        Ok(problems)
    }

    /// The tables that have entities, with the first `sample` of each.
    pub async fn discover(&self, sample: usize) -> Result<Vec<Discovered>> {
        let service = self.service(World::real())?;
        let tables = match self.config.streams {
            Some(_) => Vec::new(),
            None => service.tables().await?,
        };
        let mut discovered = Vec::new();
        for (name, stream) in self.streams(&tables) {
            let Some((plan, page)) = self.look(&service, &name, &stream).await? else { continue };
            let Records::Text(rows) = &page.records else { continue };
            let mut table = Table::new(&plan.outline, Known::default());
            let all = Subset { all: rows.clone(), picked: (0..rows.len()).collect() };
            let batch = table.batch(&all, Op::Read, true, &page.origin)?;
            discovered.push(Discovered {
                schema: table.schema()?,
                extent: Extent::Records(None),
                sample: (sample > 0).then(|| batch.slice(0, batch.rows().min(sample))),
            });
        }
        Ok(discovered)
    }

    /// The first page with entities of a stream, and how the stream is read.
    async fn look(
        &self,
        service: &Service,
        name: &str,
        stream: &TableStream,
    ) -> Result<Option<(Arc<crate::polling::Plan>, Page)>> {
        let PolledStream { plan, mut pages } = self.open_stream(service, name, stream)?;
        let mut ask =
            Ask { sweep: Sweep::All, token: None, begun: World::real().now(), unless_unchanged: false };
        for _ in 0..PAGES {
            let Answer::Page(page) = pages.page(&ask).await? else { break };
            if page.records.len() > 0 {
                return Ok(Some((plan, page)));
            }
            match page.next {
                Some(next) => ask.token = Some(next),
                None => break,
            }
        }
        Ok(None)
    }
}
