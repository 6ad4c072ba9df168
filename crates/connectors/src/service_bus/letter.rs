//! What a change is as a message of Service Bus.
//!
//! Source: "AMQP 1.0 in Azure Service Bus and Event Hubs protocol guide" (learn.microsoft.com), Messages.

use fe2o3_amqp::{
    link::delivery::Sendable,
    types::messaging::{
        ApplicationProperties, Batch, Data, Header, Message as Amqp, MessageAnnotations, Properties,
    },
};

use super::{
    Grouping,
    encoding::{Encoded, Value},
};
use crate::messages::Message;

/// "Service Bus quotas": the longest session id and partition key, in characters.
const LONGEST_GROUP: usize = 128;
const PARTITION_KEY: &str = "x-opt-partition-key";
/// The message format of a batch: each of its data sections is a message. As Microsoft's libraries write it.
const BATCH: u32 = 0x8001_3700;

/// What belongs together, by the pipeline file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grouped {
    pub(super) session: Grouping,
    pub(super) partition: Grouping,
}

impl Grouped {
    /// Whether only messages of one key may go in a batch: the service keeps a batch in one place.
    pub(super) fn is_by_key(self) -> bool {
        self.session == Grouping::Key || self.partition == Grouping::Key
    }
}

/// A message, as Service Bus knows it.
pub(super) struct Letter<'m> {
    message: &'m Message,
    session: Option<String>,
    partition: Option<String>,
}

impl<'m> Letter<'m> {
    pub(super) fn new(message: &'m Message, grouped: Grouped) -> Self {
        let group = |grouping: Grouping| (grouping == Grouping::Key).then(|| group(message));
        Self { message, session: group(grouped.session), partition: group(grouped.partition) }
    }

    /// The message by itself.
    pub(super) fn alone(&self) -> Sendable<Data> {
        let mut properties = self.envelope();
        properties.subject = Some(self.message.op.as_str().to_owned());
        properties.content_type = Some(self.message.content_type.into());
        let own = ApplicationProperties::builder();
        let told = self
            .application_properties()
            .fold(own, |told, (name, value)| told.insert(name.to_owned(), value.to_owned()));
        let amqp = Amqp::builder()
            .header(Header { durable: true, ..Header::default() })
            .message_annotations(self.annotations())
            .properties(properties)
            .application_properties(told.build())
            .data(self.body().to_vec())
            .build();
        Sendable::builder().message(amqp).build()
    }

    /// The message as it stands in a batch.
    pub(super) fn encoded(&self) -> Vec<u8> {
        let (message, text) = (self.message, Value::Text);
        let (null, session) = (Value::Null, self.session.as_deref().map_or(Value::Null, text));
        let properties = [
            text(&message.id),
            null,
            null,
            text(message.op.as_str()),
            null,
            null,
            Value::Symbol(message.content_type),
            null,
            null,
            null,
            session,
        ];
        Encoded::default()
            .header(&[Value::True])
            .message_annotations(self.partition.as_deref().map(|partition| (PARTITION_KEY, partition)))
            .properties(&properties)
            .application_properties(self.application_properties())
            .data(self.body())
    }

    /// A batch of these, of which this is the first: what concerns the place of a batch stands outside of it again.
    pub(super) fn batch(&self, encoded: Vec<Vec<u8>>) -> Sendable<Batch<Data>> {
        let sections: Vec<Data> = encoded.into_iter().map(Data::from).collect();
        let amqp = Amqp::builder()
            .message_annotations(self.annotations())
            .properties(self.envelope())
            .data_batch(sections)
            .build();
        Sendable::builder().message_format(BATCH).message(amqp).build()
    }

    fn envelope(&self) -> Properties {
        Properties {
            message_id: Some(self.message.id.clone().into()),
            group_id: self.session.clone(),
            ..Properties::default()
        }
    }

    fn annotations(&self) -> Option<MessageAnnotations> {
        let partition = self.partition.as_deref()?;
        Some(MessageAnnotations::builder().insert(PARTITION_KEY, partition).build())
    }

    fn application_properties(&self) -> impl Iterator<Item = (&str, &str)> {
        let Message { op, stream, headers, .. } = self.message;
        let told = headers.iter().map(|(name, value)| (*name, value.as_str()));
        [("op", op.as_str()), ("stream", stream.as_str())].into_iter().chain(told)
    }

    fn body(&self) -> &[u8] {
        self.message.body.as_deref().unwrap_or_default()
    }
}

/// What a message belongs to: its record, or its stream where that has no key. What is too long for that is known by its hash.
fn group(message: &Message) -> String {
    let name = message.key.as_deref().unwrap_or_else(|| message.stream.as_str());
    match name.chars().count() <= LONGEST_GROUP {
        true => name.to_owned(),
        false => blake3::hash(name.as_bytes()).to_string(),
    }
}
