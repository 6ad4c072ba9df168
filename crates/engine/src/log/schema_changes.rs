//! The changes of schema that the log has seen.

use std::sync::Arc;

use super::Log;
use crate::{
    Digest, Result, Time,
    schema::{Difference, StreamName, StreamSchema, differences},
};

/// How many commits that brought a schema are looked at: most of them brought the first one of a stream.
const FARTHEST: usize = 256;

/// A stream got another schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaChange {
    /// Which stream.
    pub stream: StreamName,
    /// The commit that brought it.
    pub commit: u64,
    /// When that was recorded.
    pub time: Time,
    /// What differs.
    pub differences: Vec<Difference>,
}

impl Log {
    /// The schema of `stream` that is called `digest`.
    pub async fn schema(&self, stream: &StreamName, digest: Digest) -> Result<Arc<StreamSchema>> {
        self.0.schemas.get(self.store(), stream, digest).await
    }

    /// The last `most` changes of schema, newest first. The first schema of a stream is none. Those that lie very far back are not
    /// found.
    pub async fn schema_changes(&self, most: usize) -> Result<Vec<SchemaChange>> {
        let (mut changes, mut looked) = (Vec::new(), 0);
        let mut at = self.0.head.borrow().schemas_at;
        // What is not kept any more nobody tells.
        let first = self.layout().base_sequence().max(1);
        while at > first && changes.len() < most && looked < FARTHEST {
            looked += 1;
            let commit = self.commit(at).await?;
            let before = self.commit(at - 1).await?.header().schemas_at;
            let former = self.schemas_at(before).await?;
            for (stream, digest) in &commit.header().schemas {
                let Some(earlier) = former.get(stream).filter(|earlier| *earlier != digest) else { continue };
                let (earlier, later) =
                    (self.schema(stream, *earlier).await?, self.schema(stream, *digest).await?);
                let differences = differences(&earlier, &later);
                if !differences.is_empty() {
                    let stream = stream.clone();
                    changes.push(SchemaChange { stream, commit: at, time: commit.time(), differences });
                }
            }
            at = before;
        }
        changes.truncate(most);
        Ok(changes)
    }
}
