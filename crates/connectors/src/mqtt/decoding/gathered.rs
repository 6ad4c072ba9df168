//! Some messages of one stream as rows: what their topics say, then what their payloads say.

use std::{collections::HashMap, sync::Arc};

use tidemark_engine::{Error, Result};

use super::{
    super::{
        config::{Metadata, RawKind},
        session::Message,
    },
    layout::{Format, Stream},
};
use crate::records::{Cell, CsvCutter, CsvRows, Cutter, JsonCutter, JsonRows, Rows, Shape};

/// The column of a raw message.
pub(super) const PAYLOAD: &str = "payload";

/// Messages as rows.
pub(super) struct Gathered<'s> {
    stream: &'s Stream,
    /// All columns: those of topics and metadata, then those of payloads.
    names: Vec<String>,
    /// What each message says beside its payload, under the first names.
    beside: Vec<Vec<Option<String>>>,
    /// The message of each record.
    of: Vec<usize>,
    payloads: Payloads,
}

enum Payloads {
    Json { cutter: JsonCutter, rows: JsonRows },
    Csv { parts: Vec<Part>, index: HashMap<String, usize> },
    Raw(Vec<String>),
}

/// The records of one CSV message.
struct Part {
    rows: CsvRows,
    /// The number of its first record among all.
    first: usize,
    /// For each column of all payloads, its own.
    columns: Vec<Option<usize>>,
}

impl<'s> Gathered<'s> {
    pub(super) fn new(stream: &'s Stream) -> Self {
        let mut names = stream.names.clone();
        let payloads = match &stream.format {
            Format::Json(_) => Payloads::Json { cutter: JsonCutter::default(), rows: JsonRows::default() },
            Format::Csv { .. } => Payloads::Csv { parts: Vec::new(), index: HashMap::new() },
            Format::Raw(_) => {
                names.push(PAYLOAD.to_owned());
                Payloads::Raw(Vec::new())
            }
        };
        Self { stream, names, beside: Vec::new(), of: Vec::new(), payloads }
    }

    /// Adds the records of `message`. After an error nothing of what is gathered is of use.
    pub(super) fn add(&mut self, message: &Message) -> Result<()> {
        let fixed = self.stream.names.len();
        let origin = message.topic.as_str();
        let records = match (&mut self.payloads, &self.stream.format) {
            (Payloads::Json { cutter, rows }, Format::Json(path)) => {
                let records = cutter.add(rows, &message.payload, path, origin)?;
                self.names.truncate(fixed);
                self.names.extend_from_slice(rows.names());
                records
            }
            (Payloads::Csv { parts, index }, Format::Csv { delimiter, columns }) => {
                let rows = csv(message, *delimiter, columns.clone())?;
                let records = rows.len();
                let mut own = vec![None; index.len()];
                for (at, name) in rows.names().iter().enumerate() {
                    let next = index.len();
                    let column = *index.entry(name.clone()).or_insert(next);
                    if column == next {
                        self.names.push(name.clone());
                        own.push(None);
                    }
                    own[column] = Some(at);
                }
                parts.push(Part { rows, first: self.of.len(), columns: own });
                records
            }
            (Payloads::Raw(texts), Format::Raw(kind)) => {
                texts.push(raw(message, *kind)?);
                1
            }
            _ => return Err(Error::internal("a stream's format has changed")),
        };
        if let Some(name) = self.names[fixed..].iter().find(|name| self.names[..fixed].contains(*name)) {
            return Err(Error::data(format!("`{origin}` has `{name}` in its messages, too"))
                .hint("give the level another name under `topics`"));
        }
        self.of.extend(std::iter::repeat_n(self.beside.len(), records));
        self.beside.push(self.beside_payload(message)?);
        Ok(())
    }

    fn beside_payload(&self, message: &Message) -> Result<Vec<Option<String>>> {
        let mut values = vec![None; self.stream.names.len()];
        let captured = self
            .stream
            .patterns
            .iter()
            .find_map(|pattern| Some((pattern, pattern.captures(&message.topic)?)));
        if let Some((pattern, levels)) = captured {
            for (name, level) in pattern.names().zip(levels) {
                if let Some(at) = self.stream.names.iter().position(|column| column == name) {
                    values[at] = Some(level.to_owned());
                }
            }
        }
        let first = values.len() - self.stream.metadata.len();
        for (value, metadata) in values[first..].iter_mut().zip(&self.stream.metadata) {
            *value = metadata_of(message, *metadata)?;
        }
        Ok(values)
    }
}

