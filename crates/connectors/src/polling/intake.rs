//! What comes in of a stream: found to be new or not, and handed over together with the cursor after it.

use std::sync::Arc;

use tidemark_engine::{
    PartId, Result, Time,
    change::Op,
    log::{Former, KeyRange, SyncStep},
    read::{Lane, Outlet, Phase, ReadContext, Ticket},
};

use super::{
    cursor::{StreamCursor, UnderWay},
    known::Known,
    news::{self, Way},
    page::{Page, Sweep},
    plan::Plan,
    shaper::Shaper,
    vanished,
};

/// How often the mere place in a long sweep is made durable.
const PLACE_MICROS: u64 = 60_000_000;
/// How often what a sweep without a change has moved is: a token that is new each time.
const IDLE_MICROS: u64 = 600_000_000;
/// Deletes in a batch.
const DELETES: usize = 8_192;
/// Keys that are forgotten before that is put down, so that they do not pile up in memory.
const FORGOTTEN: usize = 65_536;

/// One stream's way into the log.
pub(super) struct Intake {
    pub(super) plan: Arc<Plan>,
    pub(super) cursor: StreamCursor,
    out: Outlet,
    cx: ReadContext,
    lane: Lane,
    shaper: Shaper,
    known: Known,
    /// Memory for what is known.
    memory: usize,
    /// Whether there are changes since the last boundary.
    has_news: bool,
    /// The cursor of the last boundary.
    placed: StreamCursor,
    /// When the last boundary was put.
    marked: Time,
    /// When the sweep began, or was gone on with.
    begun: Time,
}

impl Intake {
    /// Goes on where the stream's part of the cursor stands, with about so many bytes of `memory` for what is known of its records.
    pub(super) async fn open(
        plan: Arc<Plan>,
        cursor: StreamCursor,
        (out, memory): (Outlet, usize),
        cx: ReadContext,
    ) -> Result<Self> {
        let phase = if cursor.initial_sync_done { Phase::Changes } else { Phase::InitialSync };
        let lane = out.lane(PartId::new(plan.outline.name.as_str()), phase);
        let (placed, cursor) = (cursor.clone(), cursor.under(&plan));
        let shaper = Shaper::new(&plan.outline, cursor.seen.clone())?;
        let known = known(&plan, &cursor, &out, memory).await?;
        let (marked, begun) = (cx.world.now(), cx.world.now());
        Ok(Self {
            plan,
            cursor,
            out,
            cx,
            lane,
            shaper,
            known,
            memory,
            has_news: false,
            placed,
            marked,
            begun,
        })
    }

    /// Begins to read the stream anew, durably, if somebody has asked for it, or it was read in another manner: destinations keep what they
    /// have of it until all is read. A generation that is under way in this manner goes on.
    pub(super) async fn begin(&mut self, is_asked: bool) -> Result<()> {
        let (stream, manner) = (self.plan.outline.name.clone(), self.plan.manner());
        let is_read_otherwise = self.cursor.manner != manner && !self.cursor.is_empty();
        if is_read_otherwise {
            tracing::warn!(%stream, "the stream was read by another key, or in another manner");
        }
        if is_read_otherwise || is_asked && self.cursor.initial_sync_done {
            self.begin_anew().await?;
        }
        self.cursor.manner = manner;
        Ok(())
    }

    async fn begin_anew(&mut self) -> Result<()> {
        self.cursor = self.cursor.clone().anew();
        self.cursor.manner = self.plan.manner();
        let (stream, generation) = (self.plan.outline.name.clone(), self.cursor.generation);
        tracing::info!(%stream, generation, "every record is read anew");
        self.known = known(&self.plan, &self.cursor, &self.out, self.memory).await?;
        self.lane = self.out.lane(PartId::new(stream.as_str()), Phase::InitialSync);
        self.lane.note(SyncStep::Begin { stream, generation, former: Former::Stale });
        if let Some(emptied) = self.shaper.emptied()? {
            self.lane.batch(emptied).await?;
        }
        self.boundary().await?.durable().await?;
        self.known.tidy().await
    }

    /// A sweep begins, or is gone on with. Where it `is_comparing`, who is not seen until its end is gone.
    pub(super) fn begin_sweep(&mut self, is_comparing: bool) {
        self.begun = self.cx.world.now();
        if is_comparing {
            self.known.begin_sweep();
        }
    }

    /// Whether the end of `sweep` tells what is gone; of records without a key: what need not be remembered any more.
    pub(super) fn compares(&self, sweep: &Sweep) -> bool {
        match sweep {
            Sweep::All => true,
            Sweep::Since(_) => !self.plan.is_keyed(),
            Sweep::Delta(_) => false,
        }
    }

