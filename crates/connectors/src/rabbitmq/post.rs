//! Sends messages to exchanges.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use async_trait::async_trait;
use lapin::{
    BasicProperties, Channel, Confirmation, ExchangeKind, PublisherConfirm,
    options::{BasicPublishOptions, ExchangeDeclareOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable, ShortString},
};
use tidemark_engine::{Error, Result, world::World};
use tokio::sync::Mutex;

use super::{
    DestinationConfig, refusal,
    route::{Route, Routing, short},
    session::{Server, Session},
};
use crate::messages::{Limits, Message, Post, Undelivered};

/// Messages under way in one batch; the server confirms each.
const BATCH: usize = 512;
const BATCH_BYTES: usize = 4 << 20;
const IN_FLIGHT: usize = 4;
/// What a server takes that was not asked for anything else: 128 MiB, 16 MiB from version 4.0 on. It says only when it is given more.
const MESSAGE_BYTES: usize = 128 << 20;
/// The delivery mode of messages that outlive the server.
const PERSISTENT: u8 = 2;

/// The way to the exchanges of a server.
pub(super) struct Exchanges {
    server: Server,
    routing: Routing,
    session: Mutex<Option<Arc<Session>>>,
}

impl Exchanges {
    /// As the pipeline file says; relative paths begin at `folder`.
    pub(super) fn new(
        config: &DestinationConfig,
        folder: &Path,
        routing: Routing,
        world: World,
    ) -> Result<Self> {
        Ok(Self { server: Server::new(config, folder, world)?, routing, session: Mutex::default() })
    }

    /// Fails where the exchange is not there, or the queue that the default exchange would hand messages to, as far as it can be told
    /// before there is a change.
    pub(super) async fn check(&self, routing: &Routing, place: Option<&str>) -> Result<()> {
        let Routing::Fixed(exchange) = routing else { return Ok(()) };
        let session = self.session().await?;
        let asked = self.server.in_time(async {
            let channel = session.channel().await?;
            match (exchange.as_str().is_empty(), place) {
                (true, None) => Ok(()),
                (true, Some(queue)) => {
                    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
                    let queue = short(queue).unwrap_or_default();
                    channel.queue_declare(queue, options, FieldTable::default()).await.map(drop)
                }
                (false, _) => {
                    let options =
                        ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
                    let (name, kind) = (exchange.clone(), ExchangeKind::Direct);
                    channel.exchange_declare(name, kind, options, FieldTable::default()).await
                }
            }
        });
        let Err(error) = asked.await? else { return Ok(()) };
        Err(match place {
            Some(queue) if exchange.as_str().is_empty() => refusal::of_queue(&self.server, queue, &error),
            _ => refusal::of_exchange(&self.server, exchange.as_str(), &error),
        })
    }

    /// The connection; another one where it was lost.
    async fn session(&self) -> Result<Arc<Session>> {
        let mut session = self.session.lock().await;
        if let Some(alive) = session.as_ref().filter(|session| session.is_alive()) {
            return Ok(alive.clone());
        }
        *session = None;
        let new = Arc::new(self.server.connect().await?);
        *session = Some(new.clone());
        Ok(new)
    }

    async fn publish(&self, session: &Session, batch: &[Message]) -> Result<(), Undelivered> {
        let lost = |error: lapin::Error| refusal::of_batch(&self.server, &self.routing, batch, 0, &error);
        let channel = session.channel().await.map_err(lost)?;
        let (mut confirms, mut failed) = (Vec::with_capacity(batch.len()), None);
        for (at, message) in batch.iter().enumerate() {
            let published = match self.routing.of(&message.place) {
                Ok(route) => publish(&channel, route, message).await.map_err(lost),
                Err(error) => Err(Undelivered::message(at, error)),
            };
            match published {
                Ok(confirm) => confirms.push(confirm),
                Err(undelivered) => {
                    failed = Some(undelivered);
                    break;
                }
            }
        }
        // Why a channel was closed is told to those that wait for it, not to whoever comes after.
        self.confirmed(batch, confirms).await?;
        match failed {
            Some(failed) => Err(failed),
            None => {
                session.give_back(channel);
                Ok(())
            }
        }
    }

