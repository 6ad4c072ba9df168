//! The objects of one stream, and parts of them in memory.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use tidemark_engine::{
    Error, Result,
    log::{StateObject, States},
    schema::StreamName,
    world::World,
};

use super::{
    part::{Part, Unreadable, Written},
    reference::PartRef,
};

/// Where parts are put and got. Those used last stay in memory, as many as there is room for.
#[derive(Debug)]
pub(super) struct Shelf {
    states: States,
    stream: StreamName,
    /// Bytes of parts that stay in memory.
    room: usize,
    taken: usize,
    held: HashMap<Arc<str>, Held>,
    /// Counts uses.
    clock: u64,
}

#[derive(Debug)]
struct Held {
    part: Part,
    used: u64,
}

impl Shelf {
    pub(super) fn new(states: States, stream: StreamName, room: usize) -> Self {
        Self { states, stream, room, taken: 0, held: HashMap::new(), clock: 0 }
    }

    pub(super) fn world(&self) -> &World {
        self.states.world()
    }

    /// The part that `of` names.
    pub(super) async fn part(&mut self, of: &PartRef) -> Result<Part> {
        self.clock += 1;
        if let Some(held) = self.held.get_mut(of.object.name.as_str()) {
            held.used = self.clock;
            return Ok(held.part.clone());
        }
        let part = Part::open(self.states.get(&of.object).await?);
        let part = part.map_err(|unreadable| self.unreadable(unreadable))?;
        self.hold(&of.object.name, part.clone());
        Ok(part)
    }

    /// Makes a part durable.
    pub(super) async fn put(&mut self, written: Written) -> Result<PartRef> {
        let Written { content, first, last, entries, gone, .. } = written;
        let object = self.states.put(&self.stream, content.clone()).await?;
        let part = Part::open(content).map_err(|unreadable| self.unreadable(unreadable))?;
        self.clock += 1;
        self.hold(&object.name, part);
        Ok(PartRef { object, first, last, entries, gone })
    }

    /// Puts a list.
    pub(super) async fn put_list(&self, list: &impl Serialize) -> Result<StateObject> {
        let unwritable = |error| Error::internal("cannot write down what is known of a stream").source(error);
        let json = serde_json::to_vec(list).map_err(unwritable)?;
        self.states.put(&self.stream, Bytes::from(json)).await
    }

    /// Gets a list.
    pub(super) async fn list<T: DeserializeOwned>(&self, object: &StateObject) -> Result<T> {
        let content = self.states.get(object).await?;
        serde_json::from_slice(&content).map_err(|error| self.unreadable(Unreadable).source(error))
    }

    /// Removes everything but `kept`, also from memory.
    pub(super) async fn keep_only(&mut self, kept: &[StateObject]) -> Result<()> {
        let names: std::collections::HashSet<&str> = kept.iter().map(|object| object.name.as_str()).collect();
        self.held.retain(|name, _| names.contains(&**name));
        self.taken = self.held.values().map(|held| held.part.size()).sum();
        self.states.keep_only(&self.stream, kept).await
    }

    /// What cannot be read although it is whole.
    pub(super) fn unreadable(&self, Unreadable: Unreadable) -> Error {
        Error::conflict(format!("what is known of `{}` is not written as this version writes it", self.stream))
            .hint("go back to the version that wrote it, or have the stream read anew: `tidemark resync FILE --stream NAME`")
    }

    fn hold(&mut self, name: &str, part: Part) {
        self.taken += part.size();
        self.held.insert(name.into(), Held { part, used: self.clock });
        while self.taken > self.room {
            let oldest = self.held.iter().min_by_key(|(_, held)| held.used).map(|(name, _)| name.clone());
            let Some(held) = oldest.and_then(|name| self.held.remove(&name)) else { break };
            self.taken -= held.part.size();
        }
    }
}
