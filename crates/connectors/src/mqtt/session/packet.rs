//! What is said, whatever the version.

use bytes::Bytes;
use tidemark_engine::{Error, Time};
use tokio::sync::OwnedSemaphorePermit;

use super::Welcome;

/// The largest packet that is read. Brokers are not told: of version 5, they would drop what is larger without a word.
pub(super) const MAX_PACKET: usize = 64 << 20;
/// The broker hears of us at least so often, in seconds.
pub(super) const KEEP_ALIVE: u16 = 30;

/// What the broker says.
#[derive(Debug)]
pub(super) enum Incoming {
    Welcome(Welcome),
    Message(Message),
    Subscribed(Vec<bool>),
    /// It has taken, or refused, what we have published by this identifier.
    Answered(u16, Answer),
    /// Nothing that asks for anything.
    Alive,
    /// It ends the connection, and this is why.
    Farewell(Error),
}

/// What we say.
#[derive(Debug)]
pub(super) enum Outgoing {
    Subscribe(Vec<String>),
    Unsubscribe(Vec<String>),
    Acknowledge(u16),
    Publish(u16, Publication),
    Ping,
    Farewell,
}

/// A message that somebody has published.
#[derive(Debug)]
pub(in crate::mqtt) struct Message {
    pub(in crate::mqtt) topic: String,
    pub(in crate::mqtt) payload: Bytes,
    /// What it is acknowledged by; `None`: it came by QoS 0, and nobody asks.
    pub(in crate::mqtt) id: Option<u16>,
    /// Whether it may have been sent before, on another connection.
    pub(in crate::mqtt) is_again: bool,
    /// Whether the broker had kept it for whoever subscribes.
    pub(in crate::mqtt) is_retained: bool,
    pub(in crate::mqtt) received_at: Time,
    pub(in crate::mqtt) properties: Properties,
    /// Its share of the memory for what has come and is not handed over.
    pub(in crate::mqtt) memory: Option<OwnedSemaphorePermit>,
}

/// What version 5 says of a message.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::mqtt) struct Properties {
    pub(in crate::mqtt) content_type: Option<String>,
    pub(in crate::mqtt) response_topic: Option<String>,
    pub(in crate::mqtt) user: Vec<(String, String)>,
}

/// A message that we publish, by QoS 1. What the properties say goes with version 5 alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::mqtt) struct Publication {
    pub(in crate::mqtt) topic: String,
    pub(in crate::mqtt) payload: Bytes,
    /// Whether the broker keeps it for whoever subscribes later.
    pub(in crate::mqtt) is_retained: bool,
    /// For how many seconds it is of use.
    pub(in crate::mqtt) expiry: Option<u32>,
    pub(in crate::mqtt) content_type: Option<&'static str>,
    pub(in crate::mqtt) user: Vec<(String, String)>,
}

/// What a broker says to what was published: sections 3.4.2.1 of both versions. Version 3.1.1 knows no refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mqtt) enum Answer {
    /// It has it.
    Taken,
    /// We may not publish to the topic.
    Denied,
    /// The message is not to its liking.
    Unfit,
    /// It cannot, now.
    Busy,
}

/// Why a broker does not take us in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It does not speak this version.
    Version,
    /// It does not like our session's name.
    ClientId,
    /// It does not believe who we are, or does not let us.
    Denied,
    /// It cannot, now.
    Busy,
}

impl Refusal {
    pub(super) fn error(self, origin: &str) -> Error {
        match self {
            Self::Version => Error::config(format!("`{origin}` does not speak this version of MQTT"))
                .hint("set `version` to `5` or `3.1.1`, as the broker has it"),
            Self::ClientId => Error::config(format!("`{origin}` refuses the session's name"))
                .hint("set `client_id` to one that the broker takes"),
            Self::Denied => Error::denied(format!("`{origin}` refuses the login")).hint(
                "check `username`, `password` and `client_certificate`, and what the broker lets them do",
            ),
            Self::Busy => Error::unavailable(format!("`{origin}` takes no connections now")),
        }
    }
}

/// The broker has sent what this version has no meaning for.
pub(super) fn not_understood(origin: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::unavailable(format!("`{origin}` has sent a packet that is not understood"))
        .hint("check that an MQTT broker listens there, and that `version` is one that it speaks")
        .source(error)
}

/// A message is larger than what is read at once. To drop it would be to lose it.
pub(super) fn too_large(origin: &str) -> Error {
    Error::data(format!("`{origin}` has sent a message of more than {} MiB", MAX_PACKET >> 20))
        .hint("have its publisher send less at once, and clear the session at the broker")
}

/// A message's topic is no text.
pub(super) fn bad_topic(origin: &str) -> Error {
    Error::data(format!("`{origin}` has sent a message whose topic is not UTF-8"))
}
