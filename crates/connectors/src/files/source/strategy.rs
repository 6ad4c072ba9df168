//! The read strategy: all streams side by side, and new ones as their files appear.

use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;
use futures::{FutureExt, StreamExt, future, future::BoxFuture, stream::FuturesUnordered};
use tidemark_engine::{
    Cursor, PartId, Result,
    read::{Asked, End, Outlet, ReadContext, ReadStrategy},
    schema::StreamName,
};

use super::{
    cursor::{Kept, StreamCursor},
    folder,
    layout::{Layout, Stream},
    stream::{Place, StreamRun},
    whole,
};
use crate::polling::Stand;

/// Reads the files of a folder; see [`super::Source::strategy`].
#[derive(Debug)]
pub struct FilesStrategy {
    layout: Arc<Layout>,
    place: Place,
}

impl FilesStrategy {
    pub(super) fn new(layout: Arc<Layout>, place: Place) -> Self {
        Self { layout, place }
    }
}

/// A stream that runs.
type Run = BoxFuture<'static, Result<End>>;

impl FilesStrategy {
    /// The stream where `from` says that it stands. One that was read in another way before is begun anew, as is one that somebody has
    /// asked for.
    async fn open(
        &self,
        stream: Arc<Stream>,
        (from, is_asked): (&Cursor, bool),
        out: &Outlet,
        cx: &ReadContext,
    ) -> Result<Run> {
        let part = from.get(&PartId::new(stream.outline.name.as_str()));
        let kept = part.map(Kept::parse).transpose()?;
        if let Some(compared) = &stream.compared {
            let stand = match kept {
                Some(Kept::Grown(StreamCursor { generation, .. })) => Stand::Elsewise(generation),
                Some(Kept::Compared { .. }) | None => Stand::Cursor(part.cloned()),
            };
            let stream = whole::polled(stream.clone(), compared, self.place.clone(), cx.clone());
            let run = stream.open((stand, is_asked), self.layout.compared(), out, cx).await?;
            return Ok(run.run().boxed());
        }
        let (cursor, is_elsewise) = match kept {
            None => (StreamCursor::default(), false),
            Some(Kept::Grown(cursor)) => (cursor, false),
            Some(Kept::Compared { generation, .. }) => (StreamCursor::elsewise(generation), true),
        };
        let mut run = StreamRun::new(stream, self.place.clone(), cursor, out.clone(), cx.clone());
        if is_asked || is_elsewise {
            run.begin_anew().await?;
        }
        Ok(run.run().boxed())
    }
}

/// A stream has no files any more, or is not read any more, since somebody asked for it.
fn say_what_is_asked_in_vain(asked: &Asked, streams: &HashSet<StreamName>) {
    for stream in asked.streams() {
        if !streams.contains(stream) {
            tracing::warn!(%stream, "`{stream}` was to be read anew, and has no files: that is forgotten");
        }
    }
}

#[async_trait]
impl ReadStrategy for FilesStrategy {
    async fn run(&mut self, from: Cursor, out: Outlet, cx: ReadContext) -> Result<End> {
        if from.is_empty() {
            let folder = self.place.folder.clone();
            cx.world.compute(move || folder::require(&folder)).await??;
        }
        let mut asked = cx.resyncs.asked();
        let mut started = HashSet::new();
        let mut running = FuturesUnordered::new();
        loop {
            let (layout, place) = (self.layout.clone(), self.place.clone());
            let look = move || folder::list(&place.folder, place.deep).map(|found| layout.streams(&found));
            for stream in cx.world.compute(look).await?? {
                if started.insert(stream.outline.name.clone()) {
                    let is_asked = asked.takes(&stream.outline.name);
                    let run = self.open(stream, (&from, is_asked), &out, &cx).await?;
                    running.push(run);
                }
            }
            if !asked.is_empty() {
                say_what_is_asked_in_vain(&asked, &started);
                cx.resyncs.meet(&asked);
                asked = Asked::default();
            }
            let ended = async {
                let mut ended = End::CaughtUp;
                while let Some(end) = running.next().await {
                    if end? == End::Stopped {
                        ended = End::Stopped;
                    }
                }
                if !cx.until_caught_up {
                    cx.stop.stopped().await;
                    ended = End::Stopped;
                }
                Ok(ended)
            };
            if cx.until_caught_up {
                return ended.await;
            }
            // A file that appears may be the first of a stream.
            match future::select(Box::pin(ended), Box::pin(cx.world.sleep(self.place.poll))).await {
                future::Either::Left((end, _)) => return end,
                future::Either::Right(_) => {}
            }
        }
    }
}
