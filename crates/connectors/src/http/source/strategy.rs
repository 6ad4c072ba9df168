//! The read strategy: streams that are polled and streams that are listened to, side by side.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use futures::{TryStreamExt, future, stream::FuturesUnordered};
use tidemark_engine::{
    Cursor, PartId, Result,
    read::{End, Outlet, ReadContext, ReadStrategy},
    schema::StreamName,
};

use super::{
    super::{client::Client, config::ChangesConfig},
    Source,
    follow::FollowRun,
    tokens::CursorTokens,
    values::Values,
};
use crate::polling::{self, PolledStream};

/// Reads what a server answers with.
pub(super) struct HttpStrategy {
    pub(super) source: Source,
}

#[async_trait]
impl ReadStrategy for HttpStrategy {
    async fn run(&mut self, from: Cursor, out: Outlet, cx: ReadContext) -> Result<End> {
        let tokens = Arc::new(CursorTokens::new(&from, &out));
        let client = self.source.client(cx.world.clone(), Some(tokens))?;
        let (polled, followed) = self.open(&client, &from, &out, &cx)?;
        let following = followed.into_iter().map(FollowRun::run).collect::<FuturesUnordered<_>>();
        let following = following
            .try_fold(End::CaughtUp, |ended, end| future::ok(if end == End::Stopped { end } else { ended }));
        let (polled, followed) = future::try_join(polling::read(polled, &from, &out, &cx), following).await?;
        Ok(if polled == End::Stopped { polled } else { followed })
    }
}

impl HttpStrategy {
    fn open(
        &self,
        client: &Arc<Client>,
        from: &Cursor,
        out: &Outlet,
        cx: &ReadContext,
    ) -> Result<(Vec<PolledStream>, Vec<FollowRun>)> {
        let config = &self.source.config;
        let (mut polled, mut followed) = (Vec::new(), Vec::new());
        for (name, stream) in &config.streams {
            let plan = self.source.plan(name)?;
            if stream.changes() != ChangesConfig::StreamOnly {
                polled.push(PolledStream { plan: Arc::new(plan), pages: self.source.pages(client, name)? });
                continue;
            }
            if cx.resyncs.asked().takes(&StreamName::new(name)) {
                tracing::warn!(stream = name, "`{name}` only goes forward: it cannot be read anew");
            }
            let mut with: BTreeMap<String, String> = config.with.clone();
            with.extend(stream.with.clone());
            let values = Values { stream: name.clone(), with, ..Values::default() };
            let cursor = from.get(&PartId::new(name.as_str()));
            let run = FollowRun::open(
                client.clone(),
                (config, stream),
                plan.outline,
                (cursor, values),
                (out, cx.clone()),
            );
            followed.push(run?);
        }
        Ok((polled, followed))
    }
}