fn metadata_of(message: &Message, metadata: Metadata) -> Result<Option<String>> {
    let properties = &message.properties;
    Ok(match metadata {
        Metadata::Topic => Some(message.topic.clone()),
        Metadata::Qos => Some(u8::from(message.id.is_some()).to_string()),
        Metadata::Retained => Some(message.is_retained.to_string()),
        Metadata::ReceivedAt => Some(message.received_at.to_string()),
        Metadata::ContentType => properties.content_type.clone(),
        Metadata::ResponseTopic => properties.response_topic.clone(),
        Metadata::UserProperties if properties.user.is_empty() => None,
        Metadata::UserProperties => Some(
            serde_json::to_string(&properties.user)
                .map_err(|error| Error::internal("properties cannot be written as JSON").source(error))?,
        ),
    })
}

/// The records of a CSV message, whose last line need not have an end.
fn csv(message: &Message, delimiter: u8, columns: Option<Vec<String>>) -> Result<CsvRows> {
    let nulls = Arc::new(vec![String::new()]);
    let mut cutter = CsvCutter::new(delimiter, nulls, columns, false);
    let mut text = message.payload.to_vec();
    text.push(b'\n');
    let cut = cutter.cut(&text, 1, usize::MAX, &message.topic)?;
    let rest = &text[cut.consumed..];
    if rest.iter().any(|byte| !matches!(byte, b'\r' | b'\n')) {
        return Err(Error::data(format!("`{}` has a message that ends within quotes", message.topic))
            .hint("have its publisher send whole lines"));
    }
    Ok(cut.rows)
}

fn raw(message: &Message, kind: RawKind) -> Result<String> {
    match kind {
        RawKind::Text => std::str::from_utf8(&message.payload).map(str::to_owned).map_err(|_| {
            Error::data(format!("`{}` has a message that is not UTF-8", message.topic))
                .hint("set `raw: bytes` for the stream")
        }),
        RawKind::Bytes => Ok(hex(&message.payload)),
    }
}

/// As columns of bytes are read from text.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |byte: u8| char::from(DIGITS[usize::from(byte)]);
    let mut text = String::with_capacity(2 + 2 * bytes.len());
    text.push_str("\\x");
    for byte in bytes {
        text.extend([digit(byte >> 4), digit(byte & 15)]);
    }
    text
}

impl Rows for Gathered<'_> {
    fn len(&self) -> usize {
        self.of.len()
    }

    fn names(&self) -> &[String] {
        &self.names
    }

    fn cell(&self, column: usize, row: usize) -> Cell<'_> {
        let fixed = self.stream.names.len();
        if column < fixed {
            return match &self.beside[self.of[row]][column] {
                Some(text) => Cell::Value { text, raw: text, shape: Shape::Plain },
                None => Cell::Null,
            };
        }
        match &self.payloads {
            Payloads::Json { rows, .. } => rows.cell(column - fixed, row),
            Payloads::Csv { parts, .. } => {
                let part = &parts[parts.partition_point(|part| part.first <= row) - 1];
                match part.columns.get(column - fixed).copied().flatten() {
                    Some(column) => part.rows.cell(column, row - part.first),
                    None => Cell::Missing,
                }
            }
            Payloads::Raw(texts) => Cell::Value { text: &texts[row], raw: &texts[row], shape: Shape::Plain },
        }
    }

    fn line(&self, row: usize) -> u64 {
        match &self.payloads {
            Payloads::Json { rows, .. } => rows.line(row),
            Payloads::Csv { parts, .. } => {
                let part = &parts[parts.partition_point(|part| part.first <= row) - 1];
                part.rows.line(row - part.first)
            }
            Payloads::Raw(_) => 1,
        }
    }

    fn is_dense(&self) -> bool {
        match &self.payloads {
            Payloads::Json { rows, .. } => rows.is_dense(),
            Payloads::Csv { parts, .. } => {
                let columns = self.names.len() - self.stream.names.len();
                parts
                    .iter()
                    .all(|part| part.columns.len() == columns && part.columns.iter().all(Option::is_some))
            }
            Payloads::Raw(_) => true,
        }
    }
}
