//! Sends messages: in order within a lane, lanes side by side, in batches as large as the system likes them.

use std::{collections::VecDeque, mem, time::Duration};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tidemark_engine::{Error, Result, world::World};

use super::{Limits, Message, Post, Undelivered};

/// Bytes of messages that wait or are under way.
const BUDGET: usize = 8 << 20;
/// How often a batch is sent that is not taken, before the whole unit is: with the destination asked to connect anew.
const TRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The messages of one unit on their way. Dropped in the middle it leaves behind what was taken.
pub(super) struct Dispatch<'p, P: ?Sized> {
    post: &'p P,
    limits: Limits,
    world: World,
    lanes: Vec<Lane>,
    sending: FuturesUnordered<BoxFuture<'p, Result<Sent>>>,
    bytes: usize,
}

/// Messages that keep their order.
#[derive(Default)]
struct Lane {
    /// Batches that may still grow: one, or one a place.
    open: Vec<Batch>,
    ready: VecDeque<Batch>,
    is_busy: bool,
}

#[derive(Default)]
struct Batch {
    messages: Vec<Message>,
    bytes: usize,
}

/// A batch that was taken.
struct Sent {
    lane: usize,
    bytes: usize,
}

impl<'p, P: Post + ?Sized> Dispatch<'p, P> {
    /// Where the unit is suspect, one message is sent at a time, so that the one it fails over is found.
    pub(super) fn new(post: &'p P, world: World, is_suspect: bool) -> Self {
        let mut limits = post.limits();
        if is_suspect {
            (limits.messages, limits.in_flight) = (1, 1);
        }
        let lanes = (0..limits.in_flight.max(1)).map(|_| Lane::default()).collect();
        Self { post, limits, world, lanes, sending: FuturesUnordered::new(), bytes: 0 }
    }

    /// Takes a message, and waits while there are too many.
    pub(super) async fn push(&mut self, message: Message) -> Result<()> {
        let bytes = message.bytes();
        if bytes > self.limits.message_bytes {
            return Err(message.blame(too_large(bytes, self.limits.message_bytes)));
        }
        let lane = usize::try_from(message.lane % self.lanes.len() as u64).unwrap_or_default();
        self.bytes += bytes;
        self.lanes[lane].push(message, bytes, self.limits);
        self.start(lane);
        if self.bytes > BUDGET {
            self.close_all();
            while self.bytes > BUDGET / 2 && self.wait().await? {}
        }
        Ok(())
    }

    /// Returns when everything was taken.
    pub(super) async fn flush(&mut self) -> Result<()> {
        self.close_all();
        while self.wait().await? {}
        Ok(())
    }

    fn close_all(&mut self) {
        for lane in 0..self.lanes.len() {
            let open = mem::take(&mut self.lanes[lane].open);
            self.lanes[lane].ready.extend(open);
            self.start(lane);
        }
    }

    /// Waits for a batch to be taken; `false` when none is under way.
    async fn wait(&mut self) -> Result<bool> {
        let Some(sent) = self.sending.next().await else { return Ok(false) };
        let Sent { lane, bytes } = sent?;
        self.bytes -= bytes;
        self.lanes[lane].is_busy = false;
        self.start(lane);
        Ok(true)
    }

    /// Sends the next batch of a lane, where none is under way.
    fn start(&mut self, lane: usize) {
        if self.lanes[lane].is_busy {
            return;
        }
        let Some(Batch { messages, bytes }) = self.lanes[lane].ready.pop_front() else { return };
        self.lanes[lane].is_busy = true;
        let (post, world) = (self.post, self.world.clone());
        let sending = async move {
            send(post, &messages, &world).await?;
            Ok(Sent { lane, bytes })
        };
        self.sending.push(sending.boxed());
    }
}

impl Lane {
    fn push(&mut self, message: Message, bytes: usize, limits: Limits) {
        let fits_place = |batch: &Batch| !limits.one_place || batch.messages[0].place == message.place;
        let at = self.open.iter().position(fits_place);
        let is_full =
            |batch: &Batch| batch.messages.len() >= limits.messages || batch.bytes + bytes > limits.bytes;
        let at = match at {
            Some(at) if is_full(&self.open[at]) => {
                let full = self.open.swap_remove(at);
                self.ready.push_back(full);
                None
            }
            at => at,
        };
        let at = at.unwrap_or_else(|| {
            self.open.push(Batch::default());
            self.open.len() - 1
        });
        self.open[at].bytes += bytes;
        self.open[at].messages.push(message);
    }
}

/// Sends a batch to its end. What was not taken is sent again, with all that follows it.
async fn send<P: Post + ?Sized>(post: &P, batch: &[Message], world: &World) -> Result<()> {
    let (mut rest, mut tries, mut pause) = (batch, 0, FIRST_PAUSE);
    while !rest.is_empty() {
        let Err(Undelivered { taken, is_the_message, error }) = post.send(rest).await else { return Ok(()) };
        if taken > 0 {
            (tries, pause) = (0, FIRST_PAUSE);
        }
        rest = rest.get(taken..).unwrap_or_default();
        tries += 1;
        match rest.first() {
            Some(message) if is_the_message => return Err(message.blame(error)),
            Some(_) if error.kind().is_transient() && tries < TRIES => {}
            Some(_) => return Err(error),
            None => return Ok(()),
        }
        tracing::debug!(%error, "a batch was not taken: trying again");
        world.sleep(world.jitter(pause)).await;
        pause *= 2;
    }
    Ok(())
}

fn too_large(bytes: usize, limit: usize) -> Error {
    Error::data(format!("a message of {bytes} bytes is larger than the {limit} that the destination takes"))
        .hint("leave large columns out, or have such changes become dead letters: `on_error: dead-letter`")
}
