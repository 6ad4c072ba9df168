//! From messages to commits: what came while a commit was under way shares the next one, and whoever sent it hears when it is durable.

use std::{pin::pin, sync::Arc, time::Duration};

use futures::future::{self, Either};
use tidemark_engine::{
    Result, Stop,
    change::ChangeBatch,
    log::States,
    read::{Lane, Ticket},
    world::World,
};
use tokio::sync::mpsc;

use super::{
    door::Door,
    hook::Hook,
    register::{Delivery, Entered, Register, Reply, Verdict},
};

/// A commit takes no more than so many messages or bytes of a stream at once.
const MESSAGES: usize = 4_096;
const BYTES: usize = 4 << 20;

/// Takes the messages of one stream.
pub(super) struct Intake {
    pub(super) hook: Arc<Hook>,
    pub(super) deliveries: mpsc::Receiver<Delivery>,
    pub(super) lane: Lane,
    pub(super) states: States,
    pub(super) register: Register,
    pub(super) patience: Patience,
    /// Thrown when nobody sends any more.
    pub(super) ended: Stop,
}

/// What is done when the log does not take what it was given.
#[derive(Clone)]
pub(super) struct Patience {
    /// Shut until it does.
    pub(super) door: Arc<Door>,
    /// How long nothing is done.
    pub(super) within: Duration,
    pub(super) world: World,
}

/// Senders that wait for a commit; without a ticket for all before it.
struct Waiting {
    ticket: Option<Ticket>,
    replies: Vec<Reply>,
}

impl Intake {
    /// Runs until nobody sends any more, and everybody has been answered.
    pub(super) async fn run(self) -> Result<()> {
        let patience = self.patience.clone();
        let (promises, waiting) = mpsc::unbounded_channel();
        future::try_join(self.gather(promises), patience.answer(waiting)).await.map(drop)
    }

    async fn gather(mut self, promises: mpsc::UnboundedSender<Waiting>) -> Result<()> {
        while let Some(first) = self.next().await {
            let deliveries = self.with_what_came_since(first).await;
            let bytes = deliveries.iter().map(|delivery| delivery.bytes).sum();
            let mut register = self.register;
            let enter = move || {
                let entered = register.enter(deliveries);
                (register, entered)
            };
            let (register, Entered { batches, taken, unfit }) =
                self.patience.world.compute_on(bytes, enter).await?;
            self.register = register;
            for (reply, error) in unfit {
                let (stream, hint) = (&self.hook.outline.name, error.hint_text());
                tracing::warn!(%stream, %error, hint, "a message was refused");
                // Whoever has gone hears nothing.
                let _ = reply.sender.send(Verdict::Unfit);
            }
            let ticket = if batches.is_empty() { None } else { self.commit(batches).await? };
            if promises.send(Waiting { ticket, replies: taken }).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Commits changes with the ids of their messages; `None` when they are durable already.
    async fn commit(&mut self, batches: Vec<ChangeBatch>) -> Result<Option<Ticket>> {
        let stream = &self.hook.outline.name;
        let aside = match self.register.surplus() {
            None => None,
            Some(ids) => {
                let object = self.states.put(stream, ids.into()).await?;
                self.register.set_aside(object.clone());
                Some(object)
            }
        };
        for batch in batches {
            self.lane.batch(batch).await?;
        }
        let ticket = self.lane.boundary(self.register.cursor().to_bytes()?, None).await?;
        let Some(object) = aside else { return Ok(Some(ticket)) };
        // What it takes the place of may go once nothing durable names it. Until then nothing else is set aside.
        self.patience.until_durable(ticket).await?;
        if let Err(error) = self.states.keep_only(stream, &[object]).await {
            tracing::warn!(%stream, %error, "ids that are not needed any more are removed later");
        }
        Ok(None)
    }

    /// The next message; `None` when there will be none.
    async fn next(&mut self) -> Option<Delivery> {
        if let Either::Left((next, _)) =
            future::select(pin!(self.deliveries.recv()), pin!(self.ended.stopped())).await
        {
            return next;
        }
        self.deliveries.close();
        self.deliveries.recv().await
    }

    /// All that is there, and all that comes until the commit that is under way is over.
    async fn with_what_came_since(&mut self, first: Delivery) -> Vec<Delivery> {
        let mut bytes = first.bytes;
        let mut deliveries = vec![first];
        let mut under_way = self.lane.under_way();
        while deliveries.len() < MESSAGES && bytes < BYTES {
            let next = match self.deliveries.try_recv() {
                Ok(next) => Some(next),
                Err(_) if under_way.is_over() => None,
                Err(_) => match future::select(pin!(self.deliveries.recv()), pin!(under_way.over())).await {
                    Either::Left((next, _)) => next,
                    // What came at the same moment is taken as well.
                    Either::Right(_) => continue,
                },
            };
            let Some(next) = next else { break };
            bytes += next.bytes;
            deliveries.push(next);
        }
        deliveries
    }
}

impl Patience {
    /// Answers senders in the order of the commits.
    async fn answer(self, mut waiting: mpsc::UnboundedReceiver<Waiting>) -> Result<()> {
        while let Some(Waiting { ticket, replies }) = waiting.recv().await {
            if let Some(ticket) = ticket {
                self.until_durable(ticket).await?;
            }
            for Reply { sender, inside } in replies {
                // Whoever has gone will send it again, and then it is known.
                let _ = sender.send(Verdict::Durable);
                drop(inside);
            }
        }
        Ok(())
    }

    /// Waits for a commit, in the end with the door shut.
    async fn until_durable(&self, ticket: Ticket) -> Result<()> {
        match future::select(pin!(ticket.durable()), pin!(self.world.sleep(self.within))).await {
            Either::Left((durable, _)) => durable,
            Either::Right(((), durable)) => {
                tracing::warn!(
                    "the staging log does not take what was sent: senders are asked to come again"
                );
                let _shut = self.door.shut();
                durable.await?;
                tracing::info!("the staging log takes what is sent again");
                Ok(())
            }
        }
    }
}
