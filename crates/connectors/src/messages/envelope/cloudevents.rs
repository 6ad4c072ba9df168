//! CloudEvents 1.0 (<https://github.com/cloudevents/spec>): the plain envelope as the data of an event.
//!
//! | Attribute | What |
//! |---|---|
//! | `id` | the change's id; with `source` it is unique, and the same in every delivery |
//! | `source` | by the pipeline file, else `/` and the log's id |
//! | `type` | `tidemark.read`, `tidemark.create`, `tidemark.update`, `tidemark.delete`, `tidemark.truncate` |
//! | `subject` | the stream's name |
//! | `time` | when the change was made, by the source's clock where that is known |

use tidemark_engine::{Result, change::Op};

use super::{CloudEvents, Content, ContentMode, plain};
use crate::messages::changes::{Change, string};

pub(super) fn content(events: &CloudEvents, change: &Change<'_>) -> Result<Content> {
    let data = plain::text(change)?;
    let source = events.source.clone().unwrap_or_else(|| format!("/{}", change.id().log));
    let time = match change.source_time() {
        Some(time) => time,
        None => change.time()?,
    };
    let attributes = [
        ("ce-specversion", "1.0".to_owned()),
        ("ce-id", change.id().to_string()),
        ("ce-source", source),
        ("ce-type", format!("tidemark.{}", word(change.op()))),
        ("ce-subject", change.stream().to_string()),
        ("ce-time", time.to_string()),
    ];
    let (part, op, key) = ("", change.op(), change.key());
    Ok(match events.mode {
        ContentMode::Binary => Content {
            part,
            op,
            key,
            headers: attributes.into(),
            content_type: "application/json",
            body: Some(data.into()),
        },
        ContentMode::Structured => {
            let member = |(name, value): &(&'static str, String)| {
                format!("\"{}\":{}", name.trim_start_matches("ce-"), string(value))
            };
            let members = attributes.iter().map(member).collect::<Vec<_>>().join(",");
            let body = format!("{{{members},\"datacontenttype\":\"application/json\",\"data\":{data}}}");
            let content_type = "application/cloudevents+json; charset=utf-8";
            Content { part, op, key, headers: Vec::new(), content_type, body: Some(body.into()) }
        }
    })
}

fn word(op: Op) -> &'static str {
    match op {
        Op::Read => "read",
        Op::Create => "create",
        Op::Update => "update",
        Op::Delete => "delete",
        Op::Truncate => "truncate",
    }
}
