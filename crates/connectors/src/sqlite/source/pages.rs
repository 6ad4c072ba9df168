//! One stream, as pages.

use std::sync::Arc;

use async_trait::async_trait;
use tidemark_engine::{Error, Result};
use tokio::sync::Semaphore;

use super::{
    database::Database,
    since::Since,
    sweep::{Order, Sweeping},
};
use crate::{
    polling::{Answer, Ask, Page, Pages, Plan, Records, Sweep},
    queries::QueryStream,
};

/// A stream that is read by a statement a sweep. A page's token is its number: in another process it stands for the beginning, for what was
/// shown to the first one is gone with it.
pub(super) struct SqlitePages {
    database: Database,
    stream: QueryStream,
    plan: Arc<Plan>,
    readers: Arc<Semaphore>,
    sweeping: Option<Sweeping>,
}

impl SqlitePages {
    pub(super) fn new(
        database: Database,
        stream: QueryStream,
        plan: Arc<Plan>,
        readers: Arc<Semaphore>,
    ) -> Self {
        Self { database, stream, plan, readers, sweeping: None }
    }

    async fn begin(&self, sweep: &Sweep) -> Result<Sweeping> {
        let since = match (sweep, self.plan.watermark()) {
            (Sweep::All, _) => None,
            (Sweep::Since(mark), Some(column)) => Some(Since::new(column, mark)),
            (Sweep::Since(_) | Sweep::Delta(_), _) => {
                return Err(Error::internal("SQLite was asked for changes in a way it does not know"));
            }
        };
        let order = Order { stream: self.stream.clone(), plan: self.plan.clone(), since };
        let reader = self.readers.clone().acquire_owned().await;
        let reader = reader.map_err(|error| Error::internal("SQLite is read no more").source(error))?;
        Sweeping::begin(self.database.clone(), order, reader).await
    }
}

#[async_trait]
impl Pages for SqlitePages {
    async fn page(&mut self, ask: &Ask) -> Result<Answer> {
        let is_next = |sweeping: &Sweeping| ask.token == Some(sweeping.pages.to_string());
        let mut sweeping = match self.sweeping.take().filter(is_next) {
            Some(sweeping) => sweeping,
            None => self.begin(&ask.sweep).await?,
        };
        let (rows, is_last) = sweeping.next().await?;
        let next = (!is_last).then(|| sweeping.pages.to_string());
        if !is_last {
            self.sweeping = Some(sweeping);
        }
        Ok(Answer::Page(Page {
            bytes: rows.bytes(),
            records: Records::Text(Arc::new(rows)),
            gone: None,
            next,
            delta: None,
            origin: self.plan.outline.name.to_string(),
        }))
    }
}
