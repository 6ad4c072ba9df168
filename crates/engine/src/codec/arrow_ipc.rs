//! The Apache Arrow IPC stream format ("Arrow Columnar Format", section "Serialization and Interprocess
//! Communication").

use std::io::Cursor;

use arrow_array::RecordBatch;
use arrow_ipc::{reader::StreamReader, writer::StreamWriter};
use arrow_schema::{ArrowError, SchemaRef};
use bytes::Bytes;

use super::{Batches, Codec, Encoder, pieces};
use crate::{Error, Result};

/// What ends a stream: a continuation of length 0.
const END: [u8; 8] = [0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0];

pub(super) struct ArrowIpc;

impl Codec for ArrowIpc {
    fn extension(&self) -> &'static str {
        "arrow"
    }

    fn encode(&self, schema: SchemaRef) -> Result<Box<dyn Encoder>> {
        let writer = StreamWriter::try_new(Vec::new(), &schema).map_err(cannot_write)?;
        Ok(Box::new(IpcEncoder(writer)))
    }

    fn decode(&self, bytes: Bytes) -> Result<Batches> {
        // Without what ends a stream, the reader would take a part of it for the whole.
        if !bytes.ends_with(&END) {
            return Err(Error::conflict("cannot decode staged changes from Arrow IPC: the end is missing"));
        }
        let reader = StreamReader::try_new(Cursor::new(bytes), None).map_err(cannot_read)?;
        Ok(Box::new(reader.map(|batch| batch.map_err(cannot_read))))
    }
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
