//! A session of the test's own, and `COPY` by hand.

use bytes::{Bytes, BytesMut};
use futures::{SinkExt, TryStreamExt};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use super::{super::SESSION, Rows};

pub(super) async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    for (name, value) in SESSION {
        client.batch_execute(&format!("SET {name} = '{value}'")).await.unwrap();
    }
    client
}

/// What the server shows, by its output functions.
pub(super) async fn show(client: &Client, sql: &str) -> Rows {
    let messages = client.simple_query(sql).await.unwrap();
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect()),
        _ => None,
    });
    rows.collect()
}

/// The fields of every row of a `COPY` in binary.
pub(super) async fn copy_out(client: &Client, sql: &str, columns: usize) -> Vec<Vec<Option<Vec<u8>>>> {
    let chunks: Vec<Bytes> = client.copy_out(sql).await.unwrap().try_collect().await.unwrap();
    let bytes = chunks.concat();
    let mut rest = &bytes[19..];
    let mut rows = Vec::new();
    loop {
        let (count, fields) = rest.split_at(2);
        rest = fields;
        let Ok(count) = usize::try_from(i16::from_be_bytes([count[0], count[1]])) else { return rows };
        assert_eq!(count, columns);
        rows.push((0..count).map(|_| field(&mut rest)).collect());
    }
}

fn field(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let (length, after) = rest.split_at(4);
    *rest = after;
    let length = usize::try_from(i32::from_be_bytes(length.try_into().unwrap())).ok()?;
    let (field, after) = rest.split_at(length);
    *rest = after;
    Some(field.to_vec())
}

pub(super) fn copy_header() -> BytesMut {
    BytesMut::from(&b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0"[..])
}

pub(super) async fn copy_in(client: &Client, sql: &str, data: BytesMut) {
    let mut sink = std::pin::pin!(client.copy_in::<_, Bytes>(sql).await.unwrap());
    sink.send(data.freeze()).await.unwrap();
    if let Err(error) = sink.finish().await {
        panic!("{sql}: {:?}", error.as_db_error());
    }
}
