//! The source itself.

use std::sync::Arc;

use async_trait::async_trait;
use indexmap::IndexMap;
use tidemark_engine::{
    Cursor, Error, Result,
    read::{Outlet, ReadContext, ReadStrategy},
    world::World,
};

use super::{
    config::{SourceConfig, TableStream},
    pages::TablePages,
    plan::{decoding, plan},
    query::Query,
    service::Service,
};
use crate::polling::{Polled, PolledStream, PollingStrategy};

/// The tables of a storage account, as a source.
#[derive(Debug, Clone)]
pub struct Source {
    pub(super) config: Arc<SourceConfig>,
}

impl Source {
    /// The source that `config` describes. Touches no network.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Config`] when [`SourceConfig::validate`] finds a problem.
    pub fn new(config: SourceConfig) -> Result<Self> {
        if let Some(problem) = config.validate().into_iter().next() {
            let error = Error::config(format!("{}: {}", problem.path.join("."), problem.message));
            return Err(match problem.hint {
                Some(hint) => error.hint(hint),
                None => error,
            });
        }
        Ok(Self { config: Arc::new(config) })
    }

    /// What reads it; see [`crate::polling`].
    pub fn strategy(&self) -> impl ReadStrategy + use<> {
        PollingStrategy(self.clone())
    }

    pub(super) fn service(&self, world: World) -> Result<Service> {
        Service::new(&self.config, world)
    }

    /// The streams that the pipeline file names, or one for each of `tables`.
    pub(super) fn streams(&self, tables: &[String]) -> IndexMap<String, TableStream> {
        match &self.config.streams {
            Some(streams) => streams.clone(),
            None => tables.iter().map(|table| (table.clone(), TableStream::default())).collect(),
        }
    }

    /// The stream called `name`, ready to be read.
    pub(super) fn open_stream(
        &self,
        service: &Service,
        name: &str,
        stream: &TableStream,
    ) -> Result<PolledStream> {
        let plan = Arc::new(plan(name, stream, self.config.poll.0)?);
        let pages = TablePages {
            service: service.clone(),
            stream: plan.outline.name.clone(),
            query: Query::new(name, stream),
            decoding: decoding(stream)?,
        };
        Ok(PolledStream { plan, pages: Box::new(pages) })
    }
}

#[async_trait]
impl Polled for Source {
    async fn open(&mut self, _: &Cursor, _: &Outlet, cx: &ReadContext) -> Result<Vec<PolledStream>> {
        let service = self.service(cx.world.clone())?;
        let tables = match self.config.streams {
            Some(_) => Vec::new(),
            None => service.tables().await?,
        };
        let streams = self.streams(&tables);
        streams.iter().map(|(name, stream)| self.open_stream(&service, name, stream)).collect()
    }
}
