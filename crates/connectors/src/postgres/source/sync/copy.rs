//! The stream that `COPY … (FORMAT binary)` sends, cut into rows.
//! <https://www.postgresql.org/docs/current/sql-copy.html>, "Binary Format".

use bytes::{Buf, Bytes, BytesMut};
use tidemark_engine::{Error, Result};

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// Signature, flags, length of the extension.
const HEADER: usize = SIGNATURE.len() + 8;

/// Takes pieces of the stream and gives the rows in them. The server sends a row a piece, and promises nothing of the kind.
#[derive(Debug, Default)]
pub(in crate::postgres) struct CopyReader {
    /// What is left of earlier pieces: less than a row.
    rest: BytesMut,
    begun: bool,
    ended: bool,
}

/// The fields of one row.
pub(in crate::postgres) struct Fields<'a> {
    bytes: &'a [u8],
    left: u16,
}

impl CopyReader {
    /// Gives every row that `piece` completes to `take`.
    pub(in crate::postgres) fn read(
        &mut self,
        piece: Bytes,
        mut take: impl FnMut(Fields<'_>) -> Result<()>,
    ) -> Result<()> {
        if self.rest.is_empty() {
            let used = self.rows(&piece, &mut take)?;
            self.rest.extend_from_slice(&piece[used..]);
        } else {
            let mut rest = std::mem::take(&mut self.rest);
            rest.extend_from_slice(&piece);
            let used = self.rows(&rest, &mut take)?;
            rest.advance(used);
            self.rest = rest;
        }
        Ok(())
    }

    /// Fails unless the stream came to its end.
    pub(in crate::postgres) fn finish(&self) -> Result<()> {
        if self.ended && self.rest.is_empty() { Ok(()) } else { Err(unsound("it ends in the middle")) }
    }

    /// Gives the rows at the start of `bytes` and returns how many bytes they take.
    fn rows(&mut self, bytes: &[u8], take: &mut impl FnMut(Fields<'_>) -> Result<()>) -> Result<usize> {
        let mut at = 0;
        if !self.begun {
            let Some(header) = bytes.get(..HEADER) else { return Ok(0) };
            let extension = &header[HEADER - 4..];
            if !header.starts_with(SIGNATURE) || extension != [0; 4] {
                return Err(unsound("it does not begin like one"));
            }
            self.begun = true;
            at = HEADER;
        }
        while let Some(count) = bytes[at..].first_chunk::<2>() {
            if self.ended {
                return Err(unsound("it goes on after its end"));
            }
            let count = i16::from_be_bytes(*count);
            at += 2;
            if count == -1 {
                self.ended = true;
                continue;
            }
            let left = u16::try_from(count).map_err(|_| unsound("a row has a negative number of fields"))?;
            let Some(length) = length_of(&bytes[at..], left)? else { return Ok(at - 2) };
            take(Fields { bytes: &bytes[at..at + length], left })?;
            at += length;
        }
        Ok(at)
    }
}

/// How many bytes `fields` fields take at the start of `bytes`; `None` when not all are there.
fn length_of(bytes: &[u8], fields: u16) -> Result<Option<usize>> {
    let mut at = 0;
    for _ in 0..fields {
        let Some(length) = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()) else { return Ok(None) };
        at += 4;
        match i32::from_be_bytes(*length) {
            -1 => {}
            length => {
                at += usize::try_from(length).map_err(|_| unsound("a field has a negative length"))?;
            }
        }
    }
    Ok((at <= bytes.len()).then_some(at))
}

impl Fields<'_> {
    /// How many fields are still to come.
    pub(in crate::postgres) fn left(&self) -> u16 {
        self.left
    }
}

impl<'a> Iterator for Fields<'a> {
    /// The bytes of a field; `None` inside for NULL.
    type Item = Option<&'a [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        // The row was measured before it was given.
        let (length, rest) = self.bytes.split_first_chunk::<4>()?;
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
            self.bytes = rest;
            return Some(None);
        };
        let (field, rest) = rest.split_at_checked(length)?;
        self.bytes = rest;
        Some(Some(field))
    }
}

fn unsound(what: &str) -> Error {
    Error::data(format!("the server's COPY stream cannot be read: {what}"))
        .hint("report this: nothing of it was taken")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Row = Vec<Option<Vec<u8>>>;

    fn stream(rows: &[Row]) -> Vec<u8> {
        let mut bytes = [SIGNATURE, &[0; 8]].concat();
        for row in rows {
            bytes.extend_from_slice(&i16::try_from(row.len()).unwrap().to_be_bytes());
            for field in row {
                match field {
                    None => bytes.extend_from_slice(&(-1i32).to_be_bytes()),
                    Some(field) => {
                        bytes.extend_from_slice(&i32::try_from(field.len()).unwrap().to_be_bytes());
                        bytes.extend_from_slice(field);
                    }
                }
            }
        }
        bytes.extend_from_slice(&(-1i16).to_be_bytes());
        bytes
    }

    fn read(pieces: impl Iterator<Item = Vec<u8>>) -> Result<Vec<Row>> {
        let mut reader = CopyReader::default();
        let mut rows = Vec::new();
        for piece in pieces {
            reader.read(piece.into(), |fields| {
                rows.push(fields.map(|field| field.map(<[u8]>::to_vec)).collect());
                Ok(())
            })?;
        }
        reader.finish().map(|()| rows)
    }

    proptest! {
        #[test]
        fn rows_come_whole_however_the_stream_is_cut(
            rows: Vec<Row>,
            size in 1usize..40,
        ) {
            let bytes = stream(&rows);
            prop_assert_eq!(read(bytes.chunks(size).map(<[u8]>::to_vec)).unwrap(), rows.clone());
            prop_assert_eq!(read(std::iter::once(bytes)).unwrap(), rows);
        }

        #[test]
        fn a_stream_that_is_cut_off_is_refused(rows: Vec<Row>, cut in 1usize..30) {
            let mut bytes = stream(&rows);
            bytes.truncate(bytes.len().saturating_sub(cut));
            prop_assert!(read(std::iter::once(bytes)).is_err());
        }

        #[test]
        fn nonsense_never_panics(bytes: Vec<u8>) {
            let _ = read(std::iter::once([SIGNATURE, &[0; 8], &bytes].concat()));
        }
    }
}
