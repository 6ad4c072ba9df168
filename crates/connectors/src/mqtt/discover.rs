//! What the broker offers: the streams of the pipeline file, as messages of a few seconds show them.

use std::{collections::BTreeMap, time::Duration};

use tidemark_engine::{Result, change::ChangeBatch, world::World};

use super::{
    decoding::Tables,
    session::{Event, Session},
    source::Source,
};
use crate::config::{Discovered, Extent};

/// How long to listen. What is retained comes at once.
const LISTENING: Duration = Duration::from_secs(3);
/// Messages that are looked into.
const MESSAGES: usize = 1_000;

impl Source {
    /// The streams of which something came within a few seconds, with up to `sample` records of each. Messages that are not valid are
    /// passed over; the pipeline's session stays as it is, and nobody misses a message.
    pub async fn discover(&self, sample: usize) -> Result<Vec<Discovered>> {
        let world = World::real();
        let mut session = Session::open(&self.broker, &self.introduction.in_passing(&world), &world).await?;
        let patterns = self.layout.streams.iter().flat_map(|stream| &stream.patterns);
        let filters =
            patterns.filter(|pattern| !pattern.is_shared()).map(|pattern| pattern.filter()).collect();
        session.subscribe(filters, Vec::new());
        let mut tables = Tables::new(self.layout.clone(), &BTreeMap::new());
        let mut found: Vec<ChangeBatch> = Vec::new();
        let mut time = std::pin::pin!(world.sleep(LISTENING));
        for _ in 0..MESSAGES {
            let event = tokio::select! {
                event = session.next() => event?,
                () = &mut time => break,
            };
            let Event::Message(message) = event else { continue };
            if let Some(stream) = self.layout.stream_of(&message.topic) {
                found.extend(tables.batches(&[(stream, message)]).unwrap_or_default());
            }
        }
        session.close().await;
        let mut discovered: Vec<Discovered> = Vec::new();
        for batch in found {
            let name = batch.schema().stream();
            match discovered.iter_mut().find(|known| known.schema.stream() == name) {
                // The last one has the columns of all before it.
                Some(known) => known.schema = batch.schema().clone(),
                None => {
                    let schema = batch.schema().clone();
                    let first = (sample > 0).then(|| batch.slice(0, batch.rows().min(sample)));
                    discovered.push(Discovered { schema, extent: Extent::Records(None), sample: first });
                }
            }
        }
        Ok(discovered)
    }
}
