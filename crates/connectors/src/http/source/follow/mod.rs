//! A stream that only goes forward: one answer that goes on for as long as there is something to tell. It begins now; what was before
//! nobody tells, and what is told while nobody listens is missing, unless the server can go on from a place.

mod events;
mod incoming;

use std::{pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{
    StreamExt,
    future::{self, Either},
    stream::BoxStream,
};
use serde::{Deserialize, Serialize};
use tidemark_engine::{
    Error, ErrorKind, PartId, Result, Time,
    change::Op,
    read::{End, Lane, Outlet, Phase, ReadContext},
};

use super::{
    super::{
        client::{Client, Request},
        config::{Format, SourceConfig, StreamConfig},
    },
    outgoing::Outgoing,
    values::Values,
};
use crate::records::{Cell, Known, Outline, RecordPath, Rows, Table};
use incoming::{Arrived, Incoming};

/// Bytes that share a commit at most.
const GROUP_BYTES: usize = 1 << 20;
/// How long nothing comes in a run that is to end, until everything there was is there.
const IDLE: Duration = Duration::from_secs(2);
/// Pauses before it is listened again, doubling.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The part of the cursor that such a stream keeps.
#[derive(Debug, Default, Serialize, Deserialize)]
struct FollowCursor {
    #[serde(default)]
    columns: Known,
    /// What the server can go on from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

/// One stream that is listened to.
pub(super) struct FollowRun {
    client: Arc<Client>,
    outgoing: Outgoing,
    stream: StreamConfig,
    values: Values,
    outline: Outline,
    table: Table,
    cursor: FollowCursor,
    lane: Lane,
    /// The longest record.
    most: usize,
    /// Whether it was listened to before.
    has_listened: bool,
    /// Whether a record has come since then.
    has_heard: bool,
    /// Whether there are records since the last boundary, and their bytes.
    waiting: (bool, usize),
    /// Since when no record has come: what keeps a connection alive is none.
    quiet: Time,
    cx: ReadContext,
}

/// Why listening ended.
enum Over {
    Stopped,
    /// Nothing has come for a while, in a run that is to end.
    Idle,
    /// The server has ended it.
    Ended,
}

impl FollowRun {
    /// Goes on where the stream's part of the cursor stands.
    pub(super) fn open(
        client: Arc<Client>,
        (source, stream): (&SourceConfig, &StreamConfig),
        outline: Outline,
        (cursor, values): (Option<&Bytes>, Values),
        (out, cx): (&Outlet, ReadContext),
    ) -> Result<Self> {
        let unreadable = |error| {
            Error::conflict("the cursor of a stream that is listened to cannot be read")
                .hint("a newer Tidemark may have written it: upgrade this one")
                .source(error)
        };
        let has_listened = cursor.is_some();
        let cursor = cursor.map(|cursor| serde_json::from_slice(cursor)).transpose().map_err(unreadable)?;
        let cursor: FollowCursor = cursor.unwrap_or_default();
        Ok(Self {
            client,
            outgoing: Outgoing::new(source, stream)?,
            values,
            table: Table::new(&outline, cursor.columns.clone()),
            lane: out.lane(PartId::new(outline.name.as_str()), Phase::Changes),
            outline,
            cursor,
            most: usize::try_from(source.limits.max_response.0).unwrap_or(usize::MAX),
            stream: stream.clone(),
            has_listened,
            has_heard: false,
            waiting: (false, 0),
            quiet: cx.world.now(),
            cx,
        })
    }

    /// Listens until told to stop; in a run that is to end, until nothing has come for two seconds.
    pub(super) async fn run(mut self) -> Result<End> {
        let mut pause = FIRST_PAUSE;
        loop {
            self.has_heard = false;
            let over = self.listen().await;
            self.boundary().await?;
            match over {
                Ok(Over::Stopped) => return Ok(End::Stopped),
                Ok(Over::Idle) => return Ok(End::CaughtUp),
                Ok(Over::Ended) if self.cx.until_caught_up => return Ok(End::CaughtUp),
                Ok(Over::Ended) => {}
                Err(error) if error.kind() == ErrorKind::Unavailable => {
                    let (stream, hint) = (&self.outline.name, error.hint_text());
                    tracing::warn!(%stream, %error, hint, "the connection is lost, and made again");
                }
                Err(error) => return Err(error),
            }
            pause = if self.has_heard { FIRST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
            let slept = self.cx.world.sleep(self.cx.world.jitter(pause));
            if let Either::Right(_) = future::select(pin!(slept), pin!(self.cx.stop.stopped())).await {
                return Ok(End::Stopped);
            }
        }
    }

    /// Listens to one answer until it is over.
    async fn listen(&mut self) -> Result<Over> {
        self.say_what_is_missing();
        let values = Values { cursor: self.cursor.token.clone().unwrap_or_default(), ..self.values.clone() };
        let mut request = self.outgoing.request(None, &values)?;
        if let (Format::Sse, Some(token)) = (self.stream.format, &self.cursor.token) {
            let token = token.parse().map_err(|_| Error::data("the id of an event cannot be sent back"))?;
            request.headers.insert("last-event-id", token);
        }
        let origin = super::endpoint::shown(&request.url);
        let is_socket = self.stream.format == Format::WebSocket;
        let subscribe = is_socket.then(|| self.outgoing.subscribe(&values)).transpose()?;
        let (client, stop) = (self.client.clone(), self.cx.stop.clone());
        let mut bytes = tokio::select! {
            biased;
            () = stop.stopped() => return Ok(Over::Stopped),
            told = told(&client, &request, subscribe) => told?,
        };
        (self.has_listened, self.quiet) = (true, self.cx.world.now());
        let mut incoming = match self.stream.format {
            Format::Sse => Incoming::events(self.records()?),
            Format::WebSocket => Incoming::messages(self.records()?, self.stream.optional),
            _ => Incoming::lines(),
        };
        loop {
            match self.next(&mut bytes).await? {
                Next::Bytes(bytes) => {
                    for arrived in incoming.push(&bytes, self.most, &origin)? {
                        self.take(arrived, &origin).await?;
                    }
                }
                Next::Pause => self.boundary().await?,
                Next::Over(over) => {
                    if let (Over::Ended, Some(last)) = (&over, incoming.last(&origin)) {
                        self.take(last, &origin).await?;
                    }
                    return Ok(over);
                }
            }
        }
    }

    /// Where the records of an event, or of a message, stand.
    fn records(&self) -> Result<RecordPath> {
        self.stream.records.as_deref().unwrap_or("$").parse()
    }

    /// What comes next: bytes, a moment to commit what has come, or an end.
    async fn next(&mut self, bytes: &mut BoxStream<'static, Result<Bytes>>) -> Result<Next> {
        let (has_records, size) = self.waiting;
        if has_records && size >= GROUP_BYTES {
            return Ok(Next::Pause);
        }
        let (cx, mut under_way) = (&self.cx, self.lane.under_way());
        let rest = IDLE.saturating_sub(Duration::from_micros(cx.world.now().micros_since(self.quiet)));
        tokio::select! {
            biased;
            () = cx.stop.stopped() => Ok(Next::Over(Over::Stopped)),
            next = bytes.next() => match next {
                Some(bytes) => bytes.map(Next::Bytes),
                None => Ok(Next::Over(Over::Ended)),
            },
            // What comes while a commit is under way shares the next one.
            () = under_way.over(), if has_records => Ok(Next::Pause),
            () = cx.world.sleep(rest), if cx.until_caught_up && !has_records => Ok(Next::Over(Over::Idle)),
        }
    }

    async fn take(&mut self, arrived: Arrived, origin: &str) -> Result<()> {
        let Arrived { rows, token } = arrived;
        let resumed = self.stream.resume.as_deref().and_then(|column| last(&rows, column));
        if let Some(token) = resumed.or(token) {
            self.cursor.token = Some(token);
        }
        if rows.len() > 0 {
            let batch = self.table.batch(&rows, Op::Create, false, origin)?;
            self.waiting.1 += batch.byte_size();
            self.lane.batch(batch).await?;
        }
        (self.waiting.0, self.has_heard) = (true, true);
        self.quiet = self.cx.world.now();
        Ok(())
    }

    /// Commits what has come. A server that listens for no acknowledgement is not told.
    async fn boundary(&mut self) -> Result<()> {
        if std::mem::take(&mut self.waiting.0) {
            self.cursor.columns = self.table.known().clone();
            let cursor = serde_json::to_vec(&self.cursor).map_err(|error| {
                Error::internal("the cursor of a stream that is listened to cannot be written").source(error)
            })?;
            self.lane.boundary(cursor.into(), None).await?;
            self.waiting.1 = 0;
        }
        Ok(())
    }

    fn say_what_is_missing(&self) {
        let stream = &self.outline.name;
        match (&self.cursor.token, self.has_listened) {
            (_, false) => tracing::info!(%stream, "listening from now on: what was before is not told"),
            (Some(_), true) => tracing::info!(%stream, "listening again from where it was left"),
            (None, true) => tracing::warn!(
                %stream,
                "listening again: what was told since the last record is missing, for the server has no place to go on from"
            ),
        }
    }
}

/// What the server tells from now on; over a WebSocket when it is told what to `subscribe` to.
async fn told(
    client: &Client,
    request: &Request,
    subscribe: Option<Vec<String>>,
) -> Result<BoxStream<'static, Result<Bytes>>> {
    let Some(subscribe) = subscribe else { return Ok(client.stream(request).await?.bytes().boxed()) };
    let mut socket = client.socket(request).await?;
    for message in subscribe {
        socket.say(message).await?;
    }
    Ok(socket.messages().boxed())
}

/// What has come of waiting.
enum Next {
    Bytes(Bytes),
    /// What has come may be committed.
    Pause,
    Over(Over),
}

/// The last value in a column.
fn last(rows: &dyn Rows, column: &str) -> Option<String> {
    let column = rows.names().iter().position(|name| name == column)?;
    (0..rows.len()).rev().find_map(|row| match rows.cell(column, row) {
        Cell::Value { text, .. } => Some(text.to_owned()),
        Cell::Missing | Cell::Null => None,
    })
}
