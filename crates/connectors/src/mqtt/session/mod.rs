//! What is said over one connection: who we are, what we want, what we have taken. A connection that is lost is not mended: packet
//! identifiers belong to the session, what has been said belongs to the connection, so the next one begins with what is durable.
//!
//! The library's event loop acknowledges and reconnects by itself, so only its packets are used here (`v4`, `v5`).

mod line;
mod packet;
mod v4;
mod v5;

use std::time::Duration;

use bytes::BytesMut;
use tidemark_engine::{Error, Result, world::World};
use tokio::{sync::mpsc, task::JoinHandle};

use super::config::{SourceConfig, Version};
use crate::{broker::Broker, config::Secret};
pub(super) use line::is_cut;
use line::{Line, Order};
#[cfg(test)]
pub(super) use packet::Properties;
pub(super) use packet::{Answer, Message, Publication};
use packet::{Incoming, Outgoing};

/// How long a broker may take to welcome us.
const PATIENCE: Duration = Duration::from_secs(15);
/// How many messages version 5 brokers may send before the first of them is acknowledged. A cursor remembers as many.
pub(super) const IN_FLIGHT: u16 = 256;
/// What a session is kept for while nobody is connected, unless the pipeline file says otherwise.
const SESSION_EXPIRY: Duration = Duration::from_secs(7 * 86_400);

/// How we introduce ourselves.
#[derive(Debug, Clone)]
pub(super) struct Introduction {
    pub(super) version: Version,
    pub(super) client_id: String,
    pub(super) username: Option<String>,
    pub(super) password: Option<Secret>,
    /// How long the session outlives its connection, in seconds; 0: it begins and ends with it.
    pub(super) expiry: u32,
}

/// What the broker says to that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Welcome {
    /// Whether it knows the session from before.
    pub(super) is_known: bool,
    /// For how many seconds it keeps the session, where that is not what was asked for.
    pub(super) expiry: Option<u32>,
    /// How many messages it takes before it has acknowledged the first of them, where it says so.
    pub(super) in_flight: Option<u16>,
    /// The largest packet that it takes, where it says so.
    pub(super) packet_bytes: Option<u32>,
    /// Whether it takes messages by QoS 1.
    pub(super) takes_qos_1: bool,
    /// Whether it keeps messages for whoever subscribes later.
    pub(super) retains: bool,
}

impl Default for Welcome {
    /// That of a broker which says nothing of itself.
    fn default() -> Self {
        let (expiry, in_flight, packet_bytes) = (None, None, None);
        Self { is_known: false, expiry, in_flight, packet_bytes, takes_qos_1: true, retains: true }
    }
}

/// What comes over a connection.
#[derive(Debug)]
pub(super) enum Event {
    /// A message.
    Message(Message),
    /// The broker's answer to [`Session::subscribe`]: for each filter, whether it is granted.
    Subscribed(Vec<bool>),
    /// The broker's answer to [`Session::publish`], by its identifier.
    Answered(u16, Answer),
}

/// A connection on which we are known. Dropping it drops the connection; the broker keeps the session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) welcome: Welcome,
    events: mpsc::Receiver<Event>,
    orders: mpsc::UnboundedSender<Order>,
    line: JoinHandle<Result<()>>,
}

impl Introduction {
    /// As the pipeline file says; `pipeline` is its name.
    pub(super) fn new(config: &SourceConfig, pipeline: &str) -> Self {
        let expiry = config.session_expiry.map_or(SESSION_EXPIRY, |expiry| expiry.0);
        Self {
            version: config.version,
            client_id: config.client_id.clone().unwrap_or_else(|| format!("tidemark-{pipeline}")),
            username: config.username.clone(),
            password: config.password.clone(),
            expiry: u32::try_from(expiry.as_secs()).unwrap_or(u32::MAX),
        }
    }

    /// The same under a passing name, in a session that ends with its connection: what others have stays untouched.
    pub(super) fn in_passing(&self, world: &World) -> Self {
        Self { client_id: format!("{}-{}", self.client_id, world.name(8)), expiry: 0, ..self.clone() }
    }
}

impl Session {
    /// Connects to `broker` and introduces us.
    pub(super) async fn open(broker: &Broker, introduction: &Introduction, world: &World) -> Result<Self> {
        let wire = broker.open(world).await?;
        let origin = broker.address.to_string();
        let mut line = Line::new(wire, introduction.version, origin.clone(), world.clone());
        let welcome = tokio::select! {
            welcome = line.introduce(introduction) => welcome?,
            () = world.sleep(PATIENCE) => {
                return Err(Error::unavailable(format!("`{origin}` takes no connections now"))
                    .hint("look at the broker's log"));
            }
        };
        let (events, orders, line) = line.start();
        Ok(Self { welcome, events, orders, line })
    }

    /// Asks for the messages of these filters, by QoS 1, and for no more of those.
    pub(super) fn subscribe(&self, filters: Vec<String>, no_more: Vec<String>) {
        if !filters.is_empty() {
            self.order(Order::Say(Outgoing::Subscribe(filters)));
        }
        if !no_more.is_empty() {
            self.order(Order::Say(Outgoing::Unsubscribe(no_more)));
        }
    }

    /// Tells the broker to forget a message: it is durable here.
    pub(super) fn acknowledge(&self, id: u16) {
        self.order(Order::Say(Outgoing::Acknowledge(id)));
    }

    /// Publishes a message by QoS 1, under an identifier that no other waits for.
    pub(super) fn publish(&self, id: u16, message: Publication) {
        self.order(Order::Say(Outgoing::Publish(id, message)));
    }

    /// What comes next; fails when the connection is lost.
    pub(super) async fn next(&mut self) -> Result<Event> {
        match self.events.recv().await {
            Some(event) => Ok(event),
            None => Err(self.end().await),
        }
    }

    /// What has come already.
    pub(super) fn next_ready(&mut self) -> Option<Event> {
        self.events.try_recv().ok()
    }

    /// Says goodbye, after all that has been said.
    pub(super) async fn close(mut self) {
        self.events.close();
        self.order(Order::Leave);
        // The session is kept, whether the broker has heard it or not.
        let _ = (&mut self.line).await;
    }

    /// Whoever is gone says why when the next event is asked for.
    fn order(&self, order: Order) {
        let _ = self.orders.send(order);
    }

    async fn end(&mut self) -> Error {
        match (&mut self.line).await {
            Ok(Err(error)) => error,
            Ok(Ok(())) => Error::unavailable("the connection to the broker has ended"),
            Err(error) => error.into(),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.line.abort();
    }
}

/// The packets of a version.
impl Version {
    fn read(self, buffer: &mut BytesMut, origin: &str) -> Result<Option<Incoming>> {
        match self {
            Self::V4 => v4::read(buffer, origin),
            Self::V5 => v5::read(buffer, origin),
        }
    }

    fn write(self, packet: Outgoing, id: u16, buffer: &mut BytesMut) -> Result<()> {
        match self {
            Self::V4 => v4::write(packet, id, buffer),
            Self::V5 => v5::write(packet, id, buffer),
        }
    }

    fn write_introduction(self, introduction: &Introduction, buffer: &mut BytesMut) -> Result<()> {
        match self {
            Self::V4 => v4::write_introduction(introduction, buffer),
            Self::V5 => v5::write_introduction(introduction, buffer),
        }
    }
}

#[cfg(test)]
mod tests;
