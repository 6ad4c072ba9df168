//! Sends messages to queues and topics.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use fe2o3_amqp::{
    link::{SendError, delivery::DeliveryFut},
    types::messaging::Outcome,
};
use futures::future;
use tidemark_engine::{Error, Result, world::World};
use tokio::sync::Mutex;

use super::{
    Authentication, DestinationConfig,
    letter::{Grouped, Letter},
    namespace::Namespace,
    parcel::{Parcel, waves},
    refusal::{self, Refusal},
    session::{Link, Session},
};
use crate::messages::{Limits, Message, NameTemplate, Post, Undelivered};

const BATCH: usize = 500;
const BATCH_BYTES: usize = 1 << 20;
const IN_FLIGHT: usize = 4;
/// "Service Bus quotas": the largest message of any tier. What a queue or topic takes it says when we come to it.
const MESSAGE_BYTES: usize = 100 << 20;

/// The way to the queues and topics of a namespace.
pub(super) struct Entities {
    namespace: Namespace,
    grouped: Grouped,
    session: Mutex<Option<Arc<Session>>>,
}

/// What comes of a parcel.
type Delivery = DeliveryFut<Result<Outcome, SendError>>;

/// Messages of one place on their way there.
struct Bag<'m> {
    letters: Vec<Letter<'m>>,
    /// As they stand in a batch; empty where there are no batches.
    encoded: Vec<Vec<u8>>,
    taken: Vec<bool>,
}

impl Entities {
    /// As the pipeline file says; relative paths begin at `folder`.
    pub(super) fn new(config: &DestinationConfig, folder: &Path, world: World) -> Result<Self> {
        let grouped = Grouped { session: config.session, partition: config.partition };
        let namespace = Namespace::new(config, folder, world)?;
        Ok(Self { namespace, grouped, session: Mutex::default() })
    }

    /// Fails where the queue or topic is not there or not for us, as far as it can be told before there is a change.
    pub(super) async fn check(&self, entity: &NameTemplate) -> Result<()> {
        let Some(entity) = entity.fixed() else { return Ok(()) };
        let session = self.session().await?;
        session.answered(&self.namespace, session.link(&self.namespace, entity)).await?.map(drop)
    }

    /// The connection; another one where it was lost.
    async fn session(&self) -> Result<Arc<Session>> {
        let mut session = self.session.lock().await;
        if let Some(open) = session.as_ref()
            && open.is_alive().await
        {
            return Ok(open.clone());
        }
        *session = None;
        let new = Arc::new(self.namespace.connect().await?);
        *session = Some(new.clone());
        Ok(new)
    }

    /// An `answer` in time. What is under way on a connection where there was none may still arrive: nothing more goes the same way.
    async fn or_forget<T>(&self, session: &Arc<Session>, answer: Result<T>) -> Result<T> {
        if answer.is_err() {
            self.session.lock().await.take_if(|kept| Arc::ptr_eq(kept, session));
        }
        answer
    }

    /// Sends a batch over a connection, to its end.
    async fn deliver(&self, session: &Arc<Session>, batch: &[Message]) -> Result<(), Undelivered> {
        let Some(first) = batch.first() else { return Ok(()) };
        let of_stream = |error: Error| error.of_stream(&first.stream);
        let linking = session.link(&self.namespace, &first.place);
        let linked = session.answered(&self.namespace, linking).await;
        let link = self.or_forget(session, linked).await?.map_err(of_stream)?;
        let mut bag = self.bag(batch);
        for wave in waves(&self.groups(batch), &bag.sizes(), link.capacity) {
            let sending = self.wave(&link, &mut bag, &wave, &first.place);
            let sent = session.answered(&self.namespace, sending).await;
            if let Err((at, Refusal { error, is_the_message, is_lost })) =
                self.or_forget(session, sent).await?
            {
                if is_lost {
                    session.give_up(&link).await;
                }
                if is_the_message {
                    return Err(Undelivered::message(at, error));
                }
                let taken = bag.taken.iter().position(|taken| !taken).unwrap_or_default();
                return Err(Undelivered { taken, is_the_message, error: of_stream(error) });
            }
        }
        Ok(())
    }

