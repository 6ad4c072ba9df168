//! Tidemark's own envelope: as a line of `tidemark changes --json`, with the key, and without the time of its commit.
//!
//! ```json
//! {"id":"4f2a…-000000000012-000000003","op":"u","stream":"public.orders","key":{"id":7},"time":"2024-02-01T09:30:00.000123Z",
//!  "source_time":"2024-02-01T09:30:00Z","source_position":"0000000016b374d8","transaction":"771",
//!  "values":{"id":7,"amount":12.50},"before":{"id":7,"amount":10.00}}
//! ```
//!
//! `values` are what the record has after the change, of a delete what is known of it before. A column that the change does not carry
//! is absent: it is as it was. `before` is there where the source told it.

use super::Content;
use crate::messages::changes::{Change, string};
use tidemark_engine::Result;

pub(super) fn content(change: &Change<'_>) -> Result<Content> {
    let body = Some(text(change)?.into());
    let (key, content_type) = (change.key(), "application/json");
    Ok(Content { part: "", op: change.op(), key, headers: Vec::new(), content_type, body })
}

pub(super) fn text(change: &Change<'_>) -> Result<String> {
    let key = change.key().unwrap_or_else(|| "null".to_owned());
    let or_null = |text: Option<String>| text.map_or("null".to_owned(), |text| string(&text));
    let (stream, source_time) =
        (string(change.stream().as_str()), or_null(change.source_time().map(|time| time.to_string())));
    let (position, transaction) =
        (or_null(change.source_position()), or_null(change.transaction().map(str::to_owned)));
    let before = change.before().map(|before| format!(",\"before\":{before}")).unwrap_or_default();
    Ok(format!(
        "{{\"id\":\"{}\",\"op\":\"{}\",\"stream\":{stream},\"key\":{key},\"time\":\"{}\",\"source_time\":{source_time},\
         \"source_position\":{position},\"transaction\":{transaction},\"values\":{}{before}}}",
        change.id(),
        change.op().as_str(),
        change.time()?,
        change.values(),
    ))
}
