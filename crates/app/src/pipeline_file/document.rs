//! The keys of the pipeline file: what was typed. [`super::pipeline`] is what it means.

mod test;

use std::{borrow::Cow, path::PathBuf, time::Duration};

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use tidemark_connectors::config::{ByteSize, DestinationConfig, Interval, Secret, SourceConfig};
use tidemark_transforms::Step;

use super::schema::share_keys;

pub(super) use test::{Cell, Letter, Test, TestChange};

/// A pipeline: one source, one staging log, one or more destinations.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(title = "Tidemark pipeline")]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    /// The pipeline's name, and the name of its log: a new name is a new log.
    pub(super) name: Name,
    /// What to read.
    pub(super) source: SourceConfig,
    /// Where the staging log is kept: a folder, the URL of object storage, or the long form.
    #[serde(default)]
    pub(super) staging: Staging,
    /// When to read. Left out: always, where the source can wait for changes.
    #[serde(default)]
    pub(super) trigger: Trigger,
    /// What is done to changes before they are staged, in order.
    #[serde(default)]
    pub(super) transforms: Vec<Step>,
    /// What to write to, by names of your own. Under its name a destination keeps its position.
    #[schemars(extend("minProperties" = 1, "propertyNames" = {"$ref": "#/$defs/Name"}))]
    pub(super) destinations: IndexMap<String, Destination>,
    /// What the transforms are to make of changes: `tidemark test` holds them to it.
    #[serde(default)]
    pub(super) tests: Vec<Test>,
}

/// A word that is safe as part of a path, a table's name and a URL.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Name(pub(super) String);

impl JsonSchema for Name {
    fn schema_name() -> Cow<'static, str> {
        "Name".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$",
            "description": "a word of up to 63 letters, digits, `-` and `_` that begins with a letter or digit"
        })
    }
}

/// Where the staging log is kept unless it is said.
pub(super) const DEFAULT_URL: &str = "./staging";

/// Where the staging log is kept.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Staging {
    /// A folder, from the pipeline file's folder, or the URL of object storage.
    Url(String),
    /// That and how it is filled.
    Keys(Box<StagingKeys>),
}

/// The long form of `staging`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct StagingKeys {
    /// A folder, from the pipeline file's folder, or object storage: `az://container/folder`, `s3://bucket/folder`,
    /// `gs://bucket/folder`. Credentials come from the environment.
    #[schemars(with = "String", extend("default" = DEFAULT_URL))]
    pub(super) url: Option<String>,
    /// The former name of `url`.
    #[schemars(with = "String", extend("default" = DEFAULT_URL))]
    pub(super) path: Option<String>,
    /// The format of the data.
    pub(super) format: StagingFormat,
    /// No two commits in a shorter time than this, unless there is much to commit. Left out: `0s` in a folder, where a commit takes
    /// what came during the one before; `500ms` in object storage, where every commit costs.
    #[schemars(with = "Interval", extend("default" = "0s"))]
    pub(super) max_delay: Option<Interval>,
    /// How long changes may stay in commits before they are folded into files of `format`.
    pub(super) fold_after: Interval,
    /// How much memory changes may take on their way into the log.
    pub(super) memory: ByteSize,
    /// How much of the past is kept. Left out: all of it.
    pub(super) retention: Retention,
    /// Encrypts everything that is staged, under a key of yours. Left out: nothing is encrypted.
    pub(super) encryption: Option<Encryption>,
}

/// How much of the past the staging log keeps. What is dropped is kept as the state of each stream that has a key.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Retention {
    /// Changes that were staged longer ago are dropped. Left out: none for its age.
    pub(super) age: Option<Interval>,
    /// When changes take more than this, the oldest are dropped; that state comes on top. Left out: none for that.
    pub(super) size: Option<ByteSize>,
    /// What becomes of a destination that still needs what is to be dropped.
    pub(super) slow: Slow,
}

/// What becomes of a destination that still needs what is to be dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Slow {
    /// It is waited for: nothing that it needs is dropped.
    #[default]
    Wait,
    /// It stops with an error that says so, and has to be filled anew.
    Expire,
}

/// How what is staged is encrypted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Encryption {
    /// The key: 32 bytes as base64 or hexadecimal, such as `openssl rand -base64 32` prints. One of `key`, `key_file` and
    /// `key_command` is needed.
    pub(super) key: Option<Secret>,
    /// A file that holds the key, from the pipeline file's folder.
    pub(super) key_file: Option<PathBuf>,
    /// A program that prints the key, and its arguments.
    pub(super) key_command: Option<Vec<String>>,
    /// The keys before this one, each given in the same way. What they encrypted is taken over by the next run; after that they
    /// can go.
    #[serde(default)]
    pub(super) previous: Vec<PreviousKey>,
}

/// A key that staging was encrypted under before.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PreviousKey {
    /// The key itself.
    pub(super) key: Option<Secret>,
    /// A file that holds it.
    pub(super) key_file: Option<PathBuf>,
    /// A program that prints it, and its arguments.
    pub(super) key_command: Option<Vec<String>>,
}

