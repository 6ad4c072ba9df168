//! What every destination is told about how to write, whatever its system.

use tidemark_engine::{schema::StreamName, write::WriteMode};

use super::Problem;

/// The keys that all destinations share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writing {
    /// The destination's name in the pipeline file; under it the destination keeps its position.
    pub destination: String,
    /// How changes are treated.
    pub mode: WriteMode,
    /// How a stream's table or folder is called.
    pub table: TableName,
    /// Whether a non-empty table that Tidemark did not make may be written to.
    pub adopt: bool,
    /// Whether what is written stays out of sight, in shadows of the destination's tables and under a position of its own, until
    /// it takes the destination's place ([`take_place`](tidemark_engine::write::WriteStrategy::take_place)).
    pub shadow: bool,
}

/// A naming template: text in which `{stream}` stands for the stream's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableName(String);

impl TableName {
    const STREAM: &str = "{stream}";

    /// The template `text`.
    ///
    /// Fails when it has a placeholder other than `{stream}`.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let rest = text.replace(Self::STREAM, "");
        if rest.contains(['{', '}']) {
            let problem = Problem::new(["table"], format!("`{text}` has an unknown placeholder"));
            return Err(problem.hint("use `{stream}`, which stands for the stream's name"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The name for `stream`.
    pub fn of(&self, stream: &StreamName) -> String {
        self.0.replace(Self::STREAM, stream.as_str())
    }
}

impl Default for TableName {
    fn default() -> Self {
        Self(Self::STREAM.to_owned())
    }
}
