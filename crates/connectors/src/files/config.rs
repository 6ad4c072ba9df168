//! What the pipeline file says of files.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use schemars::JsonSchema;
use serde::Deserialize;
use tidemark_engine::write::WriteMode;

use super::destination::Location;
use crate::config::{ByteSize, Interval, Place, Problem, Writing};

/// A folder of files. Each stream is the files that match its glob.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// The folder, from the pipeline file's folder.
    pub path: PathBuf,
    /// The streams, by name; or a list of names or globs of names. Left out: every CSV, JSON Lines and Parquet file of the
    /// folder is a stream named after it.
    #[serde(default)]
    pub streams: Option<Streams>,
    /// Texts that mean NULL in a CSV file, where they stand without quotes: `""` is an empty text.
    #[serde(default = "default_null_values")]
    pub null_values: Vec<String>,
    /// How often to look for new data while waiting for it.
    #[serde(default = "default_poll")]
    pub poll: Interval,
}

fn default_null_values() -> Vec<String> {
    vec![String::new()]
}

fn default_poll() -> Interval {
    Interval(Duration::from_secs(1))
}

/// Which streams to read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "FilesStreams")]
pub enum Streams {
    /// Names or globs over the streams there are.
    Names(Vec<String>),
    /// Each stream with its files and options.
    Map(BTreeMap<String, StreamConfig>),
}

/// One stream of files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "FilesStream")]
pub struct StreamConfig {
    /// A glob below the folder: `flights-*.csv`, `2013/**/*.parquet`. Left out: `NAME.*`.
    pub files: Option<String>,
    /// The format. Left out: by the file's extension.
    pub format: Option<SourceFormat>,
    /// The columns that tell records apart. Left out: the stream has no key. Their kinds are inferred as whole numbers, days or
    /// booleans, else as text, so that what is written differently stays apart; `types` may say more.
    pub key: Vec<String>,
    /// Columns to leave out.
    pub exclude: Vec<String>,
    /// Kinds by column, where the inferred one will not do: `int64`, `decimal(12,2)`, `text`, `timestamptz`, `json`, …
    pub types: BTreeMap<String, String>,
    /// What separates the fields of a CSV file; a single character. Default `,`.
    pub delimiter: Option<char>,
    /// How changes are found. Default: `append`.
    pub changes: ChangesConfig,
    /// With `changes: full-refresh`: columns whose change alone is none, such as the time of the export.
    pub ignore: Vec<String>,
    /// With `changes: full-refresh`: the share of all records, in percent, that may be gone from one look to the next. More stops the
    /// pipeline and deletes nothing. Default 20.
    #[schemars(range(min = 0, max = 100))]
    pub max_deletes: Option<u8>,
    /// With `changes: full-refresh`: how long nobody may have written to any of the files before they are read, since half an export
    /// looks like many records gone. Default `10s`.
    pub at_rest: Option<Interval>,
    /// What to do when a file that has been read holds other content now, and the old content is not found under
    /// another name. Default: `reread` with a key, `stop` without one. It is told by the first 1 KiB and the last 4 KiB
    /// of what was read: an edit between them that leaves these bytes and their place as they are is not seen.
    pub on_rewrite: Option<OnRewrite>,
}

/// How changes of a stream of files are found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "FilesChanges")]
pub enum ChangesConfig {
    /// What has been written stays: files grow, and new ones come. Each record is a change.
    #[default]
    Append,
    /// The files together are all there is, as with an export that is replaced every night: whenever one of them is another than before,
    /// all are read and compared. New records are created, others updated, those of which the key is not there any more deleted.
    FullRefresh,
}

/// The format of source files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SourceFormat {
    /// Comma-separated values with a header line (`.csv`).
    Csv,
    /// A JSON object a line (`.jsonl`, `.ndjson`).
    Jsonl,
    /// Apache Parquet (`.parquet`).
    Parquet,
}