    /// Takes `pages` of the sweep, the last ones or not.
    pub(super) async fn take(
        &mut self,
        pages: Vec<Page>,
        under_way: &mut UnderWay,
        is_last: bool,
    ) -> Result<()> {
        if pages.is_empty() {
            return Ok(());
        }
        let way = Way {
            fresh: if self.cursor.initial_sync_done { Op::Create } else { Op::Read },
            settle: is_last && !self.cursor.initial_sync_done,
            sparse: self.plan.is_sparse(&under_way.sweep),
        };
        let parts = (&mut self.known, &mut self.shaper);
        let news = news::find(&self.plan, pages, parts, way, self.cx.world.clone()).await?;
        under_way.sum.merge(news.sum);
        news.marks.into_iter().for_each(|mark| under_way.marks.add_page(mark));
        self.has_news |= !news.batches.is_empty();
        for batch in news.batches {
            self.lane.batch(batch).await?;
        }
        if !is_last {
            self.cursor.sweep = Some(under_way.clone());
            let since = self.marked.max(self.begun);
            if self.has_news || self.cx.world.now().micros_since(since) >= PLACE_MICROS {
                self.boundary().await?;
            }
        }
        Ok(())
    }

    /// Deletes who is known and was not seen since the comparing began, unless that is more than a sweep may find: then nothing is deleted,
    /// and what the sweep has brought is made durable before this fails.
    pub(super) async fn delete_unseen(&mut self) -> Result<()> {
        // What has come on the last pages is seen, too.
        self.cursor.known = self.known.record().await?;
        let known = self.known.records();
        let vanished = self.known.end_sweep().await?;
        if let Err(error) = vanished::guard(&self.plan, vanished, known) {
            self.known.void_sweep();
            self.cursor.must_compare = true;
            self.end_sweep().await?;
            self.rest().await?;
            return Err(error);
        }
        loop {
            let keys = self.known.vanished(FORGOTTEN).await?;
            if keys.is_empty() {
                return Ok(());
            }
            self.known.forget(&keys).await?;
            if self.plan.deletes_vanished() {
                for keys in keys.chunks(DELETES) {
                    let batch = self.shaper.deletes(keys)?;
                    self.lane.batch(batch).await?;
                }
                self.has_news = true;
            }
            if keys.len() == FORGOTTEN {
                self.known.record().await?;
            }
        }
    }

    /// Ends a sweep: what it has brought is durable when this returns, where it has brought anything.
    pub(super) async fn end_sweep(&mut self) -> Result<()> {
        self.cursor.sweep = None;
        if !self.cursor.initial_sync_done {
            return self.end_initial_sync().await;
        }
        let is_due = self.cx.world.now().micros_since(self.marked) >= IDLE_MICROS;
        if self.has_news || is_due && self.has_moved().await? {
            self.boundary().await?.durable().await?;
            self.known.tidy().await?;
        }
        Ok(())
    }

    /// Everything the stream had has been read: what comes from now on are changes.
    async fn end_initial_sync(&mut self) -> Result<()> {
        let stream = self.plan.outline.name.clone();
        if self.cursor.is_anew() {
            let generation = self.cursor.generation;
            let (range, point) = (KeyRange::default(), Vec::new());
            self.lane.note(SyncStep::Chunk { stream: stream.clone(), generation, range, point });
            self.lane.note(SyncStep::Done { stream: stream.clone(), generation });
        }
        self.cursor.initial_sync_done = true;
        // In the commit that completes a generation, changes would still count as what waited for it: they have to come later.
        self.boundary().await?.durable().await?;
        self.known.tidy().await?;
        self.lane = self.out.lane(PartId::new(stream.as_str()), Phase::Changes);
        Ok(())
    }

    /// Puts down where the cursor has come, if that is another place: nothing follows for a while.
    pub(super) async fn rest(&mut self) -> Result<()> {
        match self.has_news || self.has_moved().await? {
            true => self.boundary().await?.durable().await,
            false => Ok(()),
        }
    }

    /// The same in the middle of a sweep, which is gone on with, though this process may not have seen a page of it.
    pub(super) async fn rest_within(&mut self, under_way: &UnderWay) -> Result<()> {
        self.cursor.sweep = under_way.token.is_some().then(|| under_way.clone());
        self.rest().await
    }

    /// Whether the cursor is another than at the last boundary.
    async fn has_moved(&mut self) -> Result<bool> {
        self.cursor.seen = self.shaper.seen()?;
        self.cursor.known = self.known.record().await?;
        Ok(self.cursor != self.placed)
    }

    /// Commits what was handed over since the last boundary, with where that brought the cursor.
    async fn boundary(&mut self) -> Result<Ticket> {
        self.has_moved().await?;
        let ticket = self.lane.boundary(self.cursor.to_bytes()?, None).await?;
        (self.has_news, self.marked) = (false, self.cx.world.now());
        self.placed = self.cursor.clone();
        Ok(ticket)
    }
}

async fn known(plan: &Plan, cursor: &StreamCursor, out: &Outlet, memory: usize) -> Result<Known> {
    let (states, name) = (out.states().clone(), plan.outline.name.clone());
    Known::open(states, name, cursor.known.clone(), memory).await
}
