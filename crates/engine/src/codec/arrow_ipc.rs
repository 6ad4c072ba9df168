//! The Apache Arrow IPC stream format ("Arrow Columnar Format", section "Serialization and Interprocess
//! Communication").
//!
//! Messages are taken apart here and not by the library's own reader, which makes room for whatever length a message says, and
//! panics where a length leads out of the body.

use std::collections::HashMap;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::{
    Message, MessageHeader, convert::fb_to_schema, reader::read_record_batch, root_as_message,
    writer::StreamWriter,
};
use arrow_schema::{ArrowError, SchemaRef};
use bytes::{Buf, Bytes};

use super::{
    Batches, Codec, Encoder,
    foreign::{only_what_changes_have, unless_it_panics},
    pieces,
};
use crate::{Error, Result};

/// What stands before the length of each message.
const CONTINUATION: [u8; 4] = [0xFF; 4];
/// What ends a stream: a continuation of length 0.
const END: [u8; 8] = [0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0];

pub(super) struct ArrowIpc;

impl Codec for ArrowIpc {
    fn extension(&self) -> &'static str {
        "arrow"
    }

    fn encode(&self, schema: SchemaRef) -> Result<Box<dyn Encoder>> {
        only_what_changes_have(&schema)
            .map_err(|what| Error::internal("cannot encode changes as Arrow IPC").source(what))?;
        let writer = StreamWriter::try_new(Vec::new(), &schema).map_err(cannot_write)?;
        Ok(Box::new(IpcEncoder(writer)))
    }

    fn decode(&self, bytes: Bytes) -> Result<Batches> {
        // Without what ends a stream, a part of it would be taken for the whole.
        if !bytes.ends_with(&END) {
            return Err(unsound("the end is missing"));
        }
        let mut stream = Stream { rest: bytes, schema: None };
        if stream.next()?.is_some() {
            return Err(unsound("it does not begin with its schema"));
        }
        Ok(Box::new(std::iter::from_fn(move || stream.next_or_end())))
    }
}

/// A stream in the middle of being read.
struct Stream {
    rest: Bytes,
    schema: Option<SchemaRef>,
}

impl Stream {
    /// The next batch; nothing follows an error.
    fn next_or_end(&mut self) -> Option<Result<RecordBatch>> {
        if self.rest.is_empty() {
            return None;
        }
        let batch = self.next();
        if batch.is_err() {
            self.rest.clear();
        }
        batch.transpose()
    }

    /// Reads the next message: a batch, or else the schema or the end.
    fn next(&mut self) -> Result<Option<RecordBatch>> {
        let head = self.take(CONTINUATION.len() + size_of::<u32>())?;
        let length = head.strip_prefix(&CONTINUATION).and_then(|length| length.first_chunk());
        let length = u32::from_le_bytes(*length.ok_or_else(|| unsound("a message does not begin like one"))?);
        if length == 0 {
            let is_whole = self.rest.is_empty() && self.schema.is_some();
            return if is_whole { Ok(None) } else { Err(unsound("it ends where it does not end")) };
        }
        let message = self.take(length as usize)?;
        let message = root_as_message(&message)
            .map_err(|error| unsound("a message cannot be read").source(error.to_string()))?;
        let body = usize::try_from(message.bodyLength()).map_err(|_| unsound("a body has no length"))?;
        let body = self.take(body)?;
        match (message.header_type(), &self.schema) {
            (MessageHeader::Schema, None) => {
                let schema = message.header_as_schema().ok_or_else(|| unsound("its schema is missing"))?;
                let schema: SchemaRef =
                    unless_it_panics(|| fb_to_schema(schema).into()).ok_or_else(no_schema)?;
                only_what_changes_have(&schema).map_err(|what| unsound(&what))?;
                self.schema = Some(schema);
                Ok(None)
            }
            (MessageHeader::RecordBatch, Some(schema)) => batch(&message, &body, schema.clone()).map(Some),
            _ => Err(unsound("it has a message that no blob of Tidemark has")),
        }
    }

    /// The next `length` bytes.
    fn take(&mut self, length: usize) -> Result<Bytes> {
        if length > self.rest.len() {
            return Err(unsound("it is cut off"));
        }
        let taken = self.rest.slice(..length);
        self.rest.advance(length);
        Ok(taken)
    }
}

fn batch(message: &Message<'_>, body: &Bytes, schema: SchemaRef) -> Result<RecordBatch> {
    let batch = message.header_as_record_batch().ok_or_else(|| unsound("a batch is missing"))?;
    let fits = |buffer: &arrow_ipc::Buffer| {
        let begin = usize::try_from(buffer.offset()).ok()?;
        let end = begin.checked_add(usize::try_from(buffer.length()).ok()?)?;
        (end <= body.len()).then_some(())
    };
    let lie_inside = batch.buffers().into_iter().flatten().all(|buffer| fits(buffer).is_some());
    // Every value takes a bit at the least, so none of the lengths is greater.
    let longest = body.len() as u64 * 8;
    let is_long = |length: i64| u64::try_from(length).is_ok_and(|length| length <= longest);
    if batch.compression().is_some() {
        return Err(unsound("a batch is compressed, and in no blob of Tidemark one is"));
    }
    if !lie_inside
        || !is_long(batch.length())
        || !batch.nodes().into_iter().flatten().all(|node| is_long(node.length()))
    {
        return Err(unsound("a batch is larger than its body"));
    }
    // A copy of its own, at an address that suits every type.
    let body = Buffer::from(body.as_ref());
    let read = || read_record_batch(&body, batch, schema, &HashMap::new(), None, &message.version());
    unless_it_panics(read).ok_or_else(|| unsound("a batch cannot be read"))?.map_err(cannot_read)
}

struct IpcEncoder(StreamWriter<Vec<u8>>);

impl Encoder for IpcEncoder {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        pieces(batch).iter().try_for_each(|(piece, _)| self.0.write(piece)).map_err(cannot_write)
    }

    fn size(&self) -> usize {
        self.0.get_ref().len()
    }

    fn finish(self: Box<Self>) -> Result<Bytes> {
        self.0.into_inner().map(Bytes::from).map_err(cannot_write)
    }
}

fn cannot_write(error: ArrowError) -> Error {
    Error::internal("cannot encode changes as Arrow IPC").source(error)
}

fn cannot_read(error: ArrowError) -> Error {
    Error::conflict("cannot decode staged changes from Arrow IPC").source(error)
}

fn no_schema() -> Error {
    unsound("its schema is none of Arrow's")
}

fn unsound(what: &str) -> Error {
    Error::conflict(format!("cannot decode staged changes from Arrow IPC: {what}"))
}
