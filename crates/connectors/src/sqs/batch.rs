//! What goes into one request, and what came of it: "SendMessageBatch" of the API reference.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tidemark_engine::{Error, Result};

use crate::messages::Message;

/// Messages of one request.
pub(super) const LARGEST_BATCH: usize = 10;
/// Bytes of one request and of one message. Queues from before August 2025 take 256 KiB unless told otherwise.
pub(super) const LARGEST: usize = 1 << 20;
/// What every queue takes.
pub(super) const USUAL: usize = 256 << 10;

/// Cuts `batch` into what may go together: messages of one queue, and of a FIFO queue one of each group, so that none can be taken while one
/// before it in its group is not.
pub(super) fn cut(batch: &[Message], is_fifo: bool) -> Vec<&[Message]> {
    let (mut cuts, mut begin, mut groups) = (Vec::new(), 0, BTreeSet::new());
    for (at, message) in batch.iter().enumerate() {
        let fits = batch[begin].place == message.place && (!is_fifo || !groups.contains(&message.lane));
        if !fits {
            cuts.push(&batch[begin..at]);
            (begin, groups) = (at, BTreeSet::new());
        }
        groups.insert(message.lane);
    }
    cuts.extend(batch.get(begin..).filter(|rest| !rest.is_empty()));
    cuts
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Request<'a> {
    queue_url: &'a str,
    entries: Vec<Entry<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry<'a> {
    id: String,
    message_body: &'a str,
    message_attributes: BTreeMap<&'a str, Attribute<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_group_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_deduplication_id: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Attribute<'a> {
    data_type: &'static str,
    string_value: &'a str,
}

/// The request that sends those of `messages` that are in `which`.
pub(super) fn request(
    messages: &[Message],
    which: &[usize],
    is_fifo: bool,
    delay: Option<u64>,
) -> Result<String> {
    let entry = |at: &usize| {
        let message = messages.get(*at).ok_or_else(|| Error::internal("a message is not of its batch"))?;
        let body = message.body.as_deref().unwrap_or_default();
        let body = std::str::from_utf8(body)
            .map_err(|error| Error::internal("an envelope is no text").source(error))?;
        let own = [
            ("id", message.id.as_str()),
            ("op", message.op.as_str()),
            ("stream", message.stream.as_str()),
            ("content-type", message.content_type),
        ];
        let told = message.headers.iter().map(|(name, value)| (*name, value.as_str()));
        let attributes = own.into_iter().chain(told).filter(|(_, value)| !value.is_empty());
        let attribute = |(name, value)| (name, Attribute { data_type: "String", string_value: value });
        Ok(Entry {
            id: at.to_string(),
            message_body: body,
            message_attributes: attributes.map(attribute).collect(),
            delay_seconds: delay,
            // The key's own text may be longer than a name of a group.
            message_group_id: is_fifo.then(|| format!("{:016x}", message.lane)),
            message_deduplication_id: is_fifo.then_some(message.id.as_str()),
        })
    };
    let entries = which.iter().map(entry).collect::<Result<Vec<_>>>()?;
    let queue_url = messages.first().map(|message| message.place.as_str()).unwrap_or_default();
    serde_json::to_string(&Request { queue_url, entries })
        .map_err(|error| Error::internal("a request cannot be written").source(error))
}

/// What came of each message.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Outcome {
    #[serde(default)]
    successful: Vec<Taken>,
    #[serde(default)]
    failed: Vec<Refused>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Taken {
    id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Refused {
    id: String,
    #[serde(default)]
    sender_fault: bool,
    #[serde(default)]
    code: String,
}

/// A message that was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Left {
    pub(super) at: usize,
    /// Whether that is for what it says.
    pub(super) is_at_fault: bool,
    /// The service's word for it.
    pub(super) code: String,
}

/// Which of those in `which` were not taken, by an answer. One that it does not speak of was not.
pub(super) fn left(answer: &[u8], which: &[usize]) -> Result<Vec<Left>> {
    let outcome: Outcome = serde_json::from_slice(answer)
        .map_err(|error| Error::unavailable("SQS answered a batch with something else").source(error))?;
    let taken: BTreeSet<&str> = outcome.successful.iter().map(|it| it.id.as_str()).collect();
    let refused: BTreeMap<&str, &Refused> = outcome.failed.iter().map(|it| (it.id.as_str(), it)).collect();
    let left = |at: &usize| {
        let id = at.to_string();
        if taken.contains(id.as_str()) {
            return None;
        }
        let refused = refused.get(id.as_str());
        Some(Left {
            at: *at,
            is_at_fault: refused.is_some_and(|refused| refused.sender_fault),
            code: refused.map_or("no word of it".to_owned(), |refused| word(&refused.code)),
        })
    };
    Ok(which.iter().filter_map(left).collect())
}

/// A code is a word; anything else may repeat what was sent.
fn word(code: &str) -> String {
    let sound = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if code.len() <= 80 && code.chars().all(sound) { code.to_owned() } else { "unknown".to_owned() }
}

#[cfg(test)]
mod tests {
    use tidemark_engine::{Time, change::Op, schema::StreamName};

    use super::*;

    fn message(place: &str, lane: u64) -> Message {
        Message {
            id: format!("log-1-{lane}"),
            stream: StreamName::new("orders"),
            op: Op::Create,
            time: Time::EPOCH,
            key: None,
            lane,
            place: place.to_owned(),
            headers: vec![("ce-id", "x".to_owned()), ("ce-source", String::new())],
            content_type: "application/json",
            body: Some("{}".into()),
            sequence: 1,
            ordinal: lane,
        }
    }

    #[test]
    fn of_a_group_one_message_goes_at_a_time_and_a_request_is_of_one_queue() {
        let batch = [("a", 1), ("a", 2), ("a", 1), ("a", 3), ("b", 3), ("b", 4)]
            .map(|(place, lane)| message(place, lane));
        let lengths = |is_fifo| cut(&batch, is_fifo).iter().map(|cut| cut.len()).collect::<Vec<_>>();
        assert_eq!(lengths(true), [2, 2, 2]);
        assert_eq!(lengths(false), [4, 2]);
        assert!(cut(&[], true).is_empty());
    }

    #[test]
    fn a_request_is_as_the_reference_has_it() {
        let batch = [message("https://sqs/1/a.fifo", 7), message("https://sqs/1/a.fifo", 8)];
        let request: serde_json::Value =
            serde_json::from_str(&request(&batch, &[1], true, None).unwrap()).unwrap();
        assert_eq!(request["QueueUrl"], "https://sqs/1/a.fifo");
        let entry = &request["Entries"][0];
        assert_eq!((&entry["Id"], &entry["MessageBody"]), (&"1".into(), &"{}".into()));
        assert_eq!(
            (&entry["MessageGroupId"], &entry["MessageDeduplicationId"]),
            (&"0000000000000008".into(), &"log-1-8".into())
        );
        assert_eq!(
            entry["MessageAttributes"]["op"],
            serde_json::json!({"DataType": "String", "StringValue": "c"})
        );
        assert_eq!(entry["MessageAttributes"]["ce-source"], serde_json::Value::Null);
        assert!(entry.get("DelaySeconds").is_none());
    }

    #[test]
    fn what_was_not_taken_is_told_one_by_one() {
        let answer = br#"{"Successful": [{"Id": "0", "MessageId": "m"}], "Failed": [
            {"Id": "2", "SenderFault": true, "Code": "InvalidMessageContents", "Message": "secret"},
            {"Id": "3", "SenderFault": false, "Code": "not a word"}]}"#;
        let left = left(answer, &[0, 1, 2, 3]).unwrap();
        let told: Vec<_> = left.iter().map(|left| (left.at, left.is_at_fault, left.code.as_str())).collect();
        assert_eq!(
            told,
            [(1, false, "no word of it"), (2, true, "InvalidMessageContents"), (3, false, "unknown")]
        );
        assert!(super::left(b"no JSON", &[0]).is_err());
    }
}
