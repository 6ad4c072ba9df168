//! One stream, as pages.

use std::sync::Arc;

use async_trait::async_trait;
use tidemark_engine::{Error, Result};
use tokio::sync::Semaphore;

use super::{QuerySource, sweep::Sweeping};
use crate::{
    polling::{Answer, Ask, Page, Pages, Plan, Records, Sweep},
    queries::QueryStream,
};

/// A stream that is read by a transaction a sweep. A page's token is its number: in another process it stands for the beginning, for
/// what was shown to the first one is gone with it.
pub(super) struct QueryPages {
    source: QuerySource,
    stream: QueryStream,
    plan: Arc<Plan>,
    readers: Arc<Semaphore>,
    sweeping: Option<Sweeping>,
}

impl QueryPages {
    pub(super) fn new(
        source: &QuerySource,
        stream: &QueryStream,
        plan: Arc<Plan>,
        readers: Arc<Semaphore>,
    ) -> Self {
        Self { source: source.clone(), stream: stream.clone(), plan, readers, sweeping: None }
    }

    async fn begin(&self, sweep: &Sweep) -> Result<Sweeping> {
        let reader = self.readers.clone().acquire_owned().await;
        let reader = reader.map_err(|error| Error::internal("PostgreSQL is read no more").source(error))?;
        Sweeping::begin(&self.source, &self.stream, &self.plan, sweep, reader).await
    }
}

#[async_trait]
impl Pages for QueryPages {
    async fn page(&mut self, ask: &Ask) -> Result<Answer> {
        let is_next = |sweeping: &Sweeping| ask.token == Some(sweeping.pages.to_string());
        let mut sweeping = match self.sweeping.take().filter(is_next) {
            Some(sweeping) => sweeping,
            None => self.begin(&ask.sweep).await?,
        };
        let (batch, is_last) = sweeping.next().await?;
        let next = (!is_last).then(|| sweeping.pages.to_string());
        if !is_last {
            self.sweeping = Some(sweeping);
        }
        Ok(Answer::Page(Page {
            bytes: batch.byte_size(),
            records: Records::Typed(batch),
            gone: None,
            next,
            delta: None,
            origin: self.plan.outline.name.to_string(),
        }))
    }
}
