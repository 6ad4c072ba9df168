//! What it means that the service refuses something.
//!
//! Source: AMQP 1.0, 2.8.15 to 2.8.18; "Service Bus messaging exceptions" and "AMQP errors in Azure Service Bus" (learn.microsoft.com).

use fe2o3_amqp::{
    connection::{ConnectionStopReason, OpenError},
    link::{
        DetachError, LinkStateError, ReceiverAttachError, SendError, SenderAttachError, SessionStopReason,
    },
    types::{
        definitions::{self, ErrorCondition},
        messaging::Outcome,
        primitives::Symbol,
    },
};
use tidemark_engine::Error;

use super::{
    Authentication,
    namespace::{Namespace, PATIENCE},
};

/// A refusal of what was sent.
pub(super) struct Refusal {
    pub(super) error: Error,
    /// Whether it is for what the message is.
    pub(super) is_the_message: bool,
    /// Whether the link is gone that it was sent by.
    pub(super) is_lost: bool,
}

impl Refusal {
    fn new(error: Error, is_the_message: bool) -> Self {
        Self { error, is_the_message, is_lost: false }
    }

    fn lost(self) -> Self {
        Self { is_lost: true, ..self }
    }
}

/// Of a connection that was not made.
pub(super) fn of_connection(namespace: &Namespace, error: OpenError) -> Error {
    let address = &namespace.broker.address;
    let told = match &error {
        OpenError::SaslError { .. } => Error::denied(format!("`{address}` does not let us in"))
            .hint("check `shared_access_key_name` and `shared_access_key`, and the way of `authentication`"),
        OpenError::RemoteClosedWithError(told) => return of_condition(namespace, "", told).error,
        OpenError::Io(_) | OpenError::TransportError(_) | OpenError::RemoteClosed => lost(namespace),
        _ => Error::config(format!("`{address}` does not speak AMQP 1.0 as we do"))
            .hint("check the port; what listens there has to take AMQP 1.0 with SASL"),
    };
    told.source(error.to_string())
}

/// Of a link that was not made.
pub(super) fn of_attach(namespace: &Namespace, entity: &str, error: SenderAttachError) -> Error {
    match &error {
        SenderAttachError::RemoteClosedWithError(told) => of_condition(namespace, entity, told).error,
        SenderAttachError::SessionStopped(reason) => of_stop(namespace, entity, reason),
        _ => Error::unavailable(format!("there is no way to `{entity}`")).source(error.to_string()),
    }
}

/// Of the link on which `$cbs` would answer.
pub(super) fn of_replies(namespace: &Namespace, error: ReceiverAttachError) -> Error {
    match &error {
        ReceiverAttachError::RemoteClosedWithError(told) => of_condition(namespace, "$cbs", told).error,
        ReceiverAttachError::SessionStopped(reason) => of_stop(namespace, "$cbs", reason),
        _ => lost(namespace).source(error.to_string()),
    }
}

/// Of a message whose fate is not known: the link was lost on which it was under way, or it never went out.
pub(super) fn of_send(namespace: &Namespace, entity: &str, error: SendError) -> Refusal {
    let told = match &error {
        SendError::MessageSizeExceeded(_) => return too_large(),
        SendError::LinkStateError(
            LinkStateError::RemoteClosedWithError(told) | LinkStateError::RemoteDetachedWithError(told),
        )
        | SendError::Detached(
            DetachError::RemoteClosedWithError(told) | DetachError::RemoteDetachedWithError(told),
        ) => Some(told),
        SendError::LinkStateError(LinkStateError::SessionStopped(reason))
        | SendError::Detached(DetachError::SessionStopped(reason)) => {
            return Refusal::new(of_stop(namespace, entity, reason), false).lost();
        }
        _ => None,
    };
    match told {
        Some(told) => of_condition(namespace, entity, told).lost(),
        None => Refusal::new(lost(namespace).source(error.to_string()), false).lost(),
    }
}

/// Of a message that was not accepted.
pub(super) fn of_outcome(namespace: &Namespace, entity: &str, outcome: &Outcome) -> Refusal {
    if let Outcome::Rejected(rejected) = outcome
        && let Some(told) = &rejected.error
    {
        return of_condition(namespace, entity, told);
    }
    let error = Error::unavailable(format!("`{entity}` has not accepted a message"))
        .hint("look at its limits of length and size");
    Refusal::new(error, false)
}

