//! Doors for the benchmarks, and for nothing else: what PostgreSQL sends and takes, without a server.

use bytes::{BufMut, Bytes, BytesMut};
use tidemark_engine::{
    Error, Result,
    arrow_array::ArrayRef,
    change::ChangeBatch,
    schema::{Field, StreamSchema},
};

use super::{
    source::{
        replication::pgoutput::{Message, Value},
        sync::copy::CopyReader,
    },
    types::{ColumnBuilder, Plain, Target, Written},
};

/// What the binary form of COPY begins and ends with.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const END: &[u8] = &[0xff, 0xff];

/// The columns of a table.
pub struct Table(Vec<Target>);

impl Table {
    /// As we would make one for this stream.
    pub fn of(schema: &StreamSchema) -> Self {
        Self(schema.fields().iter().map(|field: &Field| Target::of(field, &|_| false)).collect())
    }

    /// `changes` as a COPY in binary: what a destination is sent.
    pub fn write_copy(&self, changes: &ChangeBatch) -> Result<Bytes> {
        let columns = self.0.iter().zip(&changes.columns().values).enumerate();
        let columns: Vec<_> = columns
            .map(|(index, (target, values))| (target, Plain::of(target, values), changes.column(index)))
            .collect();
        let mut out = BytesMut::from(HEADER);
        for row in 0..changes.rows() {
            out.put_u16(self.width());
            for (target, plain, column) in &columns {
                if plain.as_ref().map_or(Ok(false), |plain| plain.write(row, &mut out))? {
                    continue;
                }
                match target.write_binary(&column.cell(row), &mut out)? {
                    Written::Appended => {}
                    Written::NeedsText => return Err(Error::internal("a value has no binary form")),
                }
            }
        }
        out.put_slice(END);
        Ok(out.freeze())
    }

    /// The columns of a COPY in binary: what a source sends of a table as it is.
    pub fn read_copy(&self, stream: Bytes) -> Result<Vec<ArrayRef>> {
        let (mut reader, mut columns) = (CopyReader::default(), self.builders()?);
        reader.read(stream, |fields| {
            columns.iter_mut().zip(fields).try_for_each(|(column, field)| match field {
                Some(bytes) => column.append_binary(bytes).map(|_| ()),
                None => {
                    column.append_null();
                    Ok(())
                }
            })
        })?;
        reader.finish()?;
        columns.iter_mut().map(ColumnBuilder::finish).collect()
    }

    /// Messages of `pgoutput` with binary values that insert the rows of `copy`.
    pub fn inserts(&self, copy: Bytes) -> Result<Vec<Bytes>> {
        let (mut reader, mut messages) = (CopyReader::default(), Vec::new());
        reader.read(copy, |fields| {
            let mut message = BytesMut::from(&b"I\0\0\0\x07N"[..]);
            message.put_u16(self.width());
            for field in fields {
                match field {
                    Some(bytes) => {
                        message.put_u8(b'b');
                        message.put_u32(bytes.len() as u32);
                        message.put_slice(bytes);
                    }
                    None => message.put_u8(b'n'),
                }
            }
            messages.push(message.freeze());
            Ok(())
        })?;
        Ok(messages)
    }

    /// The columns of what `messages` insert: what a source sends of its changes.
    pub fn read_inserts(&self, messages: &[Bytes]) -> Result<Vec<ArrayRef>> {
        let mut columns = self.builders()?;
        for message in messages {
            let Message::Insert { new, .. } = Message::read(message)? else {
                return Err(Error::internal("a message does not insert"));
            };
            for (column, value) in columns.iter_mut().zip(new.values()) {
                match value {
                    Value::Binary(bytes) => drop(column.append_binary(bytes)?),
                    _ => column.append_null(),
                }
            }
        }
        columns.iter_mut().map(ColumnBuilder::finish).collect()
    }

    fn builders(&self) -> Result<Vec<ColumnBuilder>> {
        let builders = self.0.iter().map(ColumnBuilder::of_stored);
        builders
            .map(|builder| builder.ok_or_else(|| Error::internal("a column has no form of its own")))
            .collect()
    }

    fn width(&self) -> u16 {
        // A table has at most 1,600 columns.
        u16::try_from(self.0.len()).unwrap_or(u16::MAX)
    }
}
