//! The closed list of systems. A new connector is one line in each of these lists.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use tidemark_engine::{Error, Result, read::ReadStrategy, write::WriteStrategy};

use super::{Problem, Writing};
use crate::{
    files::{self, Discovered},
    sqlite,
};

/// What a pipeline reads from, by its `type`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum SourceConfig {
    Files(files::SourceConfig),
}

/// What a pipeline writes to, by its `type`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum DestinationConfig {
    Files(files::DestinationConfig),
    Sqlite(sqlite::DestinationConfig),
}

impl SourceConfig {
    /// The word after `type:`.
    pub fn system(&self) -> &'static str {
        match self {
            Self::Files(_) => "files",
        }
    }

    /// Where it reads from, where relative paths begin at `base`. Of two sources or destinations of one system, equal
    /// places are the same data.
    pub fn place(&self, base: &Path) -> PathBuf {
        match self {
            Self::Files(files) => base.join(&files.path),
        }
    }

    /// The streams that it names, and whether each has a key; `None` when the source decides what streams there are, which
    /// then have none.
    pub fn streams(&self) -> Option<Vec<(&str, bool)>> {
        match self {
            Self::Files(files) => match files.streams.as_ref()? {
                files::Streams::Names(_) => None,
                files::Streams::Map(streams) => Some(
                    streams.iter().map(|(name, stream)| (name.as_str(), !stream.key.is_empty())).collect(),
                ),
            },
        }
    }

    /// Everything that is wrong with it as far as can be told without touching the source.
    pub fn validate(&self) -> Vec<Problem> {
        match self {
            Self::Files(files) => files.validate(),
        }
    }

    /// Everything that would keep it from being read, as far as connecting tells. Changes nothing.
    pub async fn check(&self, base: &Path) -> Vec<Error> {
        match self {
            Self::Files(files) => match files::Source::new(files.clone(), base) {
                Ok(source) => source.check().await,
                Err(error) => vec![error],
            },
        }
    }

    /// What it offers, with up to `sample` records of each stream.
    pub async fn discover(&self, base: &Path, sample: usize) -> Result<Vec<Discovered>> {
        match self {
            Self::Files(files) => files::Source::new(files.clone(), base)?.discover(sample).await,
        }
    }

    /// What reads it.
    pub fn strategy(&self, base: &Path) -> Result<Box<dyn ReadStrategy>> {
        match self {
            Self::Files(files) => Ok(Box::new(files::Source::new(files.clone(), base)?.strategy())),
        }
    }
}

impl DestinationConfig {
    /// The word after `type:`.
    pub fn system(&self) -> &'static str {
        match self {
            Self::Files(_) => "files",
            Self::Sqlite(_) => "sqlite",
        }
    }

    /// Where it writes to, where relative paths begin at `base`. Of two sources or destinations of one system, equal
    /// places are the same data.
    pub fn place(&self, base: &Path) -> PathBuf {
        match self {
            Self::Files(files) => base.join(&files.path),
            Self::Sqlite(sqlite) => base.join(&sqlite.path),
        }
    }

    /// Everything that is wrong with it, and with how it is to be written, as far as can be told without touching
    /// the destination.
    pub fn validate(&self, writing: &Writing) -> Vec<Problem> {
        match self {
            Self::Files(files) => files.validate(writing),
            Self::Sqlite(sqlite) => sqlite.validate(),
        }
    }

    /// Everything that would keep it from being written to, as far as connecting tells. Changes nothing.
    pub async fn check(&self, base: &Path, writing: &Writing) -> Vec<Error> {
        match self {
            Self::Files(files) => files::Destination::check(files, base, writing).await,
            Self::Sqlite(sqlite) => sqlite::Destination::check(sqlite, base, writing).await,
        }
    }

    /// What writes to it.
    pub fn strategy(&self, base: &Path, writing: &Writing) -> Result<Box<dyn WriteStrategy>> {
        match self {
            Self::Files(files) => Ok(Box::new(files::Destination::new(files, base, writing.clone()))),
            Self::Sqlite(sqlite) => Ok(Box::new(sqlite::Destination::new(sqlite, base, writing.clone()))),
        }
    }
}
