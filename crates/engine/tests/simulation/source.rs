//! A source that forgets what it was told is safe, and so finds out whoever told it too early.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use bytes::Bytes;
use tidemark_engine::{
    Cursor, Error, PartId, Result, Time,
    arrow_array::{ArrayRef, BinaryArray, Int64Array, UInt8Array},
    arrow_buffer::BooleanBuffer,
    change::{Before, ChangeBatch, Columns},
    read::{End, Outlet, Phase, ReadContext, ReadStrategy},
    schema::{Field, Kind, StreamName, StreamSchema},
};

use crate::{
    fate::{Call, Fate},
    model::{Change, Model},
    table::{self, Reading},
};

/// The source itself, which outlives processes.
#[derive(Debug, Clone)]
pub(crate) struct Durable {
    model: Arc<Model>,
    /// How many transactions of each part it has been told are safe.
    acknowledged: Arc<Mutex<BTreeMap<&'static str, usize>>>,
    /// How far the table `accounts` has come.
    time: SourceTime,
    /// Whether several processes may read it: what it need not tell again it then does not tell, to nobody.
    is_shared: bool,
}

/// How many transactions have happened.
#[derive(Debug, Clone, Default)]
pub(crate) struct SourceTime(Arc<Mutex<u64>>);

impl SourceTime {
    /// Some more transactions happen, up to `last`; returns the newest, at least the first.
    pub(crate) fn pass(&self, transactions: u64, last: u64) -> u64 {
        let mut now = self.0.lock().expect("nobody panics while time passes");
        *now = (*now + transactions).clamp(1, last);
        *now
    }
}

impl Durable {
    pub(crate) fn new(model: &Model) -> Self {
        let (acknowledged, time) = (Arc::default(), SourceTime::default());
        Self { model: Arc::new(model.clone()), acknowledged, time, is_shared: false }
    }

    /// The same for several processes at once.
    pub(crate) fn shared(self) -> Self {
        Self { is_shared: true, ..self }
    }

    /// How many transactions of `part` it does not tell to a process that asks for those after the first `done`.
    fn told_from(&self, part: &str, done: usize) -> usize {
        let acknowledged = self.acknowledged.lock().expect("nobody panics while acknowledging");
        let forgotten = acknowledged.get(part).copied().unwrap_or(0);
        assert!(self.is_shared || done >= forgotten, "`{part}` was acknowledged beyond what is durable");
        done.max(forgotten)
    }
}

/// The strategy that reads it: all parts side by side.
pub(crate) struct Source {
    durable: Durable,
    fate: Fate,
}

impl Source {
    pub(crate) fn new(durable: Durable, fate: Fate) -> Self {
        Self { durable, fate }
    }

    fn acknowledge(&self, cursor: &Cursor) {
        let mut acknowledged = self.durable.acknowledged.lock().expect("nobody panics while acknowledging");
        let parts = self.durable.model.parts.keys().map(|part| (*part, done(cursor, part)));
        // A process that went on without noticing that it was replaced may say less than another has said.
        for (part, done) in parts.chain([("accounts", table::staged(cursor))]) {
            let before = acknowledged.entry(part).or_default();
            *before = done.max(*before);
        }
    }

    async fn read_part(&self, part: &'static str, from: &Cursor, out: &Outlet) -> Result<()> {
        let transactions = &self.durable.model.parts[part];
        let begin = self.durable.told_from(part, done(from, part));
        let mut lane = out.lane(PartId::new(part), Phase::Changes);
        for (index, transaction) in transactions.iter().enumerate().skip(begin) {
            for piece in transaction.chunks(200) {
                self.fate.slow_place().await;
                if self.fate.call() != Call::Succeeds {
                    return Err(Error::unavailable("the source went away"));
                }
                if let Err(error) = lane.batch(batch(part, piece, 0)).await {
                    // A strategy may try to save what was good so far; the lane knows that it was not all.
                    let _ = lane.boundary(cursor_after(index), Some(time_of(index))).await;
                    return Err(error);
                }
            }
            let cursor = cursor_after(index);
            let ticket = lane.boundary(cursor, Some(time_of(index))).await?;
            if self.fate.draw(4) == 0 {
                ticket.durable().await?;
            }
            self.acknowledge(&out.durable().borrow());
        }
        Ok(())
    }
}

/// When a transaction was made: one an hour.
fn time_of(transaction: usize) -> Time {
    const HOUR: i64 = 3_600_000_000;
    Time::from_micros(1_600_000_000_000_000 + HOUR * i64::try_from(transaction).expect("there are few"))
}

fn cursor_after(transaction: usize) -> Bytes {
    Bytes::copy_from_slice(&(transaction + 1).to_le_bytes())
}

fn done(cursor: &Cursor, part: &str) -> usize {
    let bytes = cursor.get(&PartId::new(part));
    bytes.map_or(0, |bytes| usize::from_le_bytes(bytes.as_ref().try_into().expect("a cursor has 8 bytes")))
}

/// `changes` of `stream`, made by the transaction with the number `transaction`.
pub(crate) fn batch(stream: &str, changes: &[Change], transaction: u64) -> ChangeBatch {
    let fields = vec![Field::new("key", Kind::Int64), Field::new("serial", Kind::Int64)];
    let schema =
        StreamSchema::new(StreamName::new(stream), fields, vec!["key".into()]).expect("the schema is sound");
    let integers = |value: &dyn Fn(&Change) -> Option<i64>| -> ArrayRef {
        Arc::new(changes.iter().map(value).collect::<Int64Array>())
    };
    let serials = integers(&|change| Some(change.serial));
    let before = Before {
        present: changes.iter().map(|change| change.old_key.is_some()).collect::<BooleanBuffer>(),
        unknown: None,
        values: vec![integers(&|change| change.old_key), serials.clone()],
    };
    let columns = Columns {
        source_positions: Some(BinaryArray::from_iter_values(
            changes.iter().map(|_| transaction.to_be_bytes()),
        )),
        before: Some(before),
        ..Columns::new(
            UInt8Array::from_iter_values(changes.iter().map(|change| change.op.letter())),
            vec![integers(&|change| Some(change.key)), serials],
        )
    };
    ChangeBatch::new(schema, columns).expect("the batch is sound")
}

#[async_trait]
impl ReadStrategy for Source {
    async fn run(&mut self, from: Cursor, out: Outlet, cx: ReadContext) -> Result<End> {
        let told_from = self.durable.told_from("accounts", table::staged(&from));
        let (table, time) = (&self.durable.model.accounts, &self.durable.time);
        let asked = cx.resyncs.asked();
        let takes = !asked.is_empty() && asked.takes(&StreamName::new("accounts"));
        let mut reading = Reading::new(table, time, &self.fate, (&from, told_from), &out, takes);
        reading.open().await?;
        cx.resyncs.meet(&asked);
        let (orders, customers, accounts) = futures::future::join3(
            self.read_part("orders", &from, &out),
            self.read_part("customers", &from, &out),
            reading.run(),
        )
        .await;
        orders?;
        customers?;
        accounts?;
        Ok(End::CaughtUp)
    }
}
