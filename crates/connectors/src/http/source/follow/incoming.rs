//! From the bytes of a stream that goes on to records.

use std::mem;

use tidemark_engine::{Error, Result};

use super::events::EventCutter;
use crate::records::{BATCH_ROWS, Cutter, JsonCutter, JsonRows, JsonlCutter, RecordPath, Rows};

/// What comes, cut into records.
#[derive(Debug)]
pub(super) enum Incoming {
    /// A JSON object a line; empty lines keep the connection alive.
    Lines { cutter: JsonlCutter, rest: Vec<u8> },
    /// JSON in server-sent events.
    Events { cutter: EventCutter, records: JsonCutter, path: RecordPath },
    /// JSON in messages, each of which comes whole.
    Messages { records: JsonCutter, path: RecordPath },
}

/// Records that have come.
pub(super) struct Arrived {
    pub(super) rows: JsonRows,
    /// What the server can go on from after the last of them, where it says.
    pub(super) token: Option<String>,
}

impl Incoming {
    pub(super) fn lines() -> Self {
        Self::Lines { cutter: JsonlCutter::default(), rest: Vec::new() }
    }

    pub(super) fn events(path: RecordPath) -> Self {
        Self::Events { cutter: EventCutter::default(), records: JsonCutter::default(), path }
    }

    /// Messages that hold records at `path`; those that have nothing there are `optional`.
    pub(super) fn messages(path: RecordPath, optional: bool) -> Self {
        let records = JsonCutter::default();
        Self::Messages { records: if optional { records.of_optional() } else { records }, path }
    }

    /// The records that `bytes` complete. What is not complete may take up to `most` bytes.
    pub(super) fn push(&mut self, bytes: &[u8], most: usize, origin: &str) -> Result<Vec<Arrived>> {
        let kept = match self {
            Self::Lines { rest, .. } => rest.len(),
            Self::Events { cutter, .. } => cutter.kept(),
            Self::Messages { .. } => 0,
        };
        if kept + bytes.len() > most {
            return Err(Error::data(format!("a record of `{origin}` is longer than {most} bytes"))
                .hint("raise `limits.max_response` if it may be"));
        }
        match self {
            Self::Lines { cutter, rest } => {
                rest.extend_from_slice(bytes);
                let mut arrived = Vec::new();
                loop {
                    let cut = cutter.cut(rest, 1, BATCH_ROWS, origin)?;
                    if cut.consumed == 0 {
                        return Ok(arrived);
                    }
                    rest.drain(..cut.consumed);
                    if cut.rows.len() > 0 {
                        arrived.push(Arrived { rows: cut.rows, token: None });
                    }
                }
            }
            Self::Events { cutter, records, path } => {
                let (mut rows, mut token) = (JsonRows::default(), None);
                for event in cutter.push(bytes) {
                    records.add(&mut rows, event.data.as_bytes(), path, origin)?;
                    token = event.id.filter(|id| !id.is_empty());
                }
                let arrived = (rows.len() > 0 || token.is_some()).then_some(Arrived { rows, token });
                Ok(arrived.into_iter().collect())
            }
            // An empty one keeps the connection alive.
            Self::Messages { .. } if bytes.trim_ascii().is_empty() => Ok(Vec::new()),
            Self::Messages { records, path } => {
                let rows = records.records(bytes, path, origin)?;
                let arrived = (rows.len() > 0).then_some(Arrived { rows, token: None });
                Ok(arrived.into_iter().collect())
            }
        }
    }

    /// The last record, where no line end follows it and the stream is over. Half a record is none.
    pub(super) fn last(&mut self, origin: &str) -> Option<Arrived> {
        let Self::Lines { cutter, rest } = self else { return None };
        let mut line = mem::take(rest);
        line.push(b'\n');
        let rows = cutter.cut(&line, 1, BATCH_ROWS, origin).ok()?.rows;
        (rows.len() > 0).then_some(Arrived { rows, token: None })
    }
}
