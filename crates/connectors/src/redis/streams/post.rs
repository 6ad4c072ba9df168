//! Adds entries to streams.

use std::{
    num::NonZeroU64,
    sync::atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use redis::{Cmd, RedisResult, Value, cmd};
use tidemark_engine::{Error, Result};
use tokio::sync::Mutex;

use crate::{
    messages::{Limits, Message, Post, Undelivered},
    redis::{
        DestinationConfig, refusal,
        session::{Server, Session, is_not_told},
    },
};

/// Entries in one batch; the server answers each.
const BATCH: usize = 512;
const BATCH_BYTES: usize = 4 << 20;
const IN_FLIGHT: usize = 4;

/// The way to the streams of a server.
pub(super) struct Streams {
    server: Server,
    max_length: Option<NonZeroU64>,
    session: Mutex<Option<Session>>,
    /// What the server said when it was last connected to.
    value_bytes: AtomicUsize,
}

impl Streams {
    /// Those of `server`.
    pub(super) fn new(config: &DestinationConfig, server: Server) -> Self {
        Self {
            server,
            max_length: config.max_length,
            session: Mutex::default(),
            value_bytes: AtomicUsize::default(),
        }
    }

    /// Fails where the server is a part of a cluster, or something else stands where the stream belongs.
    pub(super) async fn check(&self, stream: Option<&str>) -> Result<()> {
        let mut session = self.session().await?;
        let connection = &mut session.connection;
        self.server.check_alone(connection).await?;
        let Some(stream) = stream else { return Ok(()) };
        let asked = self.server.in_time(cmd("TYPE").arg(stream).query_async::<String>(connection)).await?;
        match asked.as_deref() {
            Ok("none" | "stream") => Ok(()),
            Ok(_) => Err(Error::config(format!("`{stream}` is there and is no stream"))
                .hint("choose another `stream`, or delete what is there")),
            // Who may add need not be allowed to look.
            Err(error) if is_not_told(error) => Ok(()),
            Err(error) => Err(refusal::lost(&self.server, error.clone())),
        }
    }

    /// The connection; another one where it was lost.
    async fn session(&self) -> Result<Session> {
        let mut session = self.session.lock().await;
        if let Some(session) = session.as_ref() {
            return Ok(session.clone());
        }
        let new = self.server.connect().await?;
        self.value_bytes.store(new.value_bytes, Ordering::Relaxed);
        *session = Some(new.clone());
        Ok(new)
    }

    /// Nobody knows what the server has, and what it still reads of the connection.
    async fn given_up(&self, error: Error) -> Undelivered {
        *self.session.lock().await = None;
        error.into()
    }

    /// The command that adds a message's entry.
    fn entry(&self, message: &Message) -> Cmd {
        let mut entry = cmd("XADD");
        entry.arg(&message.place);
        if let Some(length) = self.max_length {
            entry.arg("MAXLEN").arg("~").arg(length.get());
        }
        entry.arg("*").arg("id").arg(&message.id).arg("op").arg(message.op.as_str());
        entry.arg("stream").arg(message.stream.as_str()).arg("time").arg(message.time.to_string());
        if let Some(key) = &message.key {
            entry.arg("key").arg(key);
        }
        for (name, value) in &message.headers {
            entry.arg(*name).arg(value);
        }
        if let Some(body) = &message.body {
            entry.arg("content-type").arg(message.content_type).arg("body").arg(&body[..]);
        }
        entry
    }
}

#[async_trait]
impl Post for Streams {
    fn limits(&self) -> Limits {
        let message_bytes = self.value_bytes.load(Ordering::Relaxed);
        Limits { messages: BATCH, bytes: BATCH_BYTES, message_bytes, in_flight: IN_FLIGHT, one_place: false }
    }

    async fn open(&mut self) -> Result<()> {
        *self.session.get_mut() = None;
        self.session().await.map(drop)
    }

    async fn send(&self, batch: &[Message]) -> Result<(), Undelivered> {
        let mut session = self.session().await?;
        let mut entries = redis::Pipeline::with_capacity(batch.len());
        for message in batch {
            entries.add_command(self.entry(message));
        }
        entries.ignore_errors();
        let answers = entries.query_async::<Vec<RedisResult<Value>>>(&mut session.connection);
        let answers = match self.server.in_time(answers).await {
            Ok(Ok(answers)) => answers,
            Ok(Err(error)) => return Err(self.given_up(refusal::lost(&self.server, error)).await),
            Err(late) => return Err(self.given_up(late).await),
        };
        for (taken, (message, answer)) in batch.iter().zip(answers).enumerate() {
            if let Err(error) = answer {
                let error = refusal::of_key(&self.server, &message.place, error).of_stream(&message.stream);
                return Err(Undelivered { taken, ..error.into() });
            }
        }
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        *self.session.get_mut() = None;
        Ok(())
    }
}
