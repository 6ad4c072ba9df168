//! The source's side of a comparison.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tidemark_engine::{Cursor, Error, Result, schema::StreamName};
use tokio::sync::OnceCell;

use super::{
    Source, catalog,
    cursor::StreamCursor,
    definitions::Definitions,
    selection::{Selection, TableToRead},
    sync::end_of_log,
    table::Shape,
};
use crate::{
    comparing::{Offered, Original, Table},
    postgres::{
        compared::{self, ComparedTable},
        connection::Session,
        lsn::Lsn,
    },
};

impl Source {
    /// The source, to be compared with what became of it. Connects when it is first asked.
    pub fn compared(self) -> impl Original + use<> {
        Compared { source: self, session: OnceCell::new() }
    }
}

struct Compared {
    source: Source,
    session: OnceCell<Arc<Session>>,
}

impl Compared {
    async fn session(&self) -> Result<&Arc<Session>> {
        self.session.get_or_try_init(|| compared::connect(&self.source.server)).await
    }

    /// The tables that are read, as they are now.
    async fn tables(&self) -> Result<Vec<TableToRead>> {
        let all = catalog::tables(self.session().await?).await?;
        let selection = Selection::of(self.source.config.streams.as_ref(), &all);
        match selection.problems.into_iter().next() {
            Some(problem) => Err(problem),
            None => Ok(selection.tables),
        }
    }
}

#[async_trait]
impl Original for Compared {
    async fn streams(&self, cursor: &Cursor) -> Result<Vec<Offered>> {
        let known = StreamCursor::read(cursor)?;
        let offered = self.tables().await?.into_iter().map(|table| {
            let name = table.table.id.to_string();
            let is_read = known.as_ref().is_some_and(|known| known.synced.contains_key(&name));
            let why_not = (!is_read).then(|| "its initial sync is not complete".to_owned());
            Offered { stream: StreamName::new(name), why_not }
        });
        Ok(offered.collect())
    }

    async fn table(&self, stream: &StreamName) -> Result<Box<dyn Table>> {
        let tables = self.tables().await?;
        let table = tables.into_iter().find(|table| table.table.id.to_string() == stream.as_str());
        let table = table.ok_or_else(|| Error::unavailable(format!("table `{stream}` is gone")))?;
        let mut definitions = Definitions::new(self.source.server.clone());
        let shape = Shape::ask(Arc::new(table.into()), &mut definitions).await?;
        Ok(Box::new(ComparedTable::new(self.session().await?.clone(), shape)))
    }

    async fn end(&self) -> Result<Bytes> {
        let end = end_of_log(self.session().await?).await?;
        Ok(Bytes::copy_from_slice(&end.to_bytes()))
    }

    fn is_staged(&self, end: &Bytes, cursor: &Cursor) -> Result<bool> {
        let end = end.as_ref().try_into().map(u64::from_be_bytes);
        let end = end.map_err(|_| Error::internal("a place in the source's log has no eight bytes"))?;
        Ok(StreamCursor::read(cursor)?.is_some_and(|known| known.lsn >= Lsn(end)))
    }
}
