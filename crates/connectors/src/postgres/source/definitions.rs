//! What the catalog says of types, asked beside the replication stream, which carries numbers alone.

use tidemark_engine::Result;

use crate::postgres::{
    connection::{Server, Session},
    types::{Catalog, ColumnType},
};

/// Asks the server, connecting when first needed, and remembers.
pub(super) struct Definitions {
    server: Server,
    session: Option<Session>,
    catalog: Catalog,
}

impl Definitions {
    pub(super) fn new(server: Server) -> Self {
        Self { server, session: None, catalog: Catalog::default() }
    }

    /// The same, forgetting what was known: a type may have been altered since, an enum have gained a label.
    pub(super) async fn types_anew(&mut self, wanted: &[(u32, i32)]) -> Result<Vec<ColumnType>> {
        self.catalog = Catalog::default();
        self.types(wanted).await
    }

    /// The types with these numbers and modifiers.
    pub(super) async fn types(&mut self, wanted: &[(u32, i32)]) -> Result<Vec<ColumnType>> {
        // A connection that idled for days may be gone.
        let session = match self.session.take().filter(|session| !session.is_closed()) {
            Some(session) => session,
            None => self.server.connect("catalog").await?,
        };
        let types = self.catalog.resolve(&session, wanted).await?;
        self.session = Some(session);
        Ok(types)
    }
}
