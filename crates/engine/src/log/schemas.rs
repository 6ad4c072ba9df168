//! The schemas of a log: written before the first change that needs them, read once and remembered.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use object_store::path::Path;

use super::{Commit, Log, Store, commit::Header, names, putting::Put};
use crate::{
    Digest, Error, Result, Stop,
    schema::{StreamName, StreamSchema},
};

/// The schemas that this process has seen.
#[derive(Debug, Default)]
pub(super) struct Schemas(Mutex<HashMap<Digest, Arc<StreamSchema>>>);

impl Schemas {
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
        let fail = |what: &str| damaged(&path, what);
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

fn damaged(path: &Path, what: &str) -> Error {
    Error::conflict(format!("the schema `{path}` {what}"))
        .hint("restore the staging store from a backup: changes cannot be read without their schema")
}

impl Commit {
    /// The streams that a base knows and holds nothing of. The schema does not tell: a stream may have had no key for a while.
    pub(super) fn left_out(&self) -> BTreeSet<StreamName> {
        let Header { schemas, completed, .. } = self.header();
        schemas.keys().filter(|stream| !completed.contains_key(*stream)).cloned().collect()
    }
}

impl Log {
    /// Makes `schema` durable, if it is not yet. An outage of the store only delays it, until `stop`.
    pub(super) async fn put_schema(&self, schema: &Arc<StreamSchema>, stop: &Stop) -> Result<()> {
        if self.0.schemas.seen(schema.digest()).is_some() {
            return Ok(());
        }
        let path = names::schema(schema.stream(), schema.digest());
        // It is named by its content: one that exists is the same, or damaged.
        if self.put(&path, &schema.to_json()?.into(), stop).await? == Put::Theirs {
            return Err(damaged(&path, "does not match its name"));
        }
        self.0.schemas.remember(schema.clone());
        Ok(())
    }

    /// The newest schema of every stream, up to `commit`.
    pub(super) async fn schemas_after(&self, commit: &Commit) -> Result<BTreeMap<StreamName, Digest>> {
        match commit.header().schemas_at {
            sequence if sequence == commit.sequence() => Ok(commit.header().schemas.clone()),
            sequence => self.schemas_at(sequence).await,
        }
    }

    /// The same as a commit tells it that brought a new one; none before the first. The base tells what those before it did.
    pub(super) async fn schemas_at(&self, sequence: u64) -> Result<BTreeMap<StreamName, Digest>> {
        match sequence {
            0 => Ok(BTreeMap::new()),
            _ => {
                let commit = self.commit(sequence.max(self.layout().base_sequence())).await?;
                Ok(commit.header().schemas.clone())
            }
        }
    }

    /// The streams of which something was dropped that the base does not stand for, because they had no key, and that have not been
    /// read anew since: of those, what is kept is not all.
    pub async fn streams_cut_off(&self) -> Result<BTreeSet<StreamName>> {
        let Some(base) = self.begins_after() else { return Ok(BTreeSet::new()) };
        let mut cut_off = self.commit(base).await?.left_out();
        let mut sequence = base;
        while !cut_off.is_empty() && sequence < self.head().sequence {
            sequence += 1;
            let commit = self.commit(sequence).await?;
            cut_off.retain(|stream| !commit.header().completed.contains_key(stream));
        }
        Ok(cut_off)
    }

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
