//! What the pipeline file says of files.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::Deserialize;
use tidemark_engine::write::WriteMode;

use crate::config::{ByteSize, Interval, Problem, Writing};

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
pub enum Streams {
    /// Names or globs over the streams there are.
    Names(Vec<String>),
    /// Each stream with its files and options.
    Map(BTreeMap<String, StreamConfig>),
}

/// One stream of files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
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
    /// What to do when a file that has been read holds other content now, and the old content is not found under
    /// another name. Default: `reread` with a key, `stop` without one. It is told by the first 1 KiB and the last 4 KiB
    /// of what was read: an edit between them that leaves these bytes and their place as they are is not seen.
    pub on_rewrite: Option<OnRewrite>,
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

/// A folder to write files into, one sub-folder a stream.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DestinationConfig {
    /// The folder, from the pipeline file's folder. Made when absent.
    pub path: PathBuf,
    /// The format of the files.
    #[serde(default)]
    pub format: DestinationFormat,
    /// How long to gather changes before a file is written, when they come slowly.
    #[serde(default = "default_linger")]
    pub linger: Interval,
    /// A file that reaches this size is closed and another begun.
    #[serde(default = "default_file_size")]
    pub file_size: ByteSize,
}

impl DestinationConfig {
    /// Everything that is wrong with it, and with how it is to be written, without touching the folder.
    pub fn validate(&self, writing: &Writing) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.path.as_os_str().is_empty() {
            problems
                .push(Problem::new(["path"], "the path is empty").hint("name a folder, such as `./archive`"));
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
        problems
    }
}

/// Below it the parts of a file that are not data weigh more than the data.
const MIN_FILE_SIZE: u64 = 1 << 20;

fn default_linger() -> Interval {
    Interval(Duration::from_secs(10))
}

fn default_file_size() -> ByteSize {
    ByteSize(64 << 20)
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
}