/// What a file with new content under an old name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnRewrite {
    /// Read it from its beginning; its records are changes.
    Reread,
    /// Stop and ask.
    Stop,
}

/// A folder to write files into, here or in object storage, one sub-folder a stream or as a template says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DestinationConfig {
    /// The folder, from the pipeline file's folder, made when absent; or one in object storage: `az://container/folder`,
    /// `s3://bucket/folder`, `gs://bucket/folder`. From the first part with a placeholder on it says in which folders below the files of
    /// a change are: `./lake/{stream}/day={value.day}`. Placeholders: `{stream}`, `{op}`, `{value.COLUMN}`, `{date}` and `{hour}` of the
    /// commit (UTC). Without one: `{stream}`.
    pub path: String,
    /// The format of the files.
    #[serde(default)]
    pub format: DestinationFormat,
    /// How long to gather changes before a file is written, when they come slowly.
    #[serde(default = "default_linger")]
    pub linger: Interval,
    /// A file that reaches this size is closed and another begun.
    #[serde(default = "default_file_size")]
    pub file_size: ByteSize,
    /// To how many folders the changes that are written at once may go, where the path partitions them. More holds the stream.
    #[serde(default = "default_max_partitions")]
    #[schemars(range(min = 1, max = 10_000))]
    pub max_partitions: usize,
}

impl DestinationConfig {
    /// Everything that is wrong with it, and with how it is to be written, without touching the folder.
    pub fn validate(&self, writing: &Writing) -> Vec<Problem> {
        let mut problems = Vec::new();
        let location = Location::parse(&self.path);
        if let Err(error) = &location {
            problems.push(Problem::of("path", error));
        }
        if writing.mode != WriteMode::Append {
            let mode = writing.mode.as_str();
            let problem = Problem::new(
                ["write"],
                format!("files are never changed, so `{mode}` cannot be written to them"),
            );
            problems.push(problem.hint("use `write: append`: every change becomes a row"));
        }
        if self.file_size.0 < MIN_FILE_SIZE {
            let problem =
                Problem::new(["file_size"], format!("{} bytes is too small for a file", self.file_size.0));
            problems.push(problem.hint("use `1MiB` or more"));
        }
        if location.is_ok_and(|location| location.is_in_a_cloud()) && self.file_size.0 > MAX_OBJECT_SIZE {
            let problem =
                format!("{} bytes is too large for an object, which is sent in one piece", self.file_size.0);
            problems.push(Problem::new(["file_size"], problem).hint("use `256MiB` or less"));
        }
        if !(1..=MAX_PARTITIONS).contains(&self.max_partitions) {
            let problem = format!("{} is no sound number of partitions", self.max_partitions);
            problems.push(Problem::new(["max_partitions"], problem).hint("use 1 to 10000"));
        }
        problems
    }

    /// Where it writes to, where relative paths begin at `folder`.
    pub fn place(&self, folder: &Path) -> Place {
        // A path that cannot be read is told of by `validate`.
        Location::parse(&self.path)
            .map_or_else(|_| Place::path(&folder.join(&self.path)), |it| it.place(folder))
    }
}

/// Below it the parts of a file that are not data weigh more than the data.
const MIN_FILE_SIZE: u64 = 1 << 20;
/// An object is held in memory while it is sent.
const MAX_OBJECT_SIZE: u64 = 256 << 20;
const MAX_PARTITIONS: usize = 10_000;

fn default_linger() -> Interval {
    Interval(Duration::from_secs(10))
}

fn default_file_size() -> ByteSize {
    ByteSize(64 << 20)
}

fn default_max_partitions() -> usize {
    100
}

/// The format of written files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DestinationFormat {
    /// Apache Parquet.
    #[default]
    Parquet,
    /// A JSON object a line.
    Jsonl,
    /// Comma-separated values with a header line.
    Csv,
    /// An XML document.
    Xml,
}
