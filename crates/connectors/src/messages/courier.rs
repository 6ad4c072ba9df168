//! A destination made of a [`Post`]: reads units, words their changes, has them sent.

use async_trait::async_trait;
use tidemark_engine::{
    Result,
    change::Op,
    world::World,
    write::{Appetite, Courier, Delivery, Unit},
};
use twox_hash::XxHash3_64;

use super::{
    EnvelopeConfig, Message, NameTemplate, Post,
    changes::{Change, Changes},
    dispatch::Dispatch,
    envelope::{Content, Envelope},
};

const UNIT_ROWS: u64 = 20_000;
const UNIT_BYTES: u64 = 8 << 20;

/// How changes are put into words, and where they go.
#[derive(Debug, Clone)]
pub(crate) struct Wording {
    pub(crate) place: NameTemplate,
    pub(crate) envelope: EnvelopeConfig,
}

/// Sends changes as messages.
pub(crate) struct Messages<P> {
    post: P,
    wording: Wording,
    has_tombstones: bool,
    world: World,
}

impl<P: Post> Messages<P> {
    /// Sends them by `post`.
    pub(crate) fn new(post: P, wording: Wording, world: World) -> Self {
        Self { post, wording, has_tombstones: false, world }
    }

    /// The same, with a tombstone for each key that is no more, behind the message that says so.
    pub(crate) fn with_tombstones(self, has_tombstones: bool) -> Self {
        Self { has_tombstones, ..self }
    }
}

#[async_trait]
impl<P: Post> Courier for Messages<P> {
    fn appetite(&self) -> Appetite {
        Appetite { rows: UNIT_ROWS, bytes: UNIT_BYTES, ..Appetite::default() }
    }

    async fn open(&mut self) -> Result<()> {
        self.post.open().await
    }

    async fn deliver(&mut self, unit: &mut Unit) -> Result<()> {
        let detailed = self.wording.envelope.detailed();
        let mut dispatch = Dispatch::new(&self.post, self.world.clone(), unit.is_suspect());
        while let Some(delivery) = unit.next().await? {
            let log = unit.begin().position.log.clone();
            let changes = Changes::new(&log, &delivery);
            let envelope = Envelope::new(&detailed, &changes);
            for row in 0..delivery.changes.rows() {
                let change = changes.of(row)?;
                let mut messages = self.wording.messages(&envelope, &change, &delivery)?;
                if self.has_tombstones {
                    messages = with_tombstones(&change, messages);
                }
                // What concerns several keys stands between what came before of any of them, and what comes after.
                let is_barrier = change.op() == Op::Truncate || change.is_move();
                if is_barrier {
                    dispatch.flush().await?;
                }
                for message in messages {
                    dispatch.push(message).await?;
                }
                if is_barrier {
                    dispatch.flush().await?;
                }
            }
        }
        dispatch.flush().await
    }

    async fn close(&mut self) -> Result<()> {
        self.post.close().await
    }
}

impl Wording {
    /// The messages that `change` becomes.
    fn messages(
        &self,
        envelope: &Envelope<'_>,
        change: &Change<'_>,
        delivery: &Delivery,
    ) -> Result<Vec<Message>> {
        let (stream, sequence, ordinal) = (change.stream(), delivery.sequence, change.ordinal());
        let blame = |error: tidemark_engine::Error| error.of_change(stream, sequence, ordinal);
        let place = self.place.of(change).map_err(blame)?;
        let (id, key) = (change.id().to_string(), change.key());
        let time = change.source_time().map_or_else(|| change.time(), Ok)?;
        let lane = lane(stream.as_str(), key.as_deref());
        let contents = envelope.contents(change).map_err(blame)?;
        let message = |content: Content| Message {
            id: format!("{id}{}", content.part),
            stream: stream.clone(),
            op: content.op,
            time,
            key: content.key,
            lane,
            place: place.clone(),
            headers: content.headers,
            content_type: content.content_type,
            body: content.body,
            sequence,
            ordinal,
        };
        Ok(contents.into_iter().map(message).collect())
    }
}

/// `messages` of `change`, with a tombstone behind each that leaves a key behind: a delete, and an update that gives the record another.
fn with_tombstones(change: &Change<'_>, messages: Vec<Message>) -> Vec<Message> {
    let mut all = Vec::with_capacity(messages.len());
    for message in messages {
        let left = match message.op {
            Op::Delete => message.key.clone(),
            Op::Update => change.key_left(),
            Op::Read | Op::Create | Op::Truncate => None,
        };
        let tombstone = left.map(|key| {
            let lane = lane(change.stream().as_str(), Some(&key));
            Message { key: Some(key), lane, headers: Vec::new(), body: None, ..message.clone() }
        });
        all.push(message);
        all.extend(tombstone);
    }
    all
}

/// Of a stream without a key all messages keep their order.
fn lane(stream: &str, key: Option<&str>) -> u64 {
    XxHash3_64::oneshot(format!("{stream}\n{}", key.unwrap_or_default()).as_bytes())
}
