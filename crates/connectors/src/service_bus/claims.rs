//! Shows tokens to the node `$cbs`.
//!
//! Source: "AMQP 1.0 in Azure Service Bus and Event Hubs protocol guide" (learn.microsoft.com), Claims-based authorization.

use fe2o3_amqp::{
    Receiver, Sendable, Sender,
    session::SessionHandle,
    types::{
        messaging::{
            AmqpValue, ApplicationProperties, Body, Message, MessageId, Outcome, Properties, Source, Target,
        },
        primitives::{SimpleValue, Timestamp, Value},
    },
};
use tidemark_engine::{Error, Result};

use super::{namespace::Namespace, refusal, signature::Token};

const NODE: &str = "$cbs";
const TOKEN_TYPE: &str = "servicebus.windows.net:sastoken";

/// The way to `$cbs` and back, on one connection.
pub(super) struct Claims {
    requests: Sender,
    replies: Receiver,
    reply_to: String,
    asked: u64,
}

impl Claims {
    pub(super) async fn open(namespace: &Namespace, session: &mut SessionHandle<()>) -> Result<Self> {
        let reply_to = format!("tidemark-{}", namespace.world.name(16));
        let requests = Sender::builder()
            .name(format!("{reply_to}-requests"))
            .source(Source::builder().address(reply_to.clone()).build())
            .target(Target::builder().address(NODE).build())
            .attach(session)
            .await
            .map_err(|error| refusal::of_attach(namespace, NODE, error))?;
        let replies = Receiver::builder()
            .name(format!("{reply_to}-replies"))
            .source(Source::builder().address(NODE).build())
            .target(Target::builder().address(reply_to.clone()).build())
            .attach(session)
            .await
            .map_err(|error| refusal::of_replies(namespace, error))?;
        Ok(Self { requests, replies, reply_to, asked: 0 })
    }

    /// Lets this connection do to `entity` what `token` says.
    pub(super) async fn put(
        &mut self,
        namespace: &Namespace,
        entity: &str,
        audience: String,
        token: &Token,
    ) -> Result<()> {
        self.asked += 1;
        let id = MessageId::from(self.asked);
        let request = self.request(&id, audience, token);
        match self.requests.send(request).await {
            Ok(Outcome::Accepted(_)) => {}
            Ok(outcome) => return Err(refusal::of_outcome(namespace, entity, &outcome).error),
            Err(error) => return Err(refusal::of_send(namespace, entity, error).error),
        }
        loop {
            let lost = |error| refusal::lost(namespace).source(format!("{error:?}"));
            let reply = self.replies.recv::<Body<Value>>().await.map_err(lost)?;
            self.replies
                .accept(&reply)
                .await
                .map_err(|error| refusal::lost(namespace).source(format!("{error:?}")))?;
            let message = reply.message();
            // What was asked before may have been given up on.
            let answered = message.properties.as_ref().and_then(|told| told.correlation_id.as_ref());
            if answered.is_some_and(|answered| *answered != id) {
                continue;
            }
            return match status(message.application_properties.as_ref()) {
                Some(200..=299) => Ok(()),
                Some(status) => Err(refusal::of_token(namespace, entity, status)),
                None => Err(Error::unavailable(format!(
                    "`{}` does not say what it makes of a token",
                    namespace.broker.address
                ))),
            };
        }
    }

    fn request(&self, id: &MessageId, audience: String, token: &Token) -> Sendable<AmqpValue<String>> {
        let properties = Properties {
            message_id: Some(id.clone()),
            to: Some(NODE.to_owned()),
            reply_to: Some(self.reply_to.clone()),
            ..Properties::default()
        };
        let end = Timestamp::from_milliseconds(token.end.as_micros() / 1000);
        let asked = ApplicationProperties::builder()
            .insert("operation", "put-token")
            .insert("type", TOKEN_TYPE)
            .insert("name", audience)
            .insert("expiration", SimpleValue::Timestamp(end))
            .build();
        let message = Message::builder()
            .properties(properties)
            .application_properties(asked)
            .value(token.text.expose().to_owned())
            .build();
        Sendable::builder().message(message).build()
    }
}

/// The name of the property has two spellings: that of the guide, and that of the drafts before it.
fn status(told: Option<&ApplicationProperties>) -> Option<i32> {
    let told = told?;
    let status = told.get("status-code").or_else(|| told.get("statusCode"))?;
    match status {
        SimpleValue::Int(status) => Some(*status),
        SimpleValue::Uint(status) => i32::try_from(*status).ok(),
        _ => None,
    }
}
