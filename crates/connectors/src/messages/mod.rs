//! Changes as messages: what queues, buses and web hooks have in common.
//!
//! | Question | Module |
//! |---|---|
//! | What does a message say? | `envelope` |
//! | Where does it go? | `name` |
//! | In which order, how many at once, and what if one is refused? | `dispatch` |
//! | How does that become a destination? | `courier` |
//!
//! A system only says how a batch of messages is sent (`Post`), and what it puts up with (`Limits`).

mod changes;
#[cfg(test)]
pub(crate) mod contract;
mod courier;
mod dispatch;
mod envelope;
mod name;
#[cfg(test)]
mod tests;
mod validate;

use async_trait::async_trait;
use bytes::Bytes;
use tidemark_engine::{Error, Result, Time, change::Op, schema::StreamName};

pub(crate) use courier::{Messages, Wording};
pub use envelope::{CloudEvents, ContentMode, Debezium, Decimals, Detailed, EnvelopeConfig};
pub use name::NameTemplate;
pub(crate) use validate::{problem_of_pair, validate};

/// One change, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// The change's identity, the same in every delivery.
    pub(crate) id: String,
    pub(crate) stream: StreamName,
    pub(crate) op: Op,
    /// When it was made at the source; where that is unknown, when it counts as made.
    pub(crate) time: Time,
    /// The record's key as a JSON object; none in a stream without a key, and none of a truncate.
    pub(crate) key: Option<String>,
    /// Messages with the same number keep their order.
    pub(crate) lane: u64,
    /// Where it goes: a queue, a topic, a subject.
    pub(crate) place: String,
    /// What the envelope says outside the body.
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) content_type: &'static str,
    /// `None`: a tombstone, which says that nothing of the key is to be kept.
    pub(crate) body: Option<Bytes>,
    /// The commit that holds the change.
    pub(crate) sequence: u64,
    /// Its place in the commit.
    pub(crate) ordinal: u64,
}

impl Message {
    /// About how many bytes it takes on its way.
    pub(crate) fn bytes(&self) -> usize {
        let headers = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        let key = self.key.as_ref().map_or(0, String::len);
        self.body.as_ref().map_or(0, Bytes::len) + headers + key + self.id.len() + self.place.len()
    }

    /// Says that `error` concerns this change alone.
    pub(crate) fn blame(&self, error: Error) -> Error {
        error.of_change(&self.stream, self.sequence, self.ordinal)
    }
}

/// A system that takes messages.
///
/// Duties of an implementation:
/// - When `send` returns, the system has promised to keep every message of the batch.
/// - The messages of a batch are taken in their order, or so that those of one key are.
/// - It is called from several sides at once, each with keys of its own, and may be dropped at any await.
/// - It connects again by itself where a connection was lost; it does not try a message again: that is decided above it.
#[async_trait]
pub(crate) trait Post: Send + Sync {
    /// What the system puts up with.
    fn limits(&self) -> Limits;

    /// Gets ready, or gets ready anew after a failure.
    async fn open(&mut self) -> Result<()>;

    /// Sends `batch`, whose messages go to one place where [`Limits::one_place`] says so.
    async fn send(&self, batch: &[Message]) -> Result<(), Undelivered>;

    /// Ends the session in good order.
    async fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// What a system puts up with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Messages in a batch.
    pub(crate) messages: usize,
    /// Bytes of a batch.
    pub(crate) bytes: usize,
    /// Bytes of a message; a larger one is refused by name.
    pub(crate) message_bytes: usize,
    /// Batches under way at a time.
    pub(crate) in_flight: usize,
    /// Whether a batch goes to one place.
    pub(crate) one_place: bool,
}

/// Why a batch was not taken, or not to its end.
#[derive(Debug)]
pub(crate) struct Undelivered {
    /// How many of its first messages were taken for certain.
    pub(crate) taken: usize,
    /// Whether the next one alone is at fault.
    pub(crate) is_the_message: bool,
    pub(crate) error: Error,
}

impl Undelivered {
    /// The message behind the first `taken` ones is refused for what it is.
    pub(crate) fn message(taken: usize, error: Error) -> Self {
        Self { taken, is_the_message: true, error }
    }
}

impl From<Error> for Undelivered {
    /// Nobody knows how much was taken: all of it is sent again.
    fn from(error: Error) -> Self {
        Self { taken: 0, is_the_message: false, error }
    }
}