/// The format of staged data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum StagingFormat {
    /// Apache Parquet: small, and readable by other tools.
    Parquet,
    /// JSON Lines, compressed with zstd: readable by every other tool.
    Jsonl,
    /// XML with its XML Schema inside, compressed with zstd.
    Xml,
    /// Arrow IPC: quick.
    Arrow,
}

impl Default for Staging {
    fn default() -> Self {
        Self::Keys(Box::default())
    }
}

impl Default for StagingKeys {
    fn default() -> Self {
        Self {
            url: None,
            path: None,
            format: StagingFormat::Parquet,
            max_delay: None,
            fold_after: Interval(Duration::from_secs(60 * 60)),
            memory: ByteSize(32 << 20),
            encryption: None,
            retention: Retention::default(),
        }
    }
}

/// When to read.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Trigger {
    /// In a word.
    Word(TriggerWord),
    /// To the source's end, on any of these occasions.
    Keys(Box<TriggerKeys>),
}

/// When to read, in a word.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum TriggerWord {
    /// Always: the source is waited for.
    Always,
    /// Only when asked by `tidemark trigger`: to the source's end.
    Demand,
}

/// The occasions on which the source is read to its end. `tidemark trigger` is always one.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TriggerKeys {
    /// From one reading to the next.
    pub(super) every: Option<Interval>,
    /// Times of the calendar, as cron writes them: minutes, hours, day of month, month, day of week; seconds may stand before them.
    pub(super) cron: Option<String>,
    /// The time zone of `cron`, by its name in the IANA database.
    #[serde(default)]
    #[schemars(with = "String", extend("default" = DEFAULT_TIMEZONE))]
    pub(super) timezone: Option<String>,
    /// Requests over HTTP.
    pub(super) webhook: Option<Webhook>,
}

/// The time zone of `cron` unless it is said.
pub(super) const DEFAULT_TIMEZONE: &str = "UTC";

/// Where to listen for requests to read: a POST is answered with 202, and the source is read.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Webhook {
    /// The address and port to listen at.
    pub(super) listen: String,
    /// The path of the URL to post to.
    #[serde(default = "default_path")]
    pub(super) path: String,
    /// What a request has to show, as `Authorization: Bearer …`. Needed where others than this machine can reach the address.
    pub(super) secret: Option<Secret>,
}

fn default_path() -> String {
    "/trigger".into()
}

impl Default for Trigger {
    fn default() -> Self {
        Self::Word(TriggerWord::Always)
    }
}

/// What every destination has, beside its system's own keys.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(transform = share_keys)]
pub(super) struct Destination {
    /// How changes are treated.
    pub(super) write: Write,
    /// How a stream's table or folder is called; `{stream}` stands for the stream's name.
    #[serde(default = "default_table")]
    pub(super) table: String,
    /// Whether a table that holds rows and was not made by Tidemark may be written to.
    #[serde(default)]
    pub(super) adopt: bool,
    /// What to do when a stream's schema changes at the source.
    #[serde(default)]
    pub(super) schema_change: SchemaChange,
    /// What to do with a record that cannot be written.
    #[serde(default)]
    pub(super) on_error: OnError,
    /// What to do when a stream is truncated at the source.
    #[serde(default)]
    pub(super) on_truncate: OnTruncate,
    /// Whether `run` writes to it. `false`: only `replay` does.
    #[serde(default = "default_live")]
    pub(super) live: bool,
    /// What is done to changes on their way from the log to this destination, in order.
    #[serde(default)]
    pub(super) transforms: Vec<Step>,
    #[serde(flatten)]
    pub(super) system: DestinationConfig,
}

fn default_table() -> String {
    "{stream}".into()
}

fn default_live() -> bool {
    true
}

/// How changes are treated.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Write {
    /// Every change becomes a row.
    Append,
    /// The destination looks like the source: upserts and hard deletes, by key.
    Mirror,
    /// Like `mirror`, but a deleted record stays, with the time it was deleted at.
    SoftDelete,
    /// Every version of every record, with the times it was valid from and to.
    History,
    /// The destination looks like the source did when it was last read whole; a new reading takes the former one's place at once.
    Replace,
}

/// What to do with a record that cannot be written.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OnError {
    /// Hold its stream until a person has seen to it; the others go on.
    #[default]
    Stop,
    /// Keep it as a dead letter, and with it what comes later of its key; the rest goes on.
    DeadLetter,
}

/// What to do when a stream's schema changes at the source.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum SchemaChange {
    /// Follow it: add columns and widen them, never drop or narrow one.
    #[default]
    Evolve,
    /// Leave new columns out; hold the stream when a column it has holds something else.
    Ignore,
    /// Hold the stream until a person decides; the others go on.
    Fail,
}

/// What to do when a stream is truncated at the source.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OnTruncate {
    /// It is a change like any other: a mirror is emptied.
    #[default]
    Apply,
    /// The records stay.
    Ignore,
    /// The stream is held until a person decides; the others go on.
    Stop,
}