    /// Waits for the server to have every message in a queue, in their order.
    async fn confirmed(&self, batch: &[Message], confirms: Vec<PublisherConfirm>) -> Result<(), Undelivered> {
        let (mut returned, mut refused) = (BTreeSet::new(), None);
        for (at, confirm) in confirms.into_iter().enumerate() {
            let (back, is_kept) = match confirm.await {
                Ok(Confirmation::Ack(back)) => (back, true),
                Ok(Confirmation::Nack(back)) => (back, false),
                Ok(Confirmation::NotRequested) => {
                    return Err(Error::internal("a channel confirms nothing").into());
                }
                Err(error) => return Err(refusal::of_batch(&self.server, &self.routing, batch, at, &error)),
            };
            // What comes back comes with a confirmation, which need not be its own.
            returned.extend(back.and_then(|back| back.properties.message_id().clone()));
            if !is_kept {
                refused.get_or_insert(at);
            }
        }
        let is_back = |message: &Message| returned.iter().any(|id: &ShortString| id.as_str() == message.id);
        let unrouted = batch.iter().position(is_back);
        let (taken, why): (_, fn(&Route) -> Error) = match (unrouted, refused) {
            (None, None) => return Ok(()),
            (Some(at), None) => (at, refusal::unrouted),
            (Some(at), Some(refused)) if at <= refused => (at, refusal::unrouted),
            (_, Some(at)) => (at, refusal::not_kept),
        };
        let message = &batch[taken];
        let error = why(&self.routing.of(&message.place)?).of_stream(&message.stream);
        Err(Undelivered { taken, ..error.into() })
    }
}

#[async_trait]
impl Post for Exchanges {
    fn limits(&self) -> Limits {
        Limits {
            messages: BATCH,
            bytes: BATCH_BYTES,
            message_bytes: MESSAGE_BYTES,
            in_flight: IN_FLIGHT,
            one_place: false,
        }
    }

    async fn open(&mut self) -> Result<()> {
        *self.session.get_mut() = None;
        self.session().await.map(drop)
    }

    async fn send(&self, batch: &[Message]) -> Result<(), Undelivered> {
        let session = self.session().await?;
        match self.server.in_time(self.publish(&session, batch)).await {
            Ok(sent) => sent,
            Err(late) => {
                // What is under way on it may still arrive: nothing more goes the same way.
                let mut kept = self.session.lock().await;
                kept.take_if(|kept| Arc::ptr_eq(kept, &session));
                Err(if session.is_blocked() { refusal::blocked(&self.server) } else { late }.into())
            }
        }
    }

    async fn close(&mut self) -> Result<()> {
        let Some(session) = self.session.get_mut().take() else { return Ok(()) };
        // Everything was confirmed: whoever is gone already need not be told goodbye.
        let _ = self.server.in_time(session.close()).await;
        Ok(())
    }
}

async fn publish(
    channel: &Channel,
    route: Route,
    message: &Message,
) -> Result<PublisherConfirm, lapin::Error> {
    let options = BasicPublishOptions { mandatory: true, immediate: false };
    let headers = message
        .headers
        .iter()
        .map(|(name, value)| (ShortString::from(*name), AMQPValue::LongString(value.as_str().into())));
    let properties = BasicProperties::default()
        .with_message_id(short(&message.id).unwrap_or_default())
        .with_type(message.op.as_str().into())
        .with_content_type(message.content_type.into())
        .with_delivery_mode(PERSISTENT)
        .with_timestamp(u64::try_from(message.time.as_micros() / 1_000_000).unwrap_or_default())
        .with_headers(headers.collect::<BTreeMap<_, _>>().into());
    let body = message.body.as_deref().unwrap_or_default();
    channel.basic_publish(route.exchange, route.routing_key, options, body, properties).await
}
