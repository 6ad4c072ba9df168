//! The schemas of a log: written before the first change that needs them, read once and remembered.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{Log, Store, names, store::Placed};
use crate::{
    Digest, Error, Result,
    schema::{StreamName, StreamSchema},
};

/// The schemas that this process has seen.
#[derive(Debug, Default)]
pub(super) struct Schemas(Mutex<HashMap<Digest, Arc<StreamSchema>>>);

impl Schemas {
    /// Makes `schema` durable, if it is not yet.
    pub(super) async fn put(&self, store: &Store, schema: &Arc<StreamSchema>) -> Result<()> {
        if self.seen(schema.digest()).is_some() {
            return Ok(());
        }
        let path = names::schema(schema.stream(), schema.digest());
        // It is named by its content: one that exists is the same, or not to be read by anybody.
        if store.place(&path, schema.to_json()?.into()).await? != Placed::Ours {
            return Err(Error::conflict(format!("the schema `{path}` does not match its name")).hint(
                "restore the staging store from a backup: changes cannot be read without their schema",
            ));
        }
        self.remember(schema.clone());
        Ok(())
    }

    /// The schema of `stream` that is called `digest`.
    pub(super) async fn get(
        &self,
        store: &Store,
        stream: &StreamName,
        digest: Digest,
    ) -> Result<Arc<StreamSchema>> {
        if let Some(schema) = self.seen(digest) {
            return Ok(schema);
        }
        let path = names::schema(stream, digest);
        let fail = |what: &str| {
            Error::conflict(format!("the schema `{path}` {what}"))
                .hint("restore the staging store from a backup: changes cannot be read without their schema")
        };
        let json = store.get(&path).await?.ok_or_else(|| fail("is missing"))?;
        let schema = StreamSchema::from_json(&json).map_err(|error| fail("cannot be read").source(error))?;
        if Digest::of(&json) != digest {
            return Err(fail("does not match its name"));
        }
        self.remember(schema.clone());
        Ok(schema)
    }

    fn seen(&self, digest: Digest) -> Option<Arc<StreamSchema>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&digest).cloned()
    }

    fn remember(&self, schema: Arc<StreamSchema>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(schema.digest(), schema);
    }
}

impl Log {
    /// The streams that the log has had changes of, by name.
    pub async fn streams(&self) -> Result<Vec<StreamName>> {
        let mut streams = Vec::new();
        for folder in self.store().folders(&names::schemas()).await? {
            let Some(path) = self.store().objects(&folder).await?.into_iter().next() else { continue };
            let Some(json) = self.store().get(&path).await? else { continue };
            streams.push(StreamSchema::from_json(&json)?.stream().clone());
        }
        streams.sort();
        Ok(streams)
    }
}
