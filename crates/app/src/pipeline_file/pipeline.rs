//! What a pipeline file means, with every default filled in.

use std::{path::PathBuf, time::Duration};

use tidemark_connectors::{
    config::{DestinationConfig, Home, Secret, SourceConfig, Writing},
    object_stores::StoreUrl,
};
use tidemark_engine::{
    Error, Result,
    codec::Format,
    log::Retention,
    write::{OnError, OnTruncate, Plan, SchemaPolicy},
};

use super::{closest, did_you_mean, origin::Origin};

/// A sound pipeline.
#[derive(Debug, Clone)]
pub(crate) struct Pipeline {
    /// The name of its log.
    pub(crate) name: String,
    /// Where it lives: what its source and destinations know of it.
    pub(crate) home: Home,
    /// What it reads.
    pub(crate) source: SourceConfig,
    /// Where its log is.
    pub(crate) staging: Staging,
    /// When it reads.
    pub(crate) trigger: Trigger,
    /// What it writes to, by name.
    pub(crate) destinations: Vec<Destination>,
    /// The file it was read from.
    pub(crate) origin: Origin,
}

/// Where the log is, and how it is filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Staging {
    pub(crate) place: StagingPlace,
    pub(crate) format: Format,
    /// How long a change may wait for others before it is committed.
    pub(crate) max_delay: Duration,
    /// How long changes may stay in commits before they are folded into files of `format`.
    pub(crate) fold_after: Duration,
    /// Bytes that changes may take on their way into the log.
    pub(crate) memory: u64,
    /// How much of the past is kept.
    pub(crate) retention: Retention,
    /// What it is encrypted with.
    pub(crate) encryption: Option<Encryption>,
}

/// Where the keys of a log are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Encryption {
    pub(crate) key: KeySource,
    /// Those before it.
    pub(crate) previous: Vec<KeySource>,
}

/// Where a key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeySource {
    /// In the pipeline file, or in a variable that it names.
    Typed(Secret),
    /// In a file; a relative path begins at the working folder.
    File(PathBuf),
    /// A program prints it. The program and its arguments.
    Command(Vec<String>),
}

/// What holds the logs of pipelines, a folder for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StagingPlace {
    /// A folder of this machine; a relative one begins at the working folder.
    Folder(PathBuf),
    /// A bucket of a cloud, or a folder in it.
    Objects(StoreUrl),
}

/// When the source is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// Always: the source is waited for.
    Always,
    /// To its end, again and again, with this much time from one start to the next.
    Every(Duration),
}

/// One destination.
#[derive(Debug, Clone)]
pub(crate) struct Destination {
    /// How to write, whatever the system; its name is in here.
    pub(crate) writing: Writing,
    /// What it does when a stream's schema changes at the source.
    pub(crate) schema_change: SchemaPolicy,
    /// What it does with a change that it cannot take.
    pub(crate) on_error: OnError,
    /// What it does when a stream is truncated at the source.
    pub(crate) on_truncate: OnTruncate,
    /// Whether `run` writes to it; otherwise only `replay` does.
    pub(crate) live: bool,
    /// The system.
    pub(crate) system: DestinationConfig,
}

impl Pipeline {
    /// The destination that is called `name`.
    pub(crate) fn destination(&self, name: &str) -> Result<&Destination> {
        let names = self.destinations.iter().map(|it| it.writing.destination.as_str()).collect::<Vec<_>>();
        let found = self.destinations.iter().find(|it| it.writing.destination == name);
        found.ok_or_else(|| {
            let hint = match closest(name, &names) {
                Some(closest) => did_you_mean(closest),
                None => format!("choose from: {}", names.join(", ")),
            };
            Error::config(format!("the pipeline has no destination `{name}`")).hint(hint)
        })
    }
}

impl Destination {
    /// How everything is played to it from the beginning.
    pub(crate) fn plan(&self) -> Plan {
        let Self { writing, schema_change, on_error, on_truncate, .. } = self;
        let (schema_change, on_error, on_truncate) = (*schema_change, *on_error, *on_truncate);
        Plan { schema_change, on_error, on_truncate, ..Plan::new(writing.mode) }
    }
}
