//! The task that holds the connection: it reads as far as there is memory for what comes, and speaks whenever there is something to
//! say, so that a slow store does not end the connection.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::BytesMut;
use tidemark_engine::{Error, Result, world::World};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf},
    sync::{Semaphore, mpsc},
    task::JoinHandle,
};

use super::{
    Event, Introduction, Welcome,
    packet::{Incoming, KEEP_ALIVE, Message, Outgoing},
};
use crate::{broker::Duplex, mqtt::config::Version};

/// What has come and is not handed over may take so much memory; a larger message has all of it for itself.
const MEMORY: u32 = 16 << 20;
/// What a message takes beside its payload and topic.
const OVERHEAD: usize = 512;
/// Bytes that are read at once.
const READ: usize = 16 << 10;
/// Events that wait.
const WAITING: usize = 16_384;

/// What the task is to do.
#[derive(Debug)]
pub(super) enum Order {
    Say(Outgoing),
    /// Say goodbye and end.
    Leave,
}

/// An open connection.
pub(super) struct Line {
    wire: Box<dyn Duplex>,
    version: Version,
    /// Bytes that have come and are no whole packet yet.
    buffer: BytesMut,
    /// The broker's address, for a person.
    origin: String,
    world: World,
}

type Started = (mpsc::Receiver<Event>, mpsc::UnboundedSender<Order>, JoinHandle<Result<()>>);

impl Line {
    pub(super) fn new(wire: Box<dyn Duplex>, version: Version, origin: String, world: World) -> Self {
        Self { wire, version, buffer: BytesMut::new(), origin, world }
    }

    /// Says who we are, and hears whether we are welcome.
    pub(super) async fn introduce(&mut self, introduction: &Introduction) -> Result<Welcome> {
        let mut packet = BytesMut::new();
        self.version.write_introduction(introduction, &mut packet)?;
        let origin = self.origin.clone();
        let is_lost = move |error| lost(&origin, error);
        self.wire.write_all(&packet).await.map_err(&is_lost)?;
        self.wire.flush().await.map_err(&is_lost)?;
        loop {
            match self.version.read(&mut self.buffer, &self.origin)? {
                Some(Incoming::Welcome(welcome)) => return Ok(welcome),
                Some(Incoming::Farewell(error)) => return Err(error),
                Some(_) => {
                    return Err(Error::unavailable(format!("`{}` speaks before it is asked", self.origin)));
                }
                None if self.wire.read_buf(&mut self.buffer).await.map_err(&is_lost)? == 0 => {
                    return Err(is_lost(io::ErrorKind::UnexpectedEof.into()));
                }
                None => {}
            }
        }
    }

    /// Goes on in a task of its own.
    pub(super) fn start(self) -> Started {
        let (events, take_events) = mpsc::channel(WAITING);
        let (orders, take_orders) = mpsc::unbounded_channel();
        let line = tokio::spawn(self.run(events, take_orders));
        (take_events, orders, line)
    }

    async fn run(self, events: mpsc::Sender<Event>, orders: mpsc::UnboundedReceiver<Order>) -> Result<()> {
        let Self { wire, version, buffer, origin, world } = self;
        let (read, write) = tokio::io::split(wire);
        let pulse = Arc::new(Pulse::default());
        let memory = Arc::new(Semaphore::new(MEMORY as usize));
        let listener = Listener {
            read,
            version,
            buffer,
            origin: origin.clone(),
            world: world.clone(),
            pulse: pulse.clone(),
            events,
            memory,
        };
        let speaker = Speaker { write, version, origin, world, pulse, orders };
        tokio::select! {
            error = listener.listen() => error,
            end = speaker.speak() => end,
        }
    }
}

/// Whether the broker is heard.
#[derive(Debug, Default)]
struct Pulse {
    /// How often something has come.
    beats: AtomicU64,
    /// Whether nobody listens, for want of memory.
    is_deaf: AtomicBool,
}

/// The half that reads.
struct Listener {
    read: ReadHalf<Box<dyn Duplex>>,
    version: Version,
    buffer: BytesMut,
    origin: String,
    world: World,
    pulse: Arc<Pulse>,
    events: mpsc::Sender<Event>,
    memory: Arc<Semaphore>,
}

