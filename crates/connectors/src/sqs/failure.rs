//! What the service's errors mean: "Common errors" and "SendMessageBatch" of the API reference.

use tidemark_engine::Error;

use crate::{http::client::Failure, messages::Undelivered};

/// The error of a request for `queue` that was refused as a whole, of `messages` messages.
pub(super) fn of_request(queue: &str, messages: usize, failure: Failure) -> Undelivered {
    let code = failure.code.clone().unwrap_or_default();
    let code = code.trim_start_matches("AWS.SimpleQueueService.");
    match code {
        "QueueDoesNotExist" | "NonExistentQueue" | "QueueDeletedRecently" => no_queue(queue).into(),
        code if code.contains("Throttl") || matches!(code, "OverLimit" | "SlowDown" | "ServiceUnavailable") => {
            Error::unavailable(Error::from(failure).message()).into()
        }
        code if is_denied(code) => Error::denied(Error::from(failure).message())
            .hint("check the keys and the region, and grant them `sqs:SendMessage` on the queue, with a key of KMS also `kms:GenerateDataKey`")
            .into(),
        "BatchRequestTooLong" | "InvalidMessageContents" | "InvalidParameterValue" | "InvalidParameterValueException" => {
            let error = Error::data(Error::from(failure).message()).hint(
                "see what the queue takes (`MaximumMessageSize`, and the characters of XML), and leave the rest out",
            );
            // Which one of several, only sending each alone tells.
            Undelivered { taken: 0, is_the_message: messages == 1, error }
        }
        _ => Error::from(failure).into(),
    }
}

/// Whether whoever asks may only send, which is enough.
pub(super) fn may_only_send(failure: &Failure) -> bool {
    failure.code.as_deref().is_some_and(|code| code.starts_with("AccessDenied"))
}

fn is_denied(code: &str) -> bool {
    let names = [
        "AccessDenied",
        "InvalidClientTokenId",
        "SignatureDoesNotMatch",
        "UnrecognizedClient",
        "ExpiredToken",
    ];
    let others = ["IncompleteSignature", "MissingAuthenticationToken", "InvalidSecurity", "KmsAccessDenied"];
    names.iter().chain(&others).any(|name| code.starts_with(name))
}

fn no_queue(queue: &str) -> Error {
    let name = queue.rsplit('/').next().unwrap_or_default();
    let fifo = if name.ends_with(".fifo") { " --attributes FifoQueue=true" } else { "" };
    Error::config(format!("there is no queue `{queue}`"))
        .hint(format!("make it: `aws sqs create-queue --queue-name {name}{fifo}`"))
}
