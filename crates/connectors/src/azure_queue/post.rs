//! Sends messages to queues: "Put Message" of the Queue service's REST API.

use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header::CONTENT_TYPE};
use tidemark_engine::{Error, ErrorKind, Result, world::World};
use url::Url;

use super::{
    DestinationConfig,
    claim::Claims,
    text,
    validate::{NAMES, is_name},
};
use crate::{
    azure_storage::Account,
    http::client::{Budgets, Client, Expect, Failure, Request, Surroundings},
    messages::{Limits, Message, Post, Undelivered},
};

/// The version of the services that is asked for; with it a message may stay for ever, and tokens of Entra are known.
const VERSION: HeaderValue = HeaderValue::from_static("2021-08-06");
/// Messages that one lane is handed at once; each is a request.
const RUN: usize = 32;
const RUN_BYTES: usize = 4 << 20;

/// The way to the queues of one account.
pub(super) struct Queues {
    config: DestinationConfig,
    client: Client,
    base: Url,
    claims: Option<Claims>,
}

impl Queues {
    /// As the pipeline file says. Touches no network.
    pub(super) fn new(config: &DestinationConfig, world: &World) -> Result<Self> {
        let connect = |account: &Account| {
            let (world, folder) = (world.clone(), Path::new(""));
            let around = Surroundings { world, folder, budgets: Budgets::of_process(), tokens: None };
            Client::new(&config.client(account), &account.base, around)
        };
        let queues = config.queues()?;
        let client = connect(&queues)?;
        Ok(Self { client, base: queues.base, claims: Claims::new(config, connect)?, config: config.clone() })
    }

    /// Fails where the account does not know us, or where the queue or the container is not there, as far as it can be told before there
    /// is a change.
    pub(super) async fn check(&self) -> Result<()> {
        let (queue, mut asked) = match self.config.queue.fixed() {
            Some(queue) => (queue, request(Method::GET, &self.base, &[queue], Bytes::new())?),
            None => ("{name}", request(Method::GET, &self.base, &[""], Bytes::new())?),
        };
        let query =
            if self.config.queue.fixed().is_some() { "comp=metadata" } else { "comp=list&maxresults=1" };
        asked.url.set_query(Some(query));
        match self.client.send(&asked).await {
            Err(failure) if !may_only_send(&failure) => return Err(self.failed(queue, failure).error),
            _ => {}
        }
        match &self.claims {
            Some(claims) => claims.check().await,
            None => Ok(()),
        }
    }

    async fn put(&self, message: &Message) -> Result<(), Undelivered> {
        let queue = message.place.as_str();
        if !is_name(queue) {
            let error = Error::config(format!(
                "what `queue: {}` makes of a change cannot be the name of a queue",
                self.config.queue.text()
            ));
            return Err(error.hint(NAMES).of_stream(&message.stream).into());
        }
        let refused = |error: Error| match error.kind() {
            ErrorKind::Data => Undelivered::message(0, error),
            _ => error.into(),
        };
        let body = message.body.clone().unwrap_or_default();
        let text = match (text::of(&body, self.config.encoding).map_err(refused)?, &self.claims) {
            (Some(text), _) => text,
            (None, Some(claims)) => {
                let told = claims.keep(message).await.map_err(|error| error.of_stream(&message.stream))?;
                let text = text::of(&told, self.config.encoding).map_err(refused)?;
                text.ok_or_else(|| Error::internal("what is said of a large message is itself too large"))?
            }
            (None, None) => return Err(Undelivered::message(0, too_large(body.len()))),
        };
        let mut put = request(Method::POST, &self.base, &[queue, "messages"], text.into())?;
        put.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        put.url.set_query(Some(&self.times()));
        match self.client.send(&put).await {
            Ok(answer) if answer.status.is_success() => Ok(()),
            Ok(answer) => Err(Error::data(format!("queue `{queue}` answered with {}", answer.status)).into()),
            Err(failure) => {
                let failed = self.failed(queue, failure);
                Err(Undelivered { error: failed.error.of_stream(&message.stream), ..failed })
            }
        }
    }

    fn times(&self) -> String {
        let seen = self.config.visible_after.0.as_secs();
        let kept = self.config.time_to_live.map_or("-1".to_owned(), |time| time.0.as_secs().to_string());
        format!("visibilitytimeout={seen}&messagettl={kept}")
    }

    fn failed(&self, queue: &str, failure: Failure) -> Undelivered {
        match failure.status {
            Some(StatusCode::NOT_FOUND) => Error::config(format!("there is no queue `{queue}`"))
                .hint(format!("make it: `az storage queue create --name {queue} --account-name ACCOUNT`"))
                .into(),
            Some(StatusCode::FORBIDDEN) => Error::from(failure)
                .hint(
                    "check `auth`, and grant it the right to add messages: the role `Storage Queue Data Message Sender`, or a signature with `a`",
                )
                .into(),
            // Such as a queue that is being deleted.
            Some(StatusCode::CONFLICT) => Error::unavailable(Error::from(failure).message()).into(),
            Some(StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE) => {
                Undelivered::message(0, Error::data(Error::from(failure).message()))
            }
            _ => Error::from(failure).into(),
        }
    }
}

/// Whether whoever asks may do nothing but send, which is enough.
pub(super) fn may_only_send(failure: &Failure) -> bool {
    failure.code.as_deref().is_some_and(|code| {
        matches!(code, "AuthorizationPermissionMismatch" | "AuthorizationResourceTypeMismatch")
    })
}

/// A request for what `path` leads to.
pub(super) fn request(method: Method, base: &Url, path: &[&str], body: Bytes) -> Result<Request> {
    let mut url = base.clone();
    url.path_segments_mut()
        .map_err(|()| Error::config("the account's URL has no path"))?
        .pop_if_empty()
        .extend(path);
    let headers = HeaderMap::from_iter([(http::HeaderName::from_static("x-ms-version"), VERSION)]);
    Ok(Request { method, url, headers, body, expect: Expect::Anything })
}

fn too_large(bytes: usize) -> Error {
    Error::data(format!("a message of {bytes} bytes is larger than a queue takes, 64 KiB as it is encoded"))
        .hint("keep such bodies in blobs: `claim_check: {container: NAME}`; or leave large columns out")
}

#[async_trait]
impl Post for Queues {
    fn limits(&self) -> Limits {
        Limits {
            messages: RUN,
            bytes: RUN_BYTES,
            // What is too large for a queue goes into a blob, or is refused by name when it is written.
            message_bytes: usize::MAX,
            in_flight: self.config.limits.concurrency,
            one_place: false,
        }
    }

    async fn open(&mut self) -> Result<()> {
        Ok(())
    }

    async fn send(&self, batch: &[Message]) -> Result<(), Undelivered> {
        for (taken, message) in batch.iter().enumerate() {
            self.put(message).await.map_err(|undelivered| Undelivered { taken, ..undelivered })?;
        }
        Ok(())
    }
}
