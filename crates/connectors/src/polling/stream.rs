//! One stream: sweep after sweep.

use std::{sync::Arc, time::Duration};

use tidemark_engine::{
    Error, Result,
    read::{End, Outlet, ReadContext, Seen},
};

use super::{
    cursor::{Found, StreamCursor, UnderWay},
    intake::Intake,
    page::{Pages, Sweep},
    paging::{Paged, Paging},
    plan::{Changes, Plan},
    watermark::greater,
};

/// How often in a row a sweep is made again at once: where pages shift until two find the same, and where the tokens of pages expire.
const REPEATS: u32 = 3;

/// One stream being read.
pub(crate) struct StreamRun {
    pages: Box<dyn Pages>,
    intake: Intake,
    cx: ReadContext,
    /// Whether the last sweep has brought all that it was to bring.
    is_settled: bool,
    /// Sweeps in a row that found something else than the one before.
    unequal: u32,
    /// Sweeps in a row whose pages expired under way.
    expired: u32,
}

/// How a sweep ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Swept {
    /// Everything that it was to bring is on its way.
    Whole,
    /// Another has to follow at once: this one proves nothing yet.
    Again,
    /// It was told to stop.
    Stopped,
}

impl StreamRun {
    /// Goes on where the stream's part of the cursor stands.
    pub(crate) async fn open(
        plan: Arc<Plan>,
        pages: Box<dyn Pages>,
        cursor: StreamCursor,
        out: (Outlet, usize),
        cx: ReadContext,
    ) -> Result<Self> {
        let intake = Intake::open(plan, cursor, out, cx.clone()).await?;
        Ok(Self { pages, intake, cx, is_settled: false, unequal: 0, expired: 0 })
    }

    /// Begins to read the stream anew, durably, if somebody has asked for it or it was read in another manner.
    pub(crate) async fn begin(&mut self, is_asked: bool) -> Result<()> {
        self.intake.begin(is_asked).await
    }

    /// Reads until told to stop or, if only that is asked for, to the end.
    pub(crate) async fn run(mut self) -> Result<End> {
        loop {
            let nudges = self.cx.nudges.seen();
            let swept = loop {
                let (under_way, is_resumed) = self.next_sweep()?;
                match self.sweep(under_way, is_resumed).await? {
                    Swept::Again => {}
                    swept => break swept,
                }
            };
            if swept == Swept::Whole && self.cx.until_caught_up {
                self.intake.rest().await?;
                return Ok(End::CaughtUp);
            }
            if swept == Swept::Stopped || pause(&self.cx, &nudges, self.intake.plan.poll).await {
                self.intake.rest().await?;
                return Ok(End::Stopped);
            }
        }
    }

    /// The sweep to go on with, and whether another process began it; or the one that is due.
    fn next_sweep(&mut self) -> Result<(UnderWay, bool)> {
        let (plan, cursor) = (&self.intake.plan, &mut self.intake.cursor);
        if let Some(under_way) = cursor.sweep.take() {
            return Ok((under_way, true));
        }
        let now = self.cx.world.now();
        let is_due = |every: Duration| {
            let every = u64::try_from(every.as_micros()).unwrap_or(u64::MAX);
            cursor.compared.is_none_or(|compared| now.micros_since(compared) >= every)
        };
        let sweep = match &plan.changes {
            _ if cursor.must_compare => Sweep::All,
            // Of records without a key only the latest are remembered: all others would come anew.
            Changes::Watermark { compare_every: Some(every), .. } if plan.is_keyed() && is_due(*every) => {
                Sweep::All
            }
            // What is not remembered any more is not asked for again, whatever the overlap is now.
            Changes::Watermark { overlap, .. } => {
                let back = cursor.reach.back(*overlap)?;
                greater(back, cursor.forgotten.clone()).map_or(Sweep::All, Sweep::Since)
            }
            Changes::Delta { .. } => cursor.delta.clone().map_or(Sweep::All, Sweep::Delta),
            Changes::FullRefresh => Sweep::All,
        };
        Ok((UnderWay::new(sweep, now), false))
    }

    /// Runs one sweep to its end. One that another process began has not seen all records, so nothing is gone because of it.
    async fn sweep(&mut self, mut under_way: UnderWay, is_resumed: bool) -> Result<Swept> {
        let is_comparing = !is_resumed && self.intake.compares(&under_way.sweep);
        self.intake.begin_sweep(is_comparing);
        let is_settled = std::mem::take(&mut self.is_settled) && !is_resumed;
        let paging =
            Paging { pages: self.pages.as_mut(), intake: &mut self.intake, cx: &self.cx, is_settled };
        match paging.run(&mut under_way).await? {
            Paged::End { delta } => match self.end(under_way, delta, is_comparing).await? {
                // What has changed since, on the pages that another process has read, is there as well.
                Swept::Whole if is_resumed => Ok(Swept::Again),
                swept => Ok(swept),
            },
            Paged::Expired => self.begin_again(&under_way),
            Paged::Stopped => Ok(Swept::Stopped),
            Paged::Unchanged => {
                self.is_settled = true;
                Ok(Swept::Whole)
            }
        }
    }

