//! What lanes say beside their changes.

mod uploads;

use async_trait::async_trait;
use bytes::Bytes;

use super::{Outlet, Phase, Span, SyncStep};
use crate::{
    Cursor, PartId, Result, Time,
    contract::{read::ReadBench, samples::numbered_rows},
    log::Former,
    read::{End, ReadContext, ReadStrategy},
    schema::StreamName,
};

const TRANSACTIONS: u64 = 1_000;

/// Three parts of which two are forgotten, steps, and many transactions in one boundary.
struct Source;

#[async_trait]
impl ReadStrategy for Source {
    async fn run(&mut self, _from: Cursor, out: Outlet, _cx: ReadContext) -> Result<End> {
        let stream = StreamName::new("a");
        let at = |text: &'static str| Bytes::from_static(text.as_bytes());
        let mut changes = out.lane(PartId::new("changes"), Phase::Changes);
        changes.batch(numbered_rows("a", 0, TRANSACTIONS as usize)).await?;
        let span = |micros| Span { rows: 1, time: Some(Time::from_micros(micros)) };
        changes.boundary_over(at("1"), (1..=TRANSACTIONS as i64).map(span).collect()).await?;

        let mut chunk = out.lane(PartId::new("chunk 1"), Phase::InitialSync);
        chunk.note(SyncStep::Begin { stream: stream.clone(), generation: 1, former: Former::Nothing });
        chunk.boundary(at("begun"), None).await?;
        out.lane(PartId::new("chunk 2"), Phase::InitialSync).boundary(at("begun"), None).await?;
        chunk.forget(PartId::new("chunk 2"));
        // A part may forget itself.
        chunk.forget(PartId::new("chunk 1"));
        chunk.boundary(at("done"), None).await?;
        changes.batch(numbered_rows("a", 0, 1)).await?;
        changes.boundary(at("2"), None).await?.durable().await?;
        Ok(End::CaughtUp)
    }
}

#[tokio::test]
async fn steps_and_forgotten_parts_are_in_the_log() {
    let mut bench = ReadBench::new().await;
    bench.catch_up(&mut Source).await.unwrap();
    let log = bench.log();
    let cursor = log.cursor();
    let parts: Vec<_> = cursor.parts().map(|(part, _)| part.as_str()).collect();
    assert_eq!(parts, ["changes"]);
    assert_eq!(cursor.get(&PartId::new("changes")), Some(&Bytes::from_static(b"2")));

    // What came before the initial sync stands in a commit before it, and so does not wait for its end.
    let syncing = log.syncing();
    let since = syncing[&StreamName::new("a")].since;
    let mut transactions = Vec::new();
    for sequence in 1..=log.head().sequence {
        let commit = log.commit(sequence).await.unwrap();
        assert_eq!(commit.rows() == TRANSACTIONS, sequence == 1);
        transactions.extend(commit.transactions().unwrap());
    }
    assert_eq!(since, 2);
    let ends = transactions.iter().take(TRANSACTIONS as usize).map(|it| it.end);
    assert!(ends.eq(1..=TRANSACTIONS), "each transaction keeps its place");
}
