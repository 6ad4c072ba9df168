//! The read strategy: from a session into the log, and back the acknowledgements.

use std::{collections::BTreeSet, time::Duration};

use async_trait::async_trait;
use futures::{StreamExt, future::BoxFuture, stream::FuturesOrdered};
use tidemark_engine::{
    Cursor, Error, Result,
    read::{End, Lane, Outlet, Phase, ReadContext, ReadStrategy},
};

use super::{
    cursor::SessionCursor,
    decoding::Tables,
    delivered::digest,
    session::{Event, Message, Session, is_cut},
    source::Source,
};

/// A run that is to end does so when the broker has sent nothing for so long.
const QUIET: Duration = Duration::from_secs(2);
/// A connection that the broker closes sooner, without a word, may have been taken from us.
const SOON: Duration = Duration::from_secs(60);
/// So many of them, one after the other, are no accident.
const CUTS: u32 = 6;
/// A boundary holds at most so many messages or bytes.
const MESSAGES: usize = 8_192;
const BYTES: usize = 4 << 20;

/// Reads the messages of a broker; see [`Source::strategy`].
#[derive(Debug)]
pub struct MqttStrategy {
    source: Source,
    /// Connections in a row that the broker has closed soon, without a word.
    cuts: u32,
}

impl MqttStrategy {
    pub(super) fn new(source: Source) -> Self {
        Self { source, cuts: 0 }
    }
}

#[async_trait]
impl ReadStrategy for MqttStrategy {
    async fn run(&mut self, from: Cursor, out: Outlet, cx: ReadContext) -> Result<End> {
        let asked = cx.resyncs.asked();
        if !asked.is_empty() {
            tracing::warn!("a broker keeps no past, so nothing can be read anew: that is forgotten");
            cx.resyncs.meet(&asked);
        }
        let cursor = SessionCursor::of(&from)?;
        let session = tokio::select! {
            session = Session::open(&self.source.broker, &self.source.introduction, &cx.world) => {
                // A broker that is away fights with nobody.
                session.inspect_err(|_| self.cuts = 0)?
            }
            () = cx.stop.stopped() => return Ok(End::Stopped),
        };
        let (world, begun) = (cx.world.clone(), cx.world.now());
        let tables = Tables::new(self.source.layout.clone(), &cursor.columns);
        let lane = out.lane(SessionCursor::part(), Phase::Changes);
        let mut reading = Reading {
            source: &self.source,
            cx,
            session,
            lane,
            cursor,
            tables,
            gathered: Gathered::default(),
            waiting: FuturesOrdered::new(),
            wanted: Vec::new(),
            strangers: BTreeSet::new(),
        };
        reading.greet();
        let end = match reading.read().await {
            Ok(end) => end,
            Err(error) => {
                let is_soon = u128::from(world.now().micros_since(begun)) < SOON.as_micros();
                self.cuts = if is_cut(&error) && is_soon { self.cuts + 1 } else { 0 };
                return Err(if self.cuts < CUTS { error } else { self.fought_over(error) });
            }
        };
        reading.finish().await?;
        reading.session.close().await;
        Ok(end)
    }
}

impl MqttStrategy {
    /// Version 3.1.1 has no word for it, and not every broker of version 5 says it.
    fn fought_over(&self, error: Error) -> Error {
        let (broker, client_id) = (&self.source.broker.address, &self.source.introduction.client_id);
        Error::conflict(format!("`{broker}` has closed {CUTS} connections of `{client_id}` at once, and said nothing"))
            .hint("look whether somebody else connects by our `client_id`: give each pipeline its own, and run each once")
            .source(error)
    }
}

/// One connection being read.
struct Reading<'s> {
    source: &'s Source,
    cx: ReadContext,
    session: Session,
    lane: Lane,
    cursor: SessionCursor,
    tables: Tables,
    gathered: Gathered,
    /// Identifiers that wait for their commits, in order.
    waiting: FuturesOrdered<BoxFuture<'static, Result<Vec<u16>>>>,
    /// Filters that the broker has been asked for and has not granted yet.
    wanted: Vec<String>,
    /// Filters of no stream any more, by which messages still came.
    strangers: BTreeSet<String>,
}

/// What has come since the last boundary.
#[derive(Debug, Default)]
struct Gathered {
    messages: Vec<(usize, Message)>,
    bytes: usize,
    /// What is to be acknowledged, in order.
    ids: Vec<u16>,
    /// Whether the cursor says something new, with messages or without.
    moved: bool,
}

impl Gathered {
    fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.ids.is_empty() && !self.moved
    }

    fn is_full(&self) -> bool {
        self.messages.len() >= MESSAGES || self.bytes >= BYTES
    }
}

