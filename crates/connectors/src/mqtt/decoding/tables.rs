//! What the streams look like so far, and what becomes of their messages.

use std::{collections::BTreeMap, sync::Arc};

use tidemark_engine::{
    Error, Result,
    change::{ChangeBatch, Op},
    schema::StreamName,
};

use super::{
    super::session::Message,
    gathered::Gathered,
    invalid::{self, Invalid},
    layout::{Layout, Stream},
};
use crate::records::{Known, Rows, Table};

/// The tables of all streams, and of those for what is not valid.
#[derive(Debug, Clone)]
pub(in crate::mqtt) struct Tables {
    layout: Arc<Layout>,
    /// By the number of the stream.
    streams: Vec<Table>,
    invalid: BTreeMap<StreamName, Table>,
}

impl Tables {
    /// Goes on with the columns `known`, by stream.
    pub(in crate::mqtt) fn new(layout: Arc<Layout>, known: &BTreeMap<String, Known>) -> Self {
        let known = |name: &StreamName| known.get(name.as_str()).cloned().unwrap_or_default();
        let table = |stream: &Stream| Table::new(&stream.outline, known(&stream.outline.name));
        let taking = layout.streams.iter().filter_map(|stream| stream.invalid.as_ref());
        let invalid =
            taking.map(|name| (name.clone(), Table::new(&invalid::outline(name), known(name)))).collect();
        Self { streams: layout.streams.iter().map(table).collect(), invalid, layout }
    }

    /// The columns, to be kept in the cursor.
    pub(in crate::mqtt) fn known(&self) -> BTreeMap<String, Known> {
        let streams = self.layout.streams.iter().map(|stream| &stream.outline.name).zip(&self.streams);
        let all = streams.chain(&self.invalid);
        all.map(|(name, table)| (name.as_str().to_owned(), table.known().clone())).collect()
    }

    /// The batches of `messages`, each with the number of its stream, in order within each stream. Messages that are not valid go
    /// where their stream has them go, or fail with the first of them. Nothing is changed by an error.
    pub(in crate::mqtt) fn batches(&mut self, messages: &[(usize, Message)]) -> Result<Vec<ChangeBatch>> {
        let mut by_stream: BTreeMap<usize, Vec<&Message>> = BTreeMap::new();
        for (stream, message) in messages {
            by_stream.entry(*stream).or_default().push(message);
        }
        let (mut after, mut batches) = (self.clone(), Vec::new());
        for (stream, messages) in by_stream {
            batches.extend(after.of_stream(stream, &messages)?);
        }
        *self = after;
        Ok(batches)
    }

    fn of_stream(&mut self, number: usize, messages: &[&Message]) -> Result<Vec<ChangeBatch>> {
        let layout = self.layout.clone();
        let stream = &layout.streams[number];
        let before = self.streams[number].clone();
        // Mostly all are valid.
        if let Ok(batch) = batch(stream, &mut self.streams[number], messages) {
            return Ok(batch.into_iter().collect());
        }
        self.streams[number] = before;
        let (mut valid, mut invalid) = (Vec::new(), Invalid::new());
        for message in messages {
            // Kinds only widen, so a message that is valid by itself is valid among others.
            match batch(stream, &mut self.streams[number].clone(), &[message]) {
                Ok(_) => valid.push(*message),
                Err(error) => match &stream.invalid {
                    Some(_) => invalid.add(message, &error),
                    None => return Err(not_valid(stream, error)),
                },
            }
        }
        let mut batches = Vec::new();
        batches.extend(batch(stream, &mut self.streams[number], &valid)?);
        if let Some(table) = stream.invalid.as_ref().and_then(|name| self.invalid.get_mut(name)) {
            batches.push(table.batch(&invalid, Op::Create, false, stream.outline.name.as_str())?);
        }
        Ok(batches)
    }
}

/// The records of `messages`; `None` where they have none.
fn batch(stream: &Stream, table: &mut Table, messages: &[&Message]) -> Result<Option<ChangeBatch>> {
    let mut gathered = Gathered::new(stream);
    for message in messages {
        gathered.add(message)?;
    }
    if gathered.len() == 0 {
        return Ok(None);
    }
    let origin = messages.first().map_or("", |message| message.topic.as_str());
    table.batch(&gathered, Op::Create, false, origin).map(Some)
}

fn not_valid(stream: &Stream, error: Error) -> Error {
    let hint = "correct its publisher, or set `invalid` to the name of a stream that takes such messages";
    let name = &stream.outline.name;
    Error::new(error.kind(), format!("stream `{name}`: {}", error.message())).hint(hint)
}

#[cfg(test)]
mod tests;
