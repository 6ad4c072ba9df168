//! Sends messages to JetStream.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use async_nats::{
    Client, ConnectErrorKind, ConnectOptions,
    connection::State,
    jetstream::{
        self, Context,
        context::{GetStreamByNameErrorKind, PublishError, PublishErrorKind},
        message::PublishMessage,
    },
};
use async_trait::async_trait;
use tidemark_engine::{Error, Result};

use super::DestinationConfig;
use crate::{
    broker::{Address, Trust},
    messages::{Limits, Message, NameTemplate, Post, Undelivered},
};

/// How long the server may take to acknowledge a message.
const PATIENCE: Duration = Duration::from_secs(10);
/// Messages under way in one batch; the server acknowledges each.
const BATCH: usize = 512;
const BATCH_BYTES: usize = 4 << 20;
const IN_FLIGHT: usize = 4;
/// What a server takes that says nothing else: 1 MiB.
const USUAL_PAYLOAD: usize = 1 << 20;

/// Where nobody listens: a client that has lost its connection ends there.
const NOWHERE: &str = "nats://127.0.0.1:0";

/// The way to JetStream.
pub(super) struct JetStream {
    config: DestinationConfig,
    address: Address,
    trust: Trust,
    credentials: Option<PathBuf>,
    connected: Option<(Client, Context)>,
}

impl JetStream {
    /// As the pipeline file says; relative paths begin at `folder`.
    pub(super) fn new(config: &DestinationConfig, folder: &Path) -> Result<Self> {
        Ok(Self {
            address: config.address()?,
            trust: config.trust(folder),
            credentials: config.credentials.as_ref().map(|path| folder.join(path)),
            config: config.clone(),
            connected: None,
        })
    }

    /// Fails where no stream of JetStream takes the subject, as far as it can be told before there is a change.
    pub(super) async fn check(&self, subject: &NameTemplate) -> Result<()> {
        let (_, context) = self.connected()?;
        if let Err(error) = context.query_account().await {
            let error = Error::config(format!("`{}` has no JetStream for us", self.address)).source(error);
            return Err(error.hint("enable JetStream at the server, and for the account"));
        }
        let Some(subject) = subject.fixed() else { return Ok(()) };
        match context.stream_by_subject(subject).await {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == GetStreamByNameErrorKind::NotFound => Err(no_stream(subject)),
            Err(error) => {
                Err(Error::unavailable(format!("`{}` does not say what streams it has", self.address))
                    .source(error))
            }
        }
    }

    fn options(&self) -> Result<ConnectOptions> {
        let mut options = ConnectOptions::new()
            .name("tidemark")
            .connection_timeout(PATIENCE)
            .max_reconnects(1)
            .ignore_discovered_servers();
        let DestinationConfig { username, password, token, nkey, .. } = &self.config;
        if let (Some(username), Some(password)) = (username, password) {
            options = options.user_and_password(username.clone(), password.expose().to_owned());
        }
        if let Some(token) = token {
            options = options.token(token.expose().to_owned());
        }
        if let Some(seed) = nkey {
            options = options.nkey(seed.expose().to_owned());
        }
        if let Some(path) = &self.credentials {
            let unread = |error: std::io::Error| {
                let message = format!("`credentials: {}` cannot be used", path.display());
                Error::config(message).hint("name a `.creds` file as `nsc` writes it").source(error)
            };
            let text = fs::read_to_string(path).map_err(unread)?;
            options = options.credentials(&text).map_err(unread)?;
        }
        if self.address.is_secure() {
            options = options.require_tls(true).tls_client_config(self.trust.tls()?);
        }
        Ok(options)
    }

    fn connected(&self) -> Result<&(Client, Context)> {
        self.connected
            .as_ref()
            .ok_or_else(|| Error::internal("a message was sent before the connection was made"))
    }

    async fn failed(&self, message: &Message, error: PublishError) -> Undelivered {
        let subject = &message.place;
        match error.kind() {
            PublishErrorKind::StreamNotFound if self.has_no_stream(subject).await => {
                no_stream(subject).of_stream(&message.stream).into()
            }
            PublishErrorKind::MaxPayloadExceeded => {
                let error = Error::data("the message is larger than the server takes").source(error);
                Undelivered::message(
                    0,
                    error.hint("raise `max_payload` at the server, or leave large columns out"),
                )
            }
            _ => Error::unavailable(format!("`{}` has not kept a message of `{subject}`", self.address))
                .hint("look at the limits of the stream that takes the subject, and at the server's log")
                .source(error)
                .into(),
        }
    }