/// Of a token.
pub(super) fn of_token(namespace: &Namespace, entity: &str, status: i32) -> Error {
    let address = &namespace.broker.address;
    match status {
        401 | 403 => denied(namespace, entity),
        404 => missing(namespace, entity),
        _ => Error::unavailable(format!("`{address}` has not taken a token for `{entity}`: status {status}")),
    }
}

/// Of a service that takes its time.
pub(super) fn too_late(namespace: &Namespace) -> Error {
    let (address, seconds) = (&namespace.broker.address, PATIENCE.as_secs());
    Error::unavailable(format!("`{address}` has not answered within {seconds} seconds"))
}

/// Of a connection that is gone.
pub(super) fn lost(namespace: &Namespace) -> Error {
    Error::unavailable(format!("the connection to `{}` was lost", namespace.broker.address))
}

/// Of a message that is too large by itself.
pub(super) fn too_large() -> Refusal {
    let error = Error::data("the message is larger than the service takes").hint(
        "leave large columns out, or have such changes become dead letters: `on_error: dead-letter`; the premium tier takes up to 100 MiB",
    );
    Refusal::new(error, true)
}

fn of_stop(namespace: &Namespace, entity: &str, reason: &SessionStopReason) -> Error {
    match reason {
        SessionStopReason::RemoteEndedWithError(told)
        | SessionStopReason::ConnectionStopped(ConnectionStopReason::RemoteClosedWithError(told)) => {
            of_condition(namespace, entity, told).error
        }
        _ => lost(namespace),
    }
}

fn of_condition(namespace: &Namespace, entity: &str, told: &definitions::Error) -> Refusal {
    let name = symbol(&told.condition);
    let name = name.as_str();
    let (error, is_the_message) = match name {
        "amqp:not-found" | "amqp:resource-deleted" => (missing(namespace, entity), false),
        "amqp:unauthorized-access" | "com.microsoft:auth-failed" => (denied(namespace, entity), false),
        "amqp:link:message-size-exceeded" => return too_large(),
        "com.microsoft:argument-error" | "com.microsoft:argument-out-of-range" | "amqp:invalid-field" => {
            let error = Error::data(format!("`{entity}` does not take the message: `{name}`"))
                .hint("see what the queue or topic takes, and leave the rest out");
            (error, true)
        }
        "amqp:not-allowed" | "amqp:precondition-failed" => {
            let error = Error::config(format!("`{entity}` does not take messages such as ours: `{name}`"))
                .hint("where it requires sessions, say `session: key`");
            (error, false)
        }
        "com.microsoft:entity-disabled" => {
            let error = Error::config(format!("`{entity}` is disabled"))
                .hint(format!("enable it: `az servicebus queue update --name {entity} --status Active`, with the namespace and its resource group"));
            (error, false)
        }
        "com.microsoft:server-busy" => {
            (Error::unavailable(format!("`{}` is busy: it throttles us", namespace.broker.address)), false)
        }
        "amqp:resource-limit-exceeded" => {
            let error = Error::unavailable(format!("`{entity}` is full"))
                .hint("have its messages taken, or make it larger: `--max-size`");
            (error, false)
        }
        _ => (Error::unavailable(format!("`{entity}` has not taken what was sent: `{name}`")), false),
    };
    let description = told.description.clone().unwrap_or_default();
    Refusal::new(error.source(format!("{name}: {description}")), is_the_message)
}

fn missing(namespace: &Namespace, entity: &str) -> Error {
    let address = &namespace.broker.address;
    let error = Error::config(format!("`{address}` has no queue or topic `{entity}`"));
    match namespace.authentication {
        Authentication::Plain => error.hint("make it, and name it as the broker's addresses do"),
        Authentication::Cbs => {
            let host = address.host();
            let name = host.split('.').next().unwrap_or(host);
            error.hint(format!(
                "make it: `az servicebus queue create --resource-group GROUP --namespace-name {name} --name {entity}`"
            ))
        }
    }
}

fn denied(namespace: &Namespace, entity: &str) -> Error {
    let policy = &namespace.policy.name;
    Error::denied(format!("we may not send to `{entity}` by the policy `{policy}`"))
        .hint("check `shared_access_key`, and give the policy the right `Send`")
}

fn symbol(condition: &ErrorCondition) -> Symbol {
    match condition {
        ErrorCondition::AmqpError(condition) => condition.into(),
        ErrorCondition::ConnectionError(condition) => condition.into(),
        ErrorCondition::SessionError(condition) => condition.into(),
        ErrorCondition::LinkError(condition) => condition.into(),
        ErrorCondition::Custom(name) => name.clone(),
    }
}
