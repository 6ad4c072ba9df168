//! A real server's log, read as it grows.

use std::time::Duration;

use tidemark_engine::{ErrorKind, Result};
use tidemark_test_servers::{Database, Postgres};

use super::{
    Feed, Frame, Replication,
    pgoutput::{Message, Value},
};
use crate::postgres::{connection::Server, lsn::Lsn};

async fn replication(database: &Database<'_>) -> Replication {
    Replication::connect(&Server::parse(&database.url()).unwrap(), "test").await.unwrap()
}

/// A table, a publication of it, a slot named after the database, and where that begins.
async fn prepared(database: &Database<'_>) -> Lsn {
    database.execute("CREATE TABLE t (a int PRIMARY KEY, b text); CREATE PUBLICATION p FOR TABLE t");
    replication(database).await.create_slot(database.name()).await.unwrap()
}

/// The rows inserted until `count` have come, and the end of the last transaction.
async fn inserted(feed: &mut Feed, count: usize) -> Result<(Vec<String>, Lsn)> {
    let (mut rows, mut end) = (Vec::new(), Lsn::default());
    while rows.len() < count || end == Lsn::default() {
        let Frame::Data { message, .. } = feed.next().await? else { continue };
        match Message::read(&message)? {
            Message::Begin(_) => end = Lsn::default(),
            Message::Insert { new, .. } => match new.values().next() {
                Some(Value::Text(text)) => rows.push(String::from_utf8_lossy(text).into_owned()),
                Some(Value::Binary(binary)) => rows.push(format!("{binary:?}")),
                other => panic!("{other:?}"),
            },
            Message::Commit(commit) => end = commit.end_lsn,
            _ => {}
        }
    }
    Ok((rows, end))
}

fn confirmed(database: &Database<'_>) -> Lsn {
    let sql = format!(
        "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '{}'",
        database.name()
    );
    database.query(&sql)[0][0].clone().unwrap().parse().unwrap()
}

#[tokio::test]
async fn the_server_says_who_it_is() {
    let database = Postgres::shared().database();
    let identity = replication(&database).await.identify().await.unwrap();
    let expected = database.query("SELECT system_identifier::text FROM pg_control_system()");
    assert_eq!(expected, [[Some(identity.system)]]);
    assert_eq!(identity.timeline, 1);
}

#[tokio::test]
async fn a_snapshot_shows_what_was_before_its_point() {
    let database = Postgres::shared().database();
    database.execute("CREATE TABLE t (a int); INSERT INTO t VALUES (1)");
    let mut session = replication(&database).await;
    let name = format!("{}_temporary", database.name());
    let exported = session.create_temporary_slot(&name).await.unwrap();
    database.execute("INSERT INTO t VALUES (2)");
    let rows = database.query(&format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '{}'; SELECT a FROM t",
        exported.snapshot
    ));
    assert_eq!(rows, [[Some("1".to_owned())]]);
    assert!(exported.point > Lsn::default());
}

#[tokio::test]
async fn what_is_acknowledged_is_not_sent_again() {
    let database = Postgres::shared().database();
    let from = prepared(&database).await;
    let start =
        || async { replication(&database).await.start(database.name(), from, "p", false).await.unwrap() };

    let mut feed = start().await;
    database.execute("INSERT INTO t VALUES (1), (2)");
    let (rows, end) = inserted(&mut feed, 2).await.unwrap();
    assert_eq!(rows, ["1", "2"]);
    feed.close().await;

    let mut feed = start().await;
    assert_eq!(inserted(&mut feed, 2).await.unwrap(), (rows, end));
    let acknowledger = feed.acknowledger();
    acknowledger.acknowledge(end);
    acknowledger.acknowledge(from);
    assert_eq!(acknowledger.acknowledged(), end);
    feed.close().await;
    assert_eq!(confirmed(&database), end);

    let mut feed = start().await;
    database.execute("INSERT INTO t VALUES (3)");
    assert_eq!(inserted(&mut feed, 1).await.unwrap().0, ["3"]);
}

#[tokio::test]
async fn acknowledgements_are_sent_while_nobody_reads() {
    let server = Postgres::with_settings(&[("wal_sender_timeout", "2s")]);
    let database = server.database();
    let from = prepared(&database).await;
    let mut feed = replication(&database).await.start(database.name(), from, "p", false).await.unwrap();
    database.execute("INSERT INTO t VALUES (1)");
    let (_, end) = inserted(&mut feed, 1).await.unwrap();
    // More than the buffers between hold, so that the server has to wait for us.
    database.execute("INSERT INTO t SELECT n, repeat('x', 1000) FROM generate_series(2, 20000) n");
    pause(5000).await;
    feed.acknowledger().acknowledge(end);
    pause(500).await;
    assert_eq!(confirmed(&database), end);
    assert_eq!(inserted(&mut feed, 19_999).await.unwrap().0.last().unwrap(), "20000");
}

#[expect(clippy::disallowed_methods, reason = "the server's patience is what is tested")]
async fn pause(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

#[tokio::test]
async fn frames_that_have_arrived_are_there_at_once() {
    let database = Postgres::shared().database();
    let from = prepared(&database).await;
    database.execute("INSERT INTO t VALUES (1), (2), (3)");
    let mut feed = replication(&database).await.start(database.name(), from, "p", true).await.unwrap();
    let mut seen = Vec::new();
    while !matches!(seen.last(), Some(b'C')) {
        let mut next = Some(feed.next().await);
        while let Some(frame) = next {
            if let Frame::Data { message, .. } = frame.unwrap() {
                seen.push(message[0]);
                if message[0] == b'I' {
                    assert!(
                        message.windows(9).any(|value| value[..8] == *b"b\0\0\0\x04\0\0\0"),
                        "{message:?}"
                    );
                }
            }
            next = feed.next_ready();
        }
    }
    assert_eq!(seen, b"BRIIIC");
}

#[tokio::test]
async fn a_server_that_goes_away_is_unavailable_and_a_missing_slot_says_so() {
    let server = Postgres::start();
    let database = server.database();
    let from = prepared(&database).await;
    let absent = replication(&database).await.start("absent", from, "p", false).await.err().unwrap();
    assert!(absent.to_string().contains("slot `absent`"), "{absent}");

    let mut feed = replication(&database).await.start(database.name(), from, "p", false).await.unwrap();
    let busy = replication(&database).await.start(database.name(), from, "p", false).await.err().unwrap();
    assert_eq!(busy.kind(), ErrorKind::Unavailable, "{busy}");
    server.kill();
    let error = loop {
        if let Err(error) = feed.next().await {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}

#[tokio::test]
async fn replication_is_as_safe_as_any_session() {
    let server = Postgres::with_tls(&["localhost"]);
    let url = server.database().url().replace("127.0.0.1", "localhost");
    let url = format!("{url}?sslrootcert={}", server.ca_certificate().display());
    let mut session = Replication::connect(&Server::parse(&url).unwrap(), "test").await.unwrap();
    session.identify().await.unwrap();
}

#[tokio::test]
async fn texts_are_written_as_every_session_asks_for_them() {
    let database = Postgres::shared().database();
    database.execute("CREATE TABLE t (a interval); CREATE PUBLICATION p FOR TABLE t");
    let from = replication(&database).await.create_slot(database.name()).await.unwrap();
    let mut feed = replication(&database).await.start(database.name(), from, "p", false).await.unwrap();
    database.execute("SET IntervalStyle = postgres; INSERT INTO t VALUES ('1 day')");
    assert_eq!(inserted(&mut feed, 1).await.unwrap().0, ["P1D"]);
}
