//! The pages of one sweep, one after another until the system says that nothing follows.

use std::{future, mem, pin::pin, time::Duration};

use futures::future::join;
use tidemark_engine::{Error, Result, Time, read::ReadContext};

use super::{
    cursor::UnderWay,
    intake::Intake,
    page::{Answer, Page, Pages},
};

/// Records and bytes that are looked at together.
const GROUP_RECORDS: usize = 65_536;
const GROUP_BYTES: usize = 8 << 20;
/// How long what has come may wait for more to be looked at together.
const GROUP_MICROS: u64 = 500_000;

/// Asks for the pages of a sweep, and hands them in.
pub(super) struct Paging<'a> {
    pub(super) pages: &'a mut dyn Pages,
    pub(super) intake: &'a mut Intake,
    pub(super) cx: &'a ReadContext,
    /// Whether a sweep like this has brought everything before.
    pub(super) is_settled: bool,
}

/// How the pages of a sweep ended.
pub(super) enum Paged {
    /// With the last one.
    End {
        /// What to ask with next time.
        delta: Option<String>,
    },
    /// The system knows that all is as it was.
    Unchanged,
    /// The token of a page has expired.
    Expired,
    /// It was told to stop; what had come until then is durable, with the place to go on from.
    Stopped,
}

/// Pages that wait to be looked at together.
#[derive(Default)]
struct Group {
    pages: Vec<Page>,
    records: usize,
    bytes: usize,
    /// When the first of them came.
    since: Option<Time>,
}

impl Paging<'_> {
    /// Runs to the end, from where the sweep stands that is `under_way`.
    pub(super) async fn run(mut self, under_way: &mut UnderWay) -> Result<Paged> {
        let mut group = Group::default();
        loop {
            let page = match self.next(&mut group, under_way).await? {
                None => {
                    self.intake.take(group.pages, under_way, false).await?;
                    self.intake.rest_within(under_way).await?;
                    return Ok(Paged::Stopped);
                }
                Some(Answer::Page(page)) => page,
                Some(Answer::Expired) => return Ok(Paged::Expired),
                Some(Answer::Unchanged) if self.is_settled && under_way.token.is_none() => {
                    return Ok(Paged::Unchanged);
                }
                Some(Answer::Unchanged) => return Err(unasked(self.intake)),
            };
            under_way.token.clone_from(&page.next);
            let delta = page.delta.clone();
            group.push(page, self.cx.world.now());
            if under_way.token.is_none() {
                self.intake.take(group.pages, under_way, true).await?;
                return Ok(Paged::End { delta });
            }
        }
    }

    /// The next page. `group` is looked at meanwhile, when that is due. `None`: it was told to stop.
    async fn next(&mut self, group: &mut Group, under_way: &mut UnderWay) -> Result<Option<Answer>> {
        let ask = under_way.ask(self.is_settled);
        let mut asking = pin!(async {
            tokio::select! {
                biased;
                () = self.cx.stop.stopped() => Ok(None),
                answer = self.pages.page(&ask) => answer.map(Some),
            }
        });
        tokio::select! {
            biased;
            () = group.due(self.cx) => {}
            answer = &mut asking => return answer,
        }
        let pages = mem::take(group).pages;
        let (taken, answer) = join(self.intake.take(pages, under_way, false), asking).await;
        taken?;
        answer
    }
}

impl Group {
    fn push(&mut self, page: Page, now: Time) {
        self.records += page.records.len() + page.gone.as_ref().map_or(0, |gone| gone.records.len());
        self.bytes += page.bytes;
        self.since = self.since.or(Some(now));
        self.pages.push(page);
    }

    /// Returns when they have to be looked at.
    async fn due(&self, cx: &ReadContext) {
        let Some(since) = self.since else { return future::pending().await };
        if self.records < GROUP_RECORDS && self.bytes < GROUP_BYTES {
            let left = GROUP_MICROS.saturating_sub(cx.world.now().micros_since(since));
            if left > 0 {
                cx.world.sleep(Duration::from_micros(left)).await;
            }
        }
    }
}

fn unasked(intake: &Intake) -> Error {
    let stream = &intake.plan.outline.name;
    Error::data(format!("the source answers that stream `{stream}` is unchanged, and was not asked that"))
        .hint("look at what stands between the source and here: a cache that answers for it must not")
        .of_stream(stream)
}
