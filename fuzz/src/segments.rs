//! Changes as each format keeps them.

use std::io::Write;

use bytes::Bytes;
use tidemark_engine::{
    ErrorKind, Result,
    arrow_array::RecordBatch,
    arrow_select::concat::concat_batches,
    codec::{Codec, Format},
};

/// All of a segment.
pub(crate) fn parquet(input: &[u8]) {
    read(Format::Parquet, Bytes::copy_from_slice(input));
}

/// All of a segment.
pub(crate) fn arrow(input: &[u8]) {
    read(Format::Arrow, Bytes::copy_from_slice(input));
}

/// A line with the columns as JSON, then the lines of the segment.
pub(crate) fn jsonl(input: &[u8]) {
    read(Format::Jsonl, segment_of_lines(input));
}

/// A line with the columns as JSON, then the lines of the segment.
pub(crate) fn xml(input: &[u8]) {
    read(Format::Xml, segment_of_lines(input));
}

/// The first line of `input` becomes the trailer, the rest is compressed: nobody invents a checksum. What has no line feed is
/// taken for a segment as it is.
fn segment_of_lines(input: &[u8]) -> Bytes {
    let Some(end) = input.iter().position(|byte| *byte == b'\n') else {
        return Bytes::copy_from_slice(input);
    };
    let (trailer, lines) = (&input[..end], &input[end + 1..]);
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(lines).unwrap();
    let mut segment = encoder.finish().unwrap();
    let length = u32::try_from(trailer.len()).unwrap();
    for part in
        [&0x184D_2A54_u32.to_le_bytes()[..], &(length + 12).to_le_bytes(), trailer, &length.to_le_bytes()]
    {
        segment.extend_from_slice(part);
    }
    segment.extend_from_slice(b"TIDEMARK");
    segment.into()
}

/// A segment is refused, or every format that has words for its columns keeps what it says.
fn read(format: Format, segment: Bytes) {
    let batches = match decode(format, segment) {
        Ok(batches) => batches,
        Err(error) => return assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
    };
    let Some(first) = batches.first() else { return };
    let Ok(whole) = concat_batches(first.schema_ref(), &batches) else { return };
    // Changes have columns, and some formats know how many rows there are from these alone.
    if whole.num_columns() == 0 {
        return;
    }
    for format in Format::ALL {
        let codec = format.codec();
        let Ok(segment) = encode(codec, &whole) else { continue };
        let again = decode(format, segment)
            .unwrap_or_else(|error| panic!("{format:?} does not read what it wrote: {error}"));
        let again = concat_batches(whole.schema_ref(), &again);
        let again =
            again.unwrap_or_else(|error| panic!("{format:?} reads other columns than it wrote: {error}"));
        assert!(again == whole, "{format:?} reads something else than it wrote");
    }
}

fn decode(format: Format, segment: Bytes) -> Result<Vec<RecordBatch>> {
    format.codec().decode(segment)?.collect()
}

fn encode(codec: &dyn Codec, batch: &RecordBatch) -> Result<Bytes> {
    let mut encoder = codec.encode(batch.schema())?;
    encoder.write(batch)?;
    encoder.finish()
}
