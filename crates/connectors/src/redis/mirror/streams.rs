//! What is known of the streams of a destination, and whose records stand under keys of which pattern.

use std::collections::HashMap;

use redis::{Cmd, cmd};
use serde::{Deserialize, Serialize};
use tidemark_engine::{
    Error, LogId, Result,
    schema::{StreamName, StreamSchema},
};

use super::{
    names::OURS,
    template::{KeyTemplate, Pattern},
};
use crate::redis::RecordForm;

/// Whose records stand under the keys of a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Owner {
    destination: String,
    stream: StreamName,
    #[serde(rename = "as")]
    form: RecordForm,
}

/// Whose records stand under the keys of which pattern, all over the database.
#[derive(Debug, Default)]
pub(super) struct Patterns(Vec<(Pattern, Owner)>);

/// What a destination knows of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    pub(super) log: LogId,
    /// The newest commit of the log whose changes the records have.
    pub(super) applied: u64,
    /// The commit up to which records may be gone, or newer than the position says, because a step that takes several transactions
    /// has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mixed_until: Option<u64>,
}

impl Patterns {
    /// What the server has noted.
    pub(super) fn read(fields: &HashMap<String, String>) -> Result<Self> {
        let read = |(text, owner): (&String, &String)| {
            let damaged = || {
                Error::conflict(format!("the hash `{OURS}` in Redis is damaged"))
                    .hint("restore the server's data from a backup")
            };
            let pattern = Pattern::parse(text).ok_or_else(damaged)?;
            Ok((pattern, serde_json::from_str(owner).map_err(|error| damaged().source(error))?))
        };
        fields.iter().map(read).collect::<Result<_>>().map(Self)
    }

    /// The pattern of `stream`, and whether it is to be noted.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Config`] where its records may stand under keys of others, or stand elsewhere.
    pub(super) fn claim(
        &mut self,
        schema: &StreamSchema,
        template: &KeyTemplate,
        destination: &str,
        form: RecordForm,
    ) -> Result<(Pattern, Option<Cmd>)> {
        let stream = schema.stream();
        if schema.key().is_empty() {
            let message =
                format!("stream `{stream}` has no key, and `mirror` tells records apart by their key");
            return Err(Error::config(message).hint(format!(
                "name its key with `streams: {{{stream}: {{key: [...]}}}}`, or use `write: append`"
            )));
        }
        let pattern = template.of(stream);
        let own = Owner { destination: destination.to_owned(), stream: stream.clone(), form };
        let mine = |owner: &Owner| owner.destination == own.destination && owner.stream == own.stream;
        if let Some((former, owner)) = self.0.iter().find(|(_, owner)| mine(owner)) {
            if *former != pattern || owner.form != form {
                let message = format!(
                    "destination `{destination}` keeps stream `{stream}` as a {} under `{}`",
                    owner.form.name(),
                    former.text()
                );
                return Err(Error::config(message)
                    .hint("give the destination a new name to keep it otherwise: it is filled anew from the staging log"));
            }
            return Ok((pattern, None));
        }
        if let Some((taken, owner)) = self.0.iter().find(|(taken, _)| taken.meets(&pattern)) {
            let message = format!(
                "records of stream `{stream}` under `{}` may get keys that destination `{}` has for stream `{}`, under `{}`",
                pattern.text(),
                owner.destination,
                owner.stream,
                taken.text()
            );
            return Err(Error::config(message).hint(format!(
                "choose another `key`; if that destination is no more, run: HDEL {OURS} '{}'",
                taken.text()
            )));
        }
        let noted = serde_json::to_string(&own);
        let noted =
            noted.map_err(|error| Error::internal("an owner cannot be written down").source(error))?;
        let mut note = cmd("HSET");
        note.arg(OURS).arg(pattern.text()).arg(noted);
        self.0.push((pattern.clone(), own));
        Ok((pattern, Some(note)))
    }
}

impl Known {
    /// What a server has noted of streams.
    pub(super) fn read(fields: &HashMap<String, String>) -> Result<HashMap<StreamName, Self>> {
        let read = |(stream, known): (&String, &String)| {
            let known = serde_json::from_str(known).map_err(|error| {
                Error::conflict(format!("what is noted of stream `{stream}` in Redis is damaged"))
                    .hint("restore the server's data from a backup")
                    .source(error)
            })?;
            Ok((StreamName::new(stream), known))
        };
        fields.iter().map(read).collect()
    }

    /// What notes it of `stream` under `key`.
    pub(super) fn note(&self, key: &str, stream: &StreamName) -> Result<Cmd> {
        let noted = serde_json::to_string(self);
        let noted = noted.map_err(|error| Error::internal("a stream cannot be noted").source(error))?;
        let mut note = cmd("HSET");
        note.arg(key).arg(stream.as_str()).arg(noted);
        Ok(note)
    }
}
