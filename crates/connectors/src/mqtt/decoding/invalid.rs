//! Messages that are not of their stream's format, kept as they came.

use std::collections::BTreeMap;

use tidemark_engine::{
    Error,
    schema::{Kind, StreamName},
};

use super::{super::session::Message, gathered::hex};
use crate::records::{Cell, Outline, Rows, Shape};

const COLUMNS: [(&str, Kind); 4] = [
    ("topic", Kind::Text),
    ("payload", Kind::Bytes),
    ("reason", Kind::Text),
    ("received_at", Kind::TimestampTz),
];

/// The stream that takes them.
pub(super) fn outline(name: &StreamName) -> Outline {
    let kinds = COLUMNS.into_iter().map(|(column, kind)| (column.to_owned(), kind));
    Outline { kinds: kinds.collect::<BTreeMap<_, _>>(), ..Outline::new(name.as_str()) }
}

/// Messages that are not valid, as rows.
pub(super) struct Invalid {
    names: Vec<String>,
    messages: Vec<[String; COLUMNS.len()]>,
}

impl Invalid {
    pub(super) fn new() -> Self {
        let names = COLUMNS.iter().map(|(column, _)| (*column).to_owned()).collect();
        Self { names, messages: Vec::new() }
    }

    /// Adds a message, and why it is not valid.
    pub(super) fn add(&mut self, message: &Message, reason: &Error) {
        self.messages.push([
            message.topic.clone(),
            hex(&message.payload),
            reason.message().to_owned(),
            message.received_at.to_string(),
        ]);
    }
}

impl Rows for Invalid {
    fn len(&self) -> usize {
        self.messages.len()
    }

    fn names(&self) -> &[String] {
        &self.names
    }

    fn cell(&self, column: usize, row: usize) -> Cell<'_> {
        let text = self.messages[row][column].as_str();
        Cell::Value { text, raw: text, shape: Shape::Plain }
    }

    fn line(&self, _: usize) -> u64 {
        1
    }

    fn is_dense(&self) -> bool {
        true
    }
}
