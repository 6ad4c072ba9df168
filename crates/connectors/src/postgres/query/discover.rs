//! What the database offers: its streams, with the schemas they are staged under.

use tidemark_engine::Result;

use super::{BEGIN, QuerySource, sweep::copying};
use crate::{
    config::{Discovered, Extent},
    polling::Sweep,
    postgres::connection::failure,
};

impl QuerySource {
    /// The streams, with up to `records` records of each.
    pub async fn discover(&self, records: usize) -> Result<Vec<Discovered>> {
        let session = self.server.connect("discover").await?;
        let mut discovered = Vec::new();
        for (name, stream) in &self.config.streams {
            let (query, plan) = self.look(&session, name, stream).await?;
            let sample = match records {
                0 => None,
                _ => {
                    let doing = || format!("cannot look at stream `{name}`");
                    session.batch_execute(BEGIN).await.map_err(|error| failure(doing(), error))?;
                    let sample =
                        copying(&session, &query, &plan, &Sweep::All, Some(records)).await?.next().await?;
                    session.batch_execute("ROLLBACK").await.map_err(|error| failure(doing(), error))?;
                    sample
                }
            };
            discovered.push(Discovered {
                schema: query.schema(&plan)?,
                extent: Extent::Records(None),
                sample,
            });
        }
        Ok(discovered)
    }
}