impl Reading<'_> {
    /// Finds out whose session it is, and asks for what it lacks.
    fn greet(&mut self) {
        let introduction = &self.source.introduction;
        let (broker, client_id) = (self.source.broker.address.to_string(), &introduction.client_id);
        let is_ours = self.cursor.broker == broker && self.cursor.client_id == *client_id;
        let welcome = self.session.welcome;
        if is_ours && !welcome.is_known && !self.cursor.filters.is_empty() {
            tracing::warn!(
                client_id,
                "`{broker}` has lost the session: what was published since the last connection may be missing, and nobody can tell"
            );
        }
        if let Some(expiry) = welcome.expiry.filter(|expiry| *expiry < introduction.expiry) {
            tracing::warn!("`{broker}` keeps the session for {expiry} s only while nobody is connected");
        }
        if !is_ours || !welcome.is_known {
            self.cursor.begin(&broker, client_id);
        }
        let filters = self.source.layout.filters();
        self.wanted =
            filters.iter().filter(|filter| !self.cursor.filters.contains(filter)).cloned().collect();
        let no_more = self
            .cursor
            .filters
            .iter()
            .filter(|filter| !filters.contains(filter))
            .cloned()
            .collect::<Vec<_>>();
        self.gathered.moved = !no_more.is_empty();
        self.cursor.filters.retain(|filter| filters.contains(filter));
        self.session.subscribe(self.wanted.clone(), no_more);
    }

    async fn read(&mut self) -> Result<End> {
        let mut commit = self.lane.under_way();
        loop {
            while !self.gathered.is_full()
                && let Some(event) = self.session.next_ready()
            {
                self.take(event)?;
            }
            // What comes while a commit is under way shares a boundary, and the next one.
            if !self.gathered.is_empty() && (commit.is_over() || self.gathered.is_full()) {
                self.settle().await?;
                commit = self.lane.under_way();
                continue;
            }
            let is_quiet = self.cx.until_caught_up && self.gathered.is_empty() && self.waiting.is_empty();
            let world = self.cx.world.clone();
            tokio::select! {
                biased;
                () = self.cx.stop.stopped() => return Ok(End::Stopped),
                Some(ids) = self.waiting.next() => ids?.into_iter().for_each(|id| self.session.acknowledge(id)),
                event = self.session.next() => self.take(event?)?,
                () = commit.over(), if !commit.is_over() => {}
                () = world.sleep(QUIET), if is_quiet && self.wanted.is_empty() => return Ok(End::CaughtUp),
            }
        }
    }

    fn take(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Message(message) => self.take_message(message),
            Event::Subscribed(granted) => {
                let wanted = std::mem::take(&mut self.wanted);
                if let Some((filter, _)) = wanted.iter().zip(&granted).find(|(_, is_granted)| !**is_granted) {
                    return Err(refused(&self.source.broker.address.to_string(), filter));
                }
                self.cursor.filters.extend(wanted);
                self.gathered.moved = true;
            }
            Event::Answered(..) => {
                let origin = &self.source.broker.address;
                return Err(Error::unavailable(format!("`{origin}` has taken what nobody has published")));
            }
        }
        Ok(())
    }

    fn take_message(&mut self, message: Message) {
        let digest = digest(&message);
        if let Some(id) = message.id {
            self.gathered.ids.push(id);
            let is_known = self.cursor.delivered.knows(id, digest);
            if message.is_again && is_known && !self.cursor.reuses_ids {
                // It is durable already, and among the last again.
                self.cursor.delivered.remember(id, digest);
                return;
            }
            if !message.is_again && self.cursor.delivered.has(id) && !self.cursor.reuses_ids {
                tracing::warn!(
                    "the broker uses packet identifiers again at once: after a crash, messages may be written twice"
                );
                self.cursor.reuses_ids = true;
            }
        }
        let Some(stream) = self.source.layout.stream_of(&message.topic) else {
            if self.strangers.len() < 16 && self.strangers.insert(message.topic.clone()) {
                tracing::warn!(topic = message.topic, "a message is of no stream any more, and is left out");
            }
            return;
        };
        self.gathered.bytes += message.payload.len();
        if let Some(id) = message.id {
            self.cursor.delivered.remember(id, digest);
        }
        self.gathered.messages.push((stream, message));
    }

    /// Hands over what has come, to be acknowledged when it is durable.
    async fn settle(&mut self) -> Result<()> {
        let Gathered { messages, bytes, ids, moved } = std::mem::take(&mut self.gathered);
        if messages.is_empty() && !moved {
            // What was sent again is durable, and is acknowledged after what came before it.
            self.waiting.push_back(Box::pin(async move { Ok(ids) }));
            return Ok(());
        }
        let mut tables = self.tables.clone();
        let work = move || {
            let batches = tables.batches(&messages);
            (tables, batches)
        };
        let (tables, batches) = self.cx.world.compute_on(bytes, work).await?;
        for batch in batches? {
            self.lane.batch(batch).await?;
        }
        self.tables = tables;
        self.cursor.columns = self.tables.known();
        let ticket = self.lane.boundary(self.cursor.to_bytes()?, None).await?;
        self.waiting.push_back(Box::pin(async move { ticket.durable().await.map(|()| ids) }));
        Ok(())
    }

    /// Hands over what is left, and acknowledges all of it.
    async fn finish(&mut self) -> Result<()> {
        if !self.gathered.is_empty() {
            self.settle().await?;
        }
        while let Some(ids) = self.waiting.next().await {
            ids?.into_iter().for_each(|id| self.session.acknowledge(id));
        }
        Ok(())
    }
}

/// The broker does not let us have the messages of a filter.
pub(super) fn refused(broker: &str, filter: &str) -> Error {
    Error::denied(format!("`{broker}` refuses the subscription to `{filter}`"))
        .hint("let the user read these topics, at the broker")
}
