//! Sends messages as requests.

use std::path::Path;

use async_trait::async_trait;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tidemark_engine::{Error, Result, world::World};

use super::{DestinationConfig, Verb, request::Wording, verdict::Refused};
use crate::{
    http::client::{Budgets, Client, Expect, Request, Retry, Surroundings, WEBHOOK_ID},
    messages::{Limits, Message, Post, Undelivered},
};

/// Bytes of a request with several messages.
const BATCH_BYTES: usize = 1 << 20;
/// Messages that one lane is handed at once, where each is a request of its own.
const RUN: usize = 32;

/// The way to somebody's server.
pub(super) struct Requests {
    config: DestinationConfig,
    client: Client,
    wording: Wording,
}

impl Requests {
    /// As the pipeline file says; relative paths begin at `folder`. Touches no network.
    pub(super) fn new(config: &DestinationConfig, folder: &Path, world: World) -> Result<Self> {
        let around = Surroundings { world, folder, budgets: Budgets::of_process(), tokens: None };
        Ok(Self {
            client: Client::new(&config.client(), &config.base()?, around)?,
            wording: Wording::new(config)?,
            config: config.clone(),
        })
    }

    /// Fails where the server is out of reach or does not know us. It is asked what it can do, which changes nothing there, and whatever
    /// else it answers to that will do.
    pub(super) async fn check(config: &DestinationConfig, folder: &Path, world: World) -> Result<()> {
        let mut once = config.client();
        once.retry = Retry { attempts: 1, ..once.retry };
        let around = Surroundings { world, folder, budgets: Budgets::of_process(), tokens: None };
        let base = config.base()?;
        let client = Client::new(&once, &base, around)?;
        let headers = HeaderMap::from_iter([(WEBHOOK_ID, HeaderValue::from_static("check"))]);
        let mut request = Request { method: Method::OPTIONS, headers, ..Request::get(base) };
        request.expect = Expect::Anything;
        let Err(failure) = client.send(&request).await else { return Ok(()) };
        match failure.status.map(|status| status.as_u16()) {
            None | Some(401 | 407 | 502..=504) => Err(failure.into()),
            Some(_) => Ok(()),
        }
    }

    async fn request(&self, messages: &[Message], verb: Verb) -> Result<(), Refused> {
        let request = self.wording.request(messages, verb).map_err(Refused::message)?;
        let sent = self.client.send(&request).await;
        let status = match &sent {
            Ok(answer) => Some(answer.status),
            Err(failure) => failure.status,
        };
        tracing::debug!(
            url = self.config.url.text(),
            method = %request.method,
            messages = messages.len(),
            bytes = request.body.len(),
            first = messages.first().map(|message| message.id.as_str()),
            status = status.as_ref().map(StatusCode::as_u16),
            answered = sent.as_ref().ok().map(|answer| answer.body.len()),
            "a web hook was sent"
        );
        self.config.verdict(&request.url, sent)
    }
}

#[async_trait]
impl Post for Requests {
    fn limits(&self) -> Limits {
        Limits {
            messages: self.config.batch.map_or(RUN, |batch| batch.get().into()),
            bytes: BATCH_BYTES,
            // What is too much, its server knows.
            message_bytes: usize::MAX,
            in_flight: self.config.client.limits.concurrency,
            // A record's changes keep their order though their addresses differ.
            one_place: false,
        }
    }

    async fn open(&mut self) -> Result<()> {
        Ok(())
    }

    async fn send(&self, batch: &[Message]) -> Result<(), Undelivered> {
        let verb = |message: &Message| self.config.verb(message.op);
        let together = |a: &Message, b: &Message| {
            self.config.batch.is_some() && a.place == b.place && verb(a) == verb(b)
        };
        let mut taken = 0;
        for messages in batch.chunk_by(together) {
            if let Err(Refused { is_the_message, error }) = self.request(messages, verb(&messages[0])).await {
                // Which one of several, only sending each alone tells.
                let is_the_message = is_the_message && messages.len() == 1;
                return Err(Undelivered { taken, is_the_message, error: of_stream(messages, error) });
            }
            taken += messages.len();
        }
        Ok(())
    }
}

fn of_stream(messages: &[Message], error: Error) -> Error {
    match messages {
        [first, ..] => error.of_stream(&first.stream),
        [] => error,
    }
}