impl Listener {
    /// Reads until the connection ends.
    async fn listen(mut self) -> Result<()> {
        loop {
            while let Some(packet) = self.version.read(&mut self.buffer, &self.origin)? {
                match packet {
                    Incoming::Message(message) => self.take(message).await?,
                    Incoming::Subscribed(granted) => self.hand_over(Event::Subscribed(granted)).await,
                    Incoming::Answered(id, answer) => self.hand_over(Event::Answered(id, answer)).await,
                    Incoming::Alive => {}
                    Incoming::Farewell(error) => return Err(error),
                    Incoming::Welcome(_) => {
                        return Err(Error::unavailable(format!("`{}` welcomes us twice", self.origin)));
                    }
                }
            }
            self.buffer.reserve(READ);
            let read =
                self.read.read_buf(&mut self.buffer).await.map_err(|error| lost(&self.origin, error))?;
            if read == 0 {
                return Err(lost(&self.origin, io::ErrorKind::UnexpectedEof.into()));
            }
            self.pulse.beats.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn take(&mut self, mut message: Message) -> Result<()> {
        let bytes = message.payload.len() + message.topic.len() + OVERHEAD;
        let share = u32::try_from(bytes).unwrap_or(MEMORY).min(MEMORY);
        self.pulse.is_deaf.store(true, Ordering::Relaxed);
        let memory = self.memory.clone().acquire_many_owned(share).await;
        message.memory =
            Some(memory.map_err(|error| Error::internal("the memory for messages is gone").source(error))?);
        message.received_at = self.world.now();
        self.hand_over(Event::Message(message)).await;
        Ok(())
    }

    async fn hand_over(&self, event: Event) {
        self.pulse.is_deaf.store(true, Ordering::Relaxed);
        // Whoever takes no more events is leaving, and what comes is for another time.
        let _ = self.events.send(event).await;
        self.pulse.is_deaf.store(false, Ordering::Relaxed);
    }
}

/// The half that writes.
struct Speaker {
    write: WriteHalf<Box<dyn Duplex>>,
    version: Version,
    origin: String,
    world: World,
    pulse: Arc<Pulse>,
    orders: mpsc::UnboundedReceiver<Order>,
}

impl Speaker {
    /// Says what is ordered, and that we are here, until told to leave or the broker is not heard any more.
    async fn speak(mut self) -> Result<()> {
        let mut packets = BytesMut::new();
        let (mut id, mut heard, mut is_leaving) = (1, None, false);
        while !is_leaving {
            tokio::select! {
                order = self.orders.recv() => {
                    let mut next = order;
                    loop {
                        match next {
                            Some(Order::Say(packet)) => {
                                self.version.write(packet, id, &mut packets)?;
                                id = id % 1_000 + 1;
                            }
                            Some(Order::Leave) | None => {
                                self.version.write(Outgoing::Farewell, id, &mut packets)?;
                                is_leaving = true;
                                break;
                            }
                        }
                        match self.orders.try_recv() {
                            Ok(order) => next = Some(order),
                            Err(_) => break,
                        }
                    }
                }
                () = self.world.sleep(Duration::from_secs(u64::from(KEEP_ALIVE) / 2)) => {
                    self.version.write(Outgoing::Ping, id, &mut packets)?;
                    let beats = self.pulse.beats.load(Ordering::Relaxed);
                    if heard == Some(beats) && !self.pulse.is_deaf.load(Ordering::Relaxed) {
                        return Err(Error::unavailable(format!("`{}` has not been heard of for {KEEP_ALIVE} s", self.origin)));
                    }
                    heard = Some(beats);
                }
            }
            self.write.write_all(&packets).await.map_err(|error| lost(&self.origin, error))?;
            self.write.flush().await.map_err(|error| lost(&self.origin, error))?;
            packets.clear();
        }
        // The connection is not needed any more, whether it ends well or not.
        let _ = self.write.shutdown().await;
        Ok(())
    }
}

/// Whether `error` is that the other side has closed the connection, and not said why.
pub(in crate::mqtt) fn is_cut(error: &Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| {
        matches!(
            cause.kind(),
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
        )
    })
}

fn lost(origin: &str, error: io::Error) -> Error {
    Error::unavailable(format!("the connection to `{origin}` is lost")).source(error)
}