    /// The system has forgotten where it was to go on.
    fn begin_again(&mut self, under_way: &UnderWay) -> Result<Swept> {
        let stream = &self.intake.plan.outline.name;
        let is_begun = under_way.token.is_some();
        self.expired += 1;
        self.intake.cursor.sweep = None;
        if under_way.sweep == Sweep::All && matches!(self.intake.plan.changes, Changes::Delta { .. }) {
            // What went since some of them were read nobody will tell: what is told begins with the new reading.
            self.intake.cursor.must_compare = self.intake.plan.is_keyed();
        }
        if is_begun && self.expired <= REPEATS {
            tracing::warn!(%stream, "the pages have expired while they were read: they are read again");
            return Ok(Swept::Again);
        }
        let cursor = &mut self.intake.cursor;
        match under_way.sweep {
            Sweep::Delta(_) => {
                tracing::warn!(%stream, "the source has forgotten since when it was to tell: everything is read and compared");
                self.expired = 0;
                (cursor.delta, cursor.must_compare) = (None, self.intake.plan.is_keyed());
                Ok(Swept::Again)
            }
            Sweep::All | Sweep::Since(_) if is_begun => Err(Error::unavailable(format!(
                "the pages of stream `{stream}` expire before all of them are read"
            ))
            .of_stream(stream)),
            Sweep::All | Sweep::Since(_) => Err(Error::data(format!(
                "the source says that the first page of stream `{stream}` has expired"
            ))
            .hint("look at the address that the stream is read from")
            .of_stream(stream)),
        }
    }

    /// Ends a sweep whose pages have all been taken.
    async fn end(&mut self, under_way: UnderWay, delta: Option<String>, is_comparing: bool) -> Result<Swept> {
        let UnderWay { sweep, begun, marks, sum, .. } = under_way;
        let (plan, cursor) = (self.intake.plan.clone(), &mut self.intake.cursor);
        let (is_whole, is_new) = (sweep == Sweep::All, !cursor.initial_sync_done);
        self.expired = 0;

        // What shifts while it is read is read until two sweeps find the same. What is on one page does not shift.
        let found = (!plan.steady_pages).then(|| Found { sweep: sweep.clone(), sum });
        let is_proof = plan.steady_pages || marks.pages <= 1 || cursor.found == found;
        cursor.found = found;
        match &plan.changes {
            Changes::FullRefresh => {}
            Changes::Watermark { .. } => cursor.reach.end_sweep(marks, begun, is_proof),
            Changes::Delta { .. } if delta.is_none() => return Err(no_delta(&plan)),
            Changes::Delta { .. } if is_proof => cursor.delta = delta,
            Changes::Delta { .. } => {}
        }
        if is_comparing && is_proof {
            if let Sweep::Since(mark) = &sweep {
                cursor.forgotten = Some(mark.clone());
            }
            self.intake.delete_unseen().await?;
        }

        let cursor = &mut self.intake.cursor;
        let is_full_refresh = plan.changes == Changes::FullRefresh;
        // Who was gone before a stream was first read to its end is found with the next comparison, if not by what follows anyway:
        // unless it was begun more than once.
        let may_wait = is_new && !is_full_refresh && !cursor.must_compare;
        let is_to_compare = is_whole && plan.deletes_vanished() && !may_wait;
        if is_whole && is_proof && (is_comparing || !is_to_compare) {
            cursor.compared = plan.compares_at_times().then_some(begun);
        }
        cursor.must_compare = is_to_compare && !(is_comparing && is_proof);
        let is_open = cursor.must_compare || !is_proof && !is_full_refresh;
        self.is_settled = !is_open && is_proof;
        self.unequal = if is_proof { 0 } else { self.unequal + 1 };
        self.intake.end_sweep().await?;
        Ok(if is_open && self.unequal <= REPEATS { Swept::Again } else { Swept::Whole })
    }
}

fn no_delta(plan: &Plan) -> Error {
    Error::data(format!("the last page of stream `{}` has no delta token", plan.outline.name))
        .hint("choose another way to find changes, such as `changes: full-refresh`")
        .of_stream(&plan.outline.name)
}

/// Waits until it is time, or somebody asks for a reading; returns whether everything is over.
async fn pause(cx: &ReadContext, nudges: &Seen, pause: Duration) -> bool {
    tokio::select! {
        biased;
        () = cx.stop.stopped() => true,
        () = cx.nudges.more_than(nudges) => false,
        () = cx.world.sleep(pause) => false,
    }
}
