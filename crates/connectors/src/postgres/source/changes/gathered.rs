//! What has arrived since the last boundary, and what is known of the stream.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use tidemark_engine::{
    Time,
    change::ChangeBatch,
    read::{Span, Ticket},
};

use super::{
    relation::Relation,
    table::{TableChanges, Transaction},
};
use crate::postgres::{lsn::Lsn, source::sync::Completion};

/// Transactions are put behind a boundary when there are about this many bytes of messages, or this many changes: they then
/// ride inside the commit.
const ENOUGH_BYTES: usize = 512 << 10;
const ENOUGH_CHANGES: u64 = 8_192;
/// A transaction that goes on beyond this many times as much is passed on before its end.
const LARGE: u64 = 4;

/// What has arrived since the last boundary, and what is known of the stream.
#[derive(Default)]
pub(in crate::postgres::source) struct Gathered {
    /// Each table that was described, by its number; `None` for one that is not read.
    pub(super) relations: HashMap<u32, Option<Arc<Relation>>>,
    /// The transaction that is arriving.
    pub(super) transaction: Option<Transaction>,
    /// Changes by table; and batches under definitions that have been replaced since.
    pub(super) tables: BTreeMap<u32, TableChanges>,
    pub(super) batches: Vec<ChangeBatch>,
    pub(super) bytes: usize,
    /// Changes since the last boundary, and those of them that are in the lane.
    pub(super) changes: u64,
    pub(super) passed_on: u64,
    /// Whole transactions since the last boundary.
    pub(super) spans: Vec<Span>,
    /// Everything before it has arrived.
    pub(super) seen: Lsn,
    pub(super) last_boundary: Option<Time>,
    /// Initial syncs that have read all their chunks and wait for the stream to come as far.
    pub(super) read: Vec<Completion>,
    /// Initial syncs that are void, and have not begun anew yet.
    pub(super) anew: usize,
    /// The last boundary.
    pub(super) ticket: Option<Ticket>,
    /// Why a run must end: the tables have to be looked at again.
    pub(super) altered: Option<String>,
}

impl Gathered {
    pub(super) fn must_settle(&self) -> bool {
        if self.transaction.is_some() { self.is_large() } else { self.is_times_enough(1) }
    }

    pub(super) fn is_large(&self) -> bool {
        self.is_times_enough(LARGE)
    }

    pub(super) fn is_times_enough(&self, times: u64) -> bool {
        self.bytes as u64 >= ENOUGH_BYTES as u64 * times
            || self.changes - self.passed_on >= ENOUGH_CHANGES * times
    }

    pub(super) fn end_boundary(&mut self, now: Time) {
        self.changes = 0;
        self.passed_on = 0;
        self.last_boundary = Some(now);
    }
}
