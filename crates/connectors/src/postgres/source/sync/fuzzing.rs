//! Doors for the fuzz targets, built for them alone: a COPY that no server has sent.

use std::sync::Arc;

use bytes::Bytes;
use tidemark_engine::{Result, change::ChangeBatch, contract::codec::read_every_cell};

use super::{copy::CopyReader, rows::Rows};
use crate::postgres::{
    identifier::TableId,
    lsn::Lsn,
    source::table::{Column, Shape, Table},
    types::{ColumnType, texts},
};

/// Reads `stream`, a COPY in binary of columns of these types (oid and modifier), once whole and once in pieces of these sizes:
/// the rows are the same.
pub fn copy(types: &[(u32, i32)], stream: &[u8], sizes: &[u8]) {
    let shape = shape(types);
    let whole = read(&shape, [stream].into_iter());
    let mut rest = stream;
    let mut sizes = sizes.iter().map(|size| usize::from(*size).max(1)).cycle();
    let pieces = std::iter::from_fn(|| {
        let (piece, after) = rest.split_at(sizes.next().unwrap_or(1).min(rest.len()));
        rest = after;
        (!piece.is_empty()).then_some(piece)
    });
    let pieces = read(&shape, pieces);
    match (whole, pieces) {
        (Ok(whole), Ok(pieces)) => {
            assert_eq!(texts(&whole), texts(&pieces), "what is read depends on where the stream is cut");
            read_every_cell(&whole);
        }
        (Err(_), Err(_)) => {}
        (whole, pieces) => panic!("whole: {:?}, in pieces: {:?}", whole.err(), pieces.err()),
    }
}

fn read<'a>(shape: &Shape, pieces: impl Iterator<Item = &'a [u8]>) -> Result<ChangeBatch> {
    let (mut reader, mut rows) = (CopyReader::default(), Rows::of_table(shape, Lsn(1)));
    for piece in pieces {
        reader.read(Bytes::copy_from_slice(piece), |fields| rows.add(fields))?;
    }
    reader.finish()?;
    rows.batch()
}

fn shape(types: &[(u32, i32)]) -> Shape {
    let columns = types.iter().enumerate().map(|(index, &(type_oid, modifier))| Column {
        name: format!("c{index}"),
        type_oid,
        modifier,
        not_null: false,
    });
    let table = Table {
        id: TableId { schema: "public".to_owned(), name: "t".to_owned() },
        oid: 1,
        published: None,
        partitioned: false,
        columns: columns.collect(),
        key: Vec::new(),
        excluded: Vec::new(),
        condition: None,
        layout: String::new(),
    };
    let types: Vec<_> = types.iter().map(|&(oid, modifier)| ColumnType::invented(oid, modifier)).collect();
    let names = table.columns.iter().map(|column| column.name.as_str());
    let schema = table.schema(names.zip(&types)).expect("columns that differ in name");
    Shape { table: Arc::new(table), schema, types }
}
