//! What the source offers: its streams, with the schemas that their first records have.

use tidemark_engine::Result;

use super::Source;
use crate::config::{Discovered, Extent};

impl Source {
    /// The streams that have records, with the first `sample` of each.
    pub async fn discover(&self, sample: usize) -> Result<Vec<Discovered>> {
        let mut discovered = Vec::new();
        for name in self.config.streams.keys() {
            let look = self.look(name).await?;
            if let Some(schema) = look.schema {
                let first = look.batch.filter(|_| sample > 0);
                let sample = first.map(|batch| batch.slice(0, batch.rows().min(sample)));
                discovered.push(Discovered { schema, extent: Extent::Records(None), sample });
            }
        }
        Ok(discovered)
    }
}