    /// Whether the subject is no stream's. Nobody answers either while a server starts, or a stream has no leader: then JetStream does not say.
    async fn has_no_stream(&self, subject: &str) -> bool {
        let Ok((_, context)) = self.connected() else { return false };
        let found = context.stream_by_subject(subject).await;
        found.is_err_and(|error| error.kind() == GetStreamByNameErrorKind::NotFound)
    }
}

#[async_trait]
impl Post for JetStream {
    fn limits(&self) -> Limits {
        let payload = self.connected.as_ref().map(|(client, _)| client.server_info().max_payload);
        let message_bytes = payload.filter(|bytes| *bytes > 0).unwrap_or(USUAL_PAYLOAD);
        Limits { messages: BATCH, bytes: BATCH_BYTES, message_bytes, in_flight: IN_FLIGHT, one_place: false }
    }

    async fn open(&mut self) -> Result<()> {
        self.connected = None;
        let url = format!("nats://{}", self.address.authority());
        let client = self.options()?.connect(url).await.map_err(|error| match error.kind() {
            ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
                Error::denied(format!("`{}` does not let us in", self.address))
                    .hint("check `username`, `token`, `nkey` or `credentials`")
                    .source(error)
            }
            ConnectErrorKind::Tls => Error::config(format!("the TLS handshake with `{}` failed", self.address))
                .hint("name the authority that signed its certificate by `ca`, and connect by a name that it is for")
                .source(error),
            _ => Error::unavailable(format!("cannot reach `{}`", self.address))
                .hint("check the host and the port, and that the server listens there")
                .source(error),
        })?;
        // A client that came back by itself would send what it holds of a batch, without what was lost before it.
        client.set_server_pool(NOWHERE).await.map_err(|error| {
            Error::unavailable(format!("the connection to `{}` was lost", self.address)).source(error)
        })?;
        let mut context = jetstream::new(client.clone());
        context.set_timeout(PATIENCE);
        self.connected = Some((client, context));
        Ok(())
    }

    async fn send(&self, batch: &[Message]) -> Result<(), Undelivered> {
        let (client, context) = self.connected()?;
        if client.connection_state() != State::Connected {
            return Err(Error::unavailable(format!("the connection to `{}` is lost", self.address)).into());
        }
        let mut acknowledgements = Vec::with_capacity(batch.len());
        for message in batch {
            let mut publish = PublishMessage::build()
                .message_id(&message.id)
                .header("content-type", message.content_type)
                .payload(message.body.clone().unwrap_or_default());
            for (name, value) in &message.headers {
                publish = publish.header(*name, value.as_str());
            }
            match context.send_publish(message.place.clone(), publish).await {
                Ok(acknowledgement) => acknowledgements.push((message, acknowledgement)),
                Err(error) => {
                    // What was sent before it is still to be acknowledged.
                    let failed = self.failed(message, error).await;
                    let taken = acknowledgements.len();
                    self.acknowledged(acknowledgements).await?;
                    return Err(Undelivered { taken, ..failed });
                }
            }
        }
        self.acknowledged(acknowledgements).await
    }

    async fn close(&mut self) -> Result<()> {
        let Some((client, _)) = self.connected.take() else { return Ok(()) };
        // Everything was acknowledged: whoever is gone already need not be told goodbye.
        let _ = client.drain().await;
        Ok(())
    }
}

impl JetStream {
    /// Waits for the server to have kept them, in their order.
    async fn acknowledged(
        &self,
        acknowledgements: Vec<(&Message, jetstream::context::PublishAckFuture)>,
    ) -> Result<(), Undelivered> {
        for (taken, (message, acknowledgement)) in acknowledgements.into_iter().enumerate() {
            if let Err(error) = acknowledgement.await {
                return Err(Undelivered { taken, ..self.failed(message, error).await });
            }
        }
        Ok(())
    }
}

fn no_stream(subject: &str) -> Error {
    Error::config(format!("no stream of JetStream takes the subject `{subject}`"))
        .hint(format!("add one: `nats stream add NAME --subjects '{subject}'`"))
}