    /// Sends parcels side by side. Fails with the first message that was not taken, and why.
    async fn wave(
        &self,
        link: &Link,
        bag: &mut Bag<'_>,
        wave: &[Parcel],
        entity: &str,
    ) -> Result<(), (usize, Refusal)> {
        let started: Vec<_> = {
            let mut started = Vec::with_capacity(wave.len());
            for parcel in wave {
                started.push(bag.start(link, parcel).await);
            }
            started
        };
        let outcomes = future::join_all(started.into_iter().map(async |delivery| match delivery {
            Ok(delivery) => delivery.await,
            Err(error) => Err(error),
        }));
        let mut failed = None;
        for (parcel, outcome) in wave.iter().zip(outcomes.await) {
            match self.read(entity, outcome) {
                Ok(()) => parcel.iter().for_each(|at| bag.taken[*at] = true),
                // Which of them is at fault nobody says: they are sent one by one.
                Err(refusal) if refusal.is_the_message && parcel.len() > 1 => {
                    for at in parcel {
                        let outcome = match bag.start(link, &[*at]).await {
                            Ok(delivery) => delivery.await,
                            Err(error) => Err(error),
                        };
                        self.read(entity, outcome).map_err(|refusal| (*at, refusal))?;
                        bag.taken[*at] = true;
                    }
                }
                Err(refusal) => failed = failed.or(parcel.first().map(|at| (*at, refusal))),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    fn read(&self, entity: &str, outcome: Result<Outcome, SendError>) -> Result<(), Refusal> {
        match outcome {
            Ok(Outcome::Accepted(_)) => Ok(()),
            Ok(other) => Err(refusal::of_outcome(&self.namespace, entity, &other)),
            Err(error) => Err(refusal::of_send(&self.namespace, entity, error)),
        }
    }

    fn bag<'m>(&self, batch: &'m [Message]) -> Bag<'m> {
        let letters: Vec<_> = batch.iter().map(|message| Letter::new(message, self.grouped)).collect();
        let encoded = match self.namespace.authentication {
            Authentication::Cbs => letters.iter().map(Letter::encoded).collect(),
            Authentication::Plain => Vec::new(),
        };
        Bag { letters, encoded, taken: vec![false; batch.len()] }
    }

    /// What messages are of: those of one group go one after the other, and only they go together.
    fn groups(&self, batch: &[Message]) -> Vec<u64> {
        let is_by_key = self.grouped.is_by_key() || self.namespace.authentication == Authentication::Plain;
        batch.iter().map(|message| if is_by_key { message.lane } else { 0 }).collect()
    }
}

impl Bag<'_> {
    /// As they stand in a batch; where there is none, what they take does not matter.
    fn sizes(&self) -> Vec<usize> {
        match self.encoded.is_empty() {
            true => vec![0; self.letters.len()],
            false => self.encoded.iter().map(Vec::len).collect(),
        }
    }

    async fn start(&self, link: &Link, parcel: &[usize]) -> Result<Delivery, SendError> {
        let mut sender = link.sender.lock().await;
        match parcel {
            [first, _, ..] => {
                let encoded = parcel.iter().map(|at| self.encoded[*at].clone()).collect();
                sender.send_batchable(self.letters[*first].batch(encoded)).await
            }
            _ => sender.send_batchable(self.letters[parcel[0]].alone()).await,
        }
    }
}

#[async_trait]
impl Post for Entities {
    fn limits(&self) -> Limits {
        Limits {
            messages: BATCH,
            bytes: BATCH_BYTES,
            message_bytes: MESSAGE_BYTES,
            in_flight: IN_FLIGHT,
            one_place: true,
        }
    }

    async fn open(&mut self) -> Result<()> {
        *self.session.get_mut() = None;
        self.session().await.map(drop)
    }

    async fn send(&self, batch: &[Message]) -> Result<(), Undelivered> {
        let session = self.session().await?;
        self.deliver(&session, batch).await
    }

    async fn close(&mut self) -> Result<()> {
        let Some(session) = self.session.get_mut().take() else { return Ok(()) };
        let _ = self.namespace.in_time(session.close()).await;
        Ok(())
    }
}
