//! The read strategy: all streams of a source side by side.

use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream::FuturesUnordered};
use tidemark_engine::{
    Cursor, PartId, Result,
    read::{End, Outlet, ReadContext, ReadStrategy},
    schema::StreamName,
};

use super::{cursor::StreamCursor, page::Pages, plan::Plan, stream::StreamRun};

/// Memory for what is known of records, over all streams; beyond it they are looked up in the store.
const KNOWN_BYTES: usize = 64 << 20;
/// What of it a stream gets at least, and at most.
const LEAST_BYTES: usize = 2 << 20;
const MOST_BYTES: usize = 16 << 20;

/// A system that has to be asked.
#[async_trait]
pub(crate) trait Polled: Send {
    /// Its streams, ready to be asked. `out` is for what the connection itself has to keep, in a part of the cursor of its own.
    async fn open(&mut self, from: &Cursor, out: &Outlet, cx: &ReadContext) -> Result<Vec<PolledStream>>;
}

/// How far a stream has been read.
pub(crate) enum Stand {
    /// As far as its part of the cursor says; `None`: nothing has been read.
    Cursor(Option<Bytes>),
    /// In a way that is not asking, up to this generation.
    Elsewise(u64),
}

/// One stream of such a system.
pub(crate) struct PolledStream {
    pub(crate) plan: Arc<Plan>,
    pub(crate) pages: Box<dyn Pages>,
}

impl PolledStream {
    /// The stream from where it stands, one `among` so many, and begun anew if somebody has asked for that.
    pub(crate) async fn open(
        self,
        (stand, is_asked): (Stand, bool),
        among: usize,
        out: &Outlet,
        cx: &ReadContext,
    ) -> Result<StreamRun> {
        let memory = (KNOWN_BYTES / among.max(1)).clamp(LEAST_BYTES, MOST_BYTES);
        let cursor = match stand {
            Stand::Cursor(part) => StreamCursor::parse(part.as_ref())?,
            Stand::Elsewise(generation) => StreamCursor::elsewise(generation),
        };
        let mut run =
            StreamRun::open(self.plan, self.pages, cursor, (out.clone(), memory), cx.clone()).await?;
        run.begin(is_asked).await?;
        Ok(run)
    }
}

/// Reads a polled source; one part and one lane a stream, under its name.
///
/// - The first sweep over all records is the initial sync: each is an `r`. After it, what is not known is a `c`, what is known with
///   another content a `u`, what a proven sweep did not find a `d` that carries the key alone.
/// - A boundary is put with what has changed on some pages and the token of the next one, so that another process goes on there.
/// - A sweep that ends with more records gone than allowed fails with [`tidemark_engine::ErrorKind::Conflict`], and deletes nothing.
pub(crate) struct PollingStrategy<S>(pub(crate) S);

#[async_trait]
impl<S: Polled> ReadStrategy for PollingStrategy<S> {
    async fn run(&mut self, from: Cursor, out: Outlet, cx: ReadContext) -> Result<End> {
        let streams = self.0.open(&from, &out, &cx).await?;
        read(streams, &from, &out, &cx).await
    }
}

/// Reads `streams` side by side until told to stop or, if only that is asked for, to their end.
pub(crate) async fn read(
    streams: Vec<PolledStream>,
    from: &Cursor,
    out: &Outlet,
    cx: &ReadContext,
) -> Result<End> {
    let asked = cx.resyncs.asked();
    let (mut running, mut names) = (FuturesUnordered::new(), HashSet::new());
    let among = streams.len();
    for stream in streams {
        let name = stream.plan.outline.name.clone();
        let stand = Stand::Cursor(from.get(&PartId::new(name.as_str())).cloned());
        let run = stream.open((stand, asked.takes(&name)), among, out, cx).await?;
        names.insert(name);
        running.push(run.run());
    }
    if !asked.is_empty() {
        say_what_is_asked_in_vain(asked.streams(), &names);
        cx.resyncs.meet(&asked);
    }
    let mut ended = End::CaughtUp;
    while let Some(end) = running.next().await {
        if end? == End::Stopped {
            ended = End::Stopped;
        }
    }
    Ok(ended)
}

/// Says which streams are not read any more since somebody asked for them.
fn say_what_is_asked_in_vain<'a>(
    asked: impl IntoIterator<Item = &'a StreamName>,
    streams: &HashSet<StreamName>,
) {
    for stream in asked.into_iter().filter(|stream| !streams.contains(*stream)) {
        tracing::warn!(%stream, "`{stream}` was to be read anew, and is not read any more: that is forgotten");
    }
}
