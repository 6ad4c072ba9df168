//! What a failure of Kafka asks for.

use std::{error::Error as _, io};

use krafka::error::{ArcError, ErrorCode, KrafkaError, ProtocolErrorKind};
use tidemark_engine::Error;

/// An error of the library as one of ours; `brokers` is where, for a person.
pub(super) fn failed(brokers: &str, error: KrafkaError) -> Error {
    let told = match &error {
        KrafkaError::Auth { source: Some(source), .. } if is_of_tls(source) => Error::config(format!(
            "the TLS handshake with `{brokers}` failed"
        ))
        .hint("name the authority that signed its certificate by `ca`, and connect by a name that it is for"),
        KrafkaError::Auth { .. } => not_let_in(brokers),
        KrafkaError::Config { .. } => {
            Error::config(format!("`{brokers}` cannot be spoken to as the pipeline file says"))
                .hint("see the cause")
        }
        KrafkaError::Protocol { kind: ProtocolErrorKind::UnknownApiVersion, .. } => {
            Error::config(format!("`{brokers}` does not have what is needed of Kafka's protocol"))
                .hint("use Apache Kafka 3.9 or later, or what speaks the same protocol")
        }
        KrafkaError::Broker { code, .. } => of_code(brokers, *code),
        KrafkaError::DeliveryTimeout { .. } => Error::unavailable(format!(
            "`{brokers}` has not taken the records in time"
        ))
        .hint("look at the brokers, and at whether enough replicas are in sync (`min.insync.replicas`)"),
        KrafkaError::OutOfOrderSequence { .. } => {
            Error::unavailable(format!("`{brokers}` has lost records that it had taken"))
                .hint("look for unclean elections of leaders in the brokers' logs")
        }
        _ => out_of_reach(brokers),
    };
    told.source(error)
}

/// Whether a record may be refused for what it is; with it are refused all that travel with it.
pub(super) fn is_of_a_record(error: &KrafkaError) -> bool {
    use ErrorCode as Code;
    let KrafkaError::Broker { code, .. } = error else { return false };
    matches!(
        code,
        Code::MessageTooLarge | Code::RecordListTooLarge | Code::InvalidRecord | Code::InvalidTimestamp
    )
}

/// There is no such topic.
pub(super) fn no_topic(brokers: &str, topic: &str) -> Error {
    let servers = brokers.replace("kafkas://", "").replace("kafka://", "");
    Error::config(format!("`{brokers}` has no topic `{topic}`")).hint(format!(
        "make it: `kafka-topics.sh --bootstrap-server {servers} --create --topic {topic}`, or have it made by `create_topics`"
    ))
}

fn of_code(brokers: &str, code: ErrorCode) -> Error {
    use ErrorCode as Code;
    match code {
        Code::TopicAuthorizationFailed => {
            Error::denied(format!("`{brokers}` does not let us write to the topic"))
                .hint("allow it: `kafka-acls.sh --add --allow-principal User:NAME --producer --topic TOPIC`")
        }
        Code::ClusterAuthorizationFailed => {
            Error::denied(format!("`{brokers}` does not let us do this to the cluster"))
                .hint("allow `IdempotentWrite` on the cluster, and `Create` where topics are to be made")
        }
        Code::SaslAuthenticationFailed => not_let_in(brokers),
        Code::UnsupportedSaslMechanism => {
            Error::config(format!("`{brokers}` does not take this `mechanism`"))
                .hint("use one that the listener has: `plain`, `scram-sha-256` or `scram-sha-512`")
        }
        Code::UnsupportedCompressionType => {
            Error::config(format!("`{brokers}` does not take records that are compressed like this"))
                .hint("set `compression: none`, or another that it takes")
        }
        Code::PolicyViolation | Code::InvalidPartitions | Code::InvalidReplicationFactor => {
            Error::config(format!("`{brokers}` does not make topics like this"))
                .hint("change `create_topics`, or make the topic by hand")
        }
        Code::MessageTooLarge | Code::RecordListTooLarge => {
            Error::data(format!("a record is larger than a topic of `{brokers}` takes"))
                .hint("raise `max.message.bytes` of the topic, or leave large columns out")
        }
        Code::InvalidRecord => Error::data(format!("a record is not valid for its topic at `{brokers}`"))
            .hint("give the stream a key where the topic is compacted, and look at the rules of the topic"),
        Code::InvalidTimestamp => Error::data(format!("a topic of `{brokers}` refuses the time of a record"))
            .hint("set `message.timestamp.type=LogAppendTime` for the topic"),
        _ => Error::unavailable(format!("`{brokers}` has not taken what was sent"))
            .hint("look at the brokers' logs"),
    }
}

fn not_let_in(brokers: &str) -> Error {
    Error::denied(format!("`{brokers}` does not let us in"))
        .hint("check `username`, `password` and `mechanism`, or `client_certificate`")
}

fn out_of_reach(brokers: &str) -> Error {
    Error::unavailable(format!("cannot reach `{brokers}`"))
        .hint("check the hosts and the ports, and that brokers listen there")
}

fn is_of_tls(cause: &ArcError) -> bool {
    let cause = cause.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    let cause = cause.and_then(io::Error::get_ref);
    cause.is_some_and(|cause| cause.is::<rustls::Error>())
}
