//! What will happen to tables when the pipeline is run, and what has become of them, from what the log says of the source.

use tidemark_engine::{Cursor, Error, Result, schema::StreamName};

use super::{
    Source, catalog, continuity, cursor::StreamCursor, publication::Publication, replication::Replication,
    selection::Selection, slot::Slot, table::Table,
};

impl Source {
    /// What the next run will do that a person should know of, where `cursor` is where the log stands: tables that it will read anew,
    /// or not any more, and why it would stop. Changes nothing.
    pub async fn outlook(&self, cursor: &Cursor) -> Result<Vec<Error>> {
        let Some(known) = StreamCursor::read(cursor)? else { return Ok(Vec::new()) };
        let session = self.server.connect("check").await?;
        let identity = Replication::connect(&self.server, "check").await?.identify().await?;
        let slot = Slot::inspect(&session, self.slot()).await?;
        let mut outlook = Vec::new();
        let published = Publication::inspect(&session, self.publication()).await?;
        outlook.extend(self.verify(Some(&known), slot.as_ref(), published.as_ref(), &identity).err());
        let all = catalog::tables(&session).await?;
        let selection = Selection::knowing(self.config.streams.as_ref(), &all, &known.names(cursor));
        if let Some(published) = published.filter(|_| selection.problems.is_empty()) {
            let tables: Vec<_> = selection.tables.into_iter().map(Table::from).collect();
            outlook.extend(
                continuity::lapses(&known, &tables, &published).iter().map(continuity::Lapsed::ahead),
            );
        }
        Ok(outlook)
    }

    /// The streams that are in the log whose cursor this is, and are not read any more.
    pub fn left(cursor: &Cursor) -> Result<Vec<StreamName>> {
        let known = StreamCursor::read(cursor)?;
        Ok(known.into_iter().flat_map(|known| known.left).map(StreamName::new).collect())
    }
}
