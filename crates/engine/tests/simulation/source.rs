//! A source that forgets what it was told is safe, and so finds out whoever told it too early.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use bytes::Bytes;
use tidemark_engine::{
    Cursor, Error, PartId, Result,
    arrow_array::{ArrayRef, Int64Array, UInt8Array},
    change::{ChangeBatch, Columns},
    read::{End, Outlet, Phase, ReadContext, ReadStrategy},
    schema::{Field, Kind, StreamName, StreamSchema},
};

use crate::{
    fate::{Call, Fate},
    model::Model,
};

/// The source itself, which outlives processes.
#[derive(Debug, Clone)]
pub(crate) struct Durable {
    model: Arc<Model>,
    /// How many transactions of each part it has been told are safe.
    acknowledged: Arc<Mutex<BTreeMap<&'static str, usize>>>,
}

impl Durable {
    pub(crate) fn new(model: &Model) -> Self {
        Self { model: Arc::new(model.clone()), acknowledged: Arc::default() }
    }
}

/// The strategy that reads it: both parts side by side.
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
        for part in self.durable.model.parts.keys() {
            acknowledged.insert(part, done(cursor, part));
        }
    }

    async fn read_part(&self, part: &'static str, from: &Cursor, out: &Outlet) -> Result<()> {
        let transactions = &self.durable.model.parts[part];
        let forgotten =
            self.durable.acknowledged.lock().expect("nobody panics while acknowledging").get(part).copied();
        let begin = done(from, part);
        assert!(begin >= forgotten.unwrap_or(0), "`{part}` was acknowledged beyond what is durable");
        let mut lane = out.lane(PartId::new(part), Phase::Changes);
        for (index, transaction) in transactions.iter().enumerate().skip(begin) {
            for piece in transaction.chunks(200) {
                self.fate.place().await;
                if self.fate.call() != Call::Succeeds {
                    return Err(Error::unavailable("the source went away"));
                }
                if let Err(error) = lane.batch(batch(part, piece)).await {
                    // A strategy may try to save what was good so far; the lane knows that it was not all.
                    let _ = lane.boundary(cursor_after(index), None).await;
                    return Err(error);
                }
            }
            let cursor = cursor_after(index);
            let ticket = lane.boundary(cursor, None).await?;
            if self.fate.draw(4) == 0 {
                ticket.durable().await?;
            }
            self.acknowledge(&out.durable().borrow());
        }
        Ok(())
    }
}

fn cursor_after(transaction: usize) -> Bytes {
    Bytes::copy_from_slice(&(transaction + 1).to_le_bytes())
}

fn done(cursor: &Cursor, part: &str) -> usize {
    let bytes = cursor.get(&PartId::new(part));
    bytes.map_or(0, |bytes| usize::from_le_bytes(bytes.as_ref().try_into().expect("a cursor has 8 bytes")))
}

fn batch(part: &str, changes: &[crate::model::Change]) -> ChangeBatch {
    let fields = vec![Field::new("key", Kind::Int64), Field::new("serial", Kind::Int64)];
    let schema =
        StreamSchema::new(StreamName::new(part), fields, vec!["key".into()]).expect("the schema is sound");
    let values: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(changes.iter().map(|change| change.key))),
        Arc::new(Int64Array::from_iter_values(changes.iter().map(|change| change.serial))),
    ];
    let ops = UInt8Array::from_iter_values(changes.iter().map(|change| change.op.letter()));
    ChangeBatch::new(schema, Columns::new(ops, values)).expect("the batch is sound")
}

#[async_trait]
impl ReadStrategy for Source {
    async fn run(&mut self, from: Cursor, out: Outlet, _cx: ReadContext) -> Result<End> {
        let (orders, customers) = futures::future::join(
            self.read_part("orders", &from, &out),
            self.read_part("customers", &from, &out),
        )
        .await;
        orders?;
        customers?;
        Ok(End::CaughtUp)
    }
}
