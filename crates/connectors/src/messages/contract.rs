//! What every destination of messages promises, whatever its system.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream;
use tidemark_engine::{
    ErrorKind, Position,
    change::{ChangeBatch, Op},
    contract::{samples, write},
    log::{Ledger, Log, Store},
    world::World,
    write::{AtLeastOnce, Courier, Delivery, Unit, WriteStrategy},
};

/// A message, as a consumer found it.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// What the system carries as the message's identity.
    pub(crate) id: String,
    pub(crate) body: serde_json::Value,
}

/// Runs the whole suite. `connect` gives a destination as a process of its own would have it, with the plain envelope and one place for
/// all messages; `consume` takes what has come since it was last called, in the order in which it came.
pub(crate) async fn all<C: Courier>(
    connect: impl Fn(Ledger) -> AtLeastOnce<C>,
    consume: impl AsyncFn() -> Vec<Received>,
) {
    let log = log().await;
    write::all(|| connect(Ledger::new(&log, "positions"))).await;
    consume().await;

    // Systems that know what they have taken know the commits of before.
    let mut destination = connect(Ledger::new(&log, "order"));
    destination.open(&write::log()).await.unwrap();
    destination.apply(&mut unit(100, lives())).await.unwrap();
    let first = consume().await;
    whole_and_in_order(&first);

    // It dies after the messages were taken, and before anybody has put that down.
    let mut next = connect(Ledger::new(&log, "again"));
    next.open(&write::log()).await.unwrap();
    next.apply(&mut unit(100, lives())).await.unwrap();
    let again = consume().await;
    let ids = |received: &[Received]| received.iter().map(|it| it.id.clone()).collect::<BTreeSet<_>>();
    // A system that knows what it has taken takes nothing twice.
    assert!(ids(&again).is_subset(&ids(&first)), "what is delivered again carries the ids that it had");

    every_kind_is_told(&mut destination, &consume).await;
    next.close().await.unwrap();
    destination.close().await.unwrap();
}

/// A log for ledgers.
pub(crate) async fn log() -> Log {
    Log::open_or_create(Store::memory(), "contract", World::real()).await.unwrap()
}

/// A message of `bytes` bytes and more is refused by name, and those beside it can be sent without it.
pub(crate) async fn too_large<C: Courier>(mut destination: AtLeastOnce<C>, bytes: usize) {
    destination.open(&write::log()).await.unwrap();
    let large = numbered(&samples::repeated("contract", &"x".repeat(bytes), 1), 0);
    let error = destination.apply(&mut unit(200, vec![large])).await.unwrap_err();
    assert_eq!((error.kind(), error.change()), (ErrorKind::Data, Some((201, 0))), "{error}");
    destination.open(&write::log()).await.unwrap();
    destination
        .apply(&mut unit(200, vec![numbered(&samples::repeated("contract", "x", 1), 1)]))
        .await
        .unwrap();
}

/// The same changes with ordinals from `first` on.
pub(crate) fn numbered(changes: &ChangeBatch, first: u64) -> ChangeBatch {
    let rows = changes.rows() as u64;
    changes.clone().with_ordinals((first..first + rows).collect::<Vec<_>>().into())
}

/// Everything in one commit.
fn unit(begin: u64, batches: Vec<ChangeBatch>) -> Unit {
    let end = begin + 1;
    let deliveries = batches.into_iter().map(|changes| Ok(write::delivery(end, changes)));
    let (begin, end): (Position, Position) = (write::position(begin), write::position(end));
    Unit::new(begin, end, stream::iter(deliveries.collect::<Vec<tidemark_engine::Result<Delivery>>>()))
}

const RECORDS: usize = 50;
const LIVES: [Op; 4] = [Op::Create, Op::Update, Op::Update, Op::Delete];

/// Records that are all created, changed twice and deleted.
fn lives() -> Vec<ChangeBatch> {
    let rows = samples::repeated("order", "a text", RECORDS);
    let batch = |(at, op)| {
        let batch = ChangeBatch::uniform(rows.schema().clone(), op, rows.columns().values.clone()).unwrap();
        numbered(&batch, (at * RECORDS) as u64)
    };
    LIVES.into_iter().enumerate().map(batch).collect()
}

fn whole_and_in_order(received: &[Received]) {
    let mut lives: BTreeMap<i64, String> = BTreeMap::new();
    for message in received {
        assert_eq!(message.body["id"], message.id, "the body says who it is as well");
        let id = message.body["key"]["id"].as_i64().unwrap();
        lives.entry(id).or_default().push_str(message.body["op"].as_str().unwrap());
    }
    assert_eq!(lives.len(), RECORDS);
    assert!(
        lives.values().all(|life| life == "cuud"),
        "each record's changes come once and in order: {lives:?}"
    );
    assert_eq!(received.len(), RECORDS * LIVES.len());
}

async fn every_kind_is_told<C: Courier>(
    destination: &mut AtLeastOnce<C>,
    consume: &impl AsyncFn() -> Vec<Received>,
) {
    let everything = samples::everything();
    let rows = everything.rows();
    destination.apply(&mut unit(101, vec![everything])).await.unwrap();
    let received = consume().await;
    assert_eq!(received.len(), rows);
    let ids: BTreeSet<_> = received.iter().map(|it| it.body["values"]["id"].to_string()).collect();
    assert!(ids.contains(&i64::MIN.to_string()) && ids.contains(&i64::MAX.to_string()), "{ids:?}");
}
