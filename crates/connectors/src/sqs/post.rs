//! Sends messages to SQS.

use std::{path::Path, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header::CONTENT_TYPE};
use tidemark_engine::{Error, Result, world::World};
use url::Url;

use super::{
    DestinationConfig,
    batch::{self, LARGEST, LARGEST_BATCH, Left, USUAL},
    failure,
};
use crate::{
    http::client::{Budgets, Client, Expect, Failure, Request, Surroundings},
    messages::{Limits, Message, Post, Undelivered},
};

const JSON: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.0");
const TARGET: HeaderName = HeaderName::from_static("x-amz-target");
/// How often those of a request are sent again that were not taken.
const TRIES: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The way to the queues of one account.
pub(super) struct Sqs {
    config: DestinationConfig,
    client: Client,
    endpoint: Url,
    world: World,
}

impl Sqs {
    /// As the pipeline file says. Touches no network.
    pub(super) fn new(config: &DestinationConfig, world: World) -> Result<Self> {
        let (endpoint, folder) = (config.endpoint()?, Path::new(""));
        let around =
            Surroundings { world: world.clone(), folder, budgets: Budgets::of_process(), tokens: None };
        let client = Client::new(&config.client()?, &endpoint, around)?;
        Ok(Self { client, endpoint, world, config: config.clone() })
    }

    /// Fails where the service does not know us, or where the queue is not there, as far as it can be told before there is a change.
    pub(super) async fn check(&self) -> Result<()> {
        let (queue, asked) = match self.config.url.fixed() {
            Some(queue) => {
                let body = serde_json::json!({"QueueUrl": queue, "AttributeNames": ["QueueArn"]});
                (queue, self.ask("GetQueueAttributes", body.to_string()).await)
            }
            None => (self.config.url.text(), self.ask("ListQueues", "{\"MaxResults\":1}".to_owned()).await),
        };
        match asked {
            Err(failure) if !failure::may_only_send(&failure) => {
                Err(failure::of_request(queue, 1, failure).error)
            }
            _ => Ok(()),
        }
    }

    async fn ask(&self, action: &str, body: String) -> Result<Bytes, Failure> {
        let target = HeaderValue::try_from(format!("AmazonSQS.{action}"));
        let target = target.map_err(|error| Error::internal("no name of an action").source(error))?;
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, JSON), (TARGET, target)]);
        let (method, url) = (Method::POST, self.endpoint.clone());
        let request = Request { method, url, headers, body: body.into(), expect: Expect::Json };
        self.client.send(&request).await.map(|answer| answer.body)
    }

    /// Sends messages that go together, to the last one.
    async fn send_together(&self, messages: &[Message]) -> Result<(), Undelivered> {
        let Some(first) = messages.first() else { return Ok(()) };
        let (mut which, mut pause) = ((0..messages.len()).collect::<Vec<_>>(), FIRST_PAUSE);
        for attempt in 1.. {
            let body = batch::request(messages, &which, self.config.is_fifo(), self.config.delay_seconds())?;
            let answer = self.ask("SendMessageBatch", body).await.map_err(|failure| {
                let failed = failure::of_request(&first.place, which.len(), failure);
                let taken = which.first().copied().unwrap_or_default();
                Undelivered { taken, error: failed.error.of_stream(&first.stream), ..failed }
            })?;
            let left = batch::left(&answer, &which)?;
            let (faults, others): (Vec<_>, Vec<_>) = left.iter().partition(|left: &&Left| left.is_at_fault);
            match (faults.first(), others.first()) {
                (None, None) => return Ok(()),
                (Some(fault), None) => return Err(Undelivered::message(fault.at, refused(fault))),
                (_, Some(other)) if attempt >= TRIES => {
                    let message = format!("SQS has not taken a message: `{}`", other.code);
                    let error = Error::unavailable(message).of_stream(&first.stream);
                    let taken = left.first().map_or(0, |left| left.at);
                    return Err(Undelivered { taken, is_the_message: false, error });
                }
                (_, Some(_)) => {}
            }
            tracing::debug!(
                left = left.len(),
                of = which.len(),
                "a part of a batch was not taken: trying again"
            );
            which = left.iter().map(|left| left.at).collect();
            self.world.sleep(self.world.jitter(pause)).await;
            pause *= 2;
        }
        Ok(())
    }
}

fn refused(fault: &Left) -> Error {
    Error::data(format!("SQS does not take the message: `{}`", fault.code)).hint(
        "see what the queue takes (`MaximumMessageSize`, and the characters of XML), and leave the rest out",
    )
}

#[async_trait]
impl Post for Sqs {
    fn limits(&self) -> Limits {
        Limits {
            messages: LARGEST_BATCH,
            // What every queue takes; one that is larger goes alone.
            bytes: USUAL - ATTRIBUTES * LARGEST_BATCH,
            message_bytes: LARGEST - ATTRIBUTES,
            in_flight: self.config.limits.concurrency,
            one_place: false,
        }
    }

    async fn open(&mut self) -> Result<()> {
        Ok(())
    }

    async fn send(&self, batch: &[Message]) -> Result<(), Undelivered> {
        let mut before = 0;
        for messages in batch::cut(batch, self.config.is_fifo()) {
            self.send_together(messages)
                .await
                .map_err(|undelivered| Undelivered { taken: before + undelivered.taken, ..undelivered })?;
            before += messages.len();
        }
        Ok(())
    }
}

/// What the attributes of a message take beside what it says itself: names, types, stream.
const ATTRIBUTES: usize = 512;
