//! The closed list of systems. A new connector is one line in each of these lists.

use std::path::Path;

use schemars::JsonSchema;
use serde::Deserialize;
use tidemark_engine::{Cursor, Error, Result, read::ReadStrategy, schema::StreamName, write::WriteStrategy};

use super::{Discovered, Findings, HeldBack, Home, Place, Problem, Tables, Writing};
use crate::{
    comparing::{Original, Replica},
    files, postgres, sqlite,
};

/// What a pipeline reads from, by its `type`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum SourceConfig {
    Files(files::SourceConfig),
    Postgres(postgres::SourceConfig),
}

/// What a pipeline writes to, by its `type`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum DestinationConfig {
    Files(files::DestinationConfig),
    Postgres(postgres::DestinationConfig),
    Sqlite(sqlite::DestinationConfig),
}

/// What a pipeline file says of the streams of its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedStreams<'c> {
    /// Each by name, and whether it has a key.
    Listed(Vec<(&'c str, bool)>),
    /// The source decides what streams there are, and none has a key.
    Keyless,
    /// The source knows its streams and their keys; it has to be asked.
    Known,
}

impl SourceConfig {
    /// The word after `type:`.
    pub fn system(&self) -> &'static str {
        match self {
            Self::Files(_) => "files",
            Self::Postgres(_) => "postgres",
        }
    }

    /// Where it reads from, where relative paths begin at `folder`.
    pub fn place(&self, folder: &Path) -> Place {
        match self {
            Self::Files(files) => Place::path(&folder.join(&files.path)),
            Self::Postgres(postgres) => postgres.place(),
        }
    }

    /// What its part of the file says of its streams.
    pub fn streams(&self) -> NamedStreams<'_> {
        match self {
            Self::Files(files) => match files.streams.as_ref() {
                None | Some(files::Streams::Names(_)) => NamedStreams::Keyless,
                Some(files::Streams::Map(streams)) => NamedStreams::Listed(
                    streams.iter().map(|(name, stream)| (name.as_str(), !stream.key.is_empty())).collect(),
                ),
            },
            Self::Postgres(_) => NamedStreams::Known,
        }
    }

    /// Whether it reads its streams whole, from beginning to end, and says so in the log: only then is there ever anything for
    /// a mode that takes whole generations.
    pub fn has_generations(&self) -> bool {
        match self {
            Self::Files(_) => false,
            Self::Postgres(_) => true,
        }
    }

    /// Everything that is wrong with it as far as can be told without touching the source.
    pub fn validate(&self) -> Vec<Problem> {
        match self {
            Self::Files(files) => files.validate(),
            Self::Postgres(postgres) => postgres.validate(),
        }
    }

    /// Everything that would keep it from being read, as far as connecting tells. Changes nothing.
    pub async fn check(&self, home: &Home) -> Findings {
        match self {
            Self::Files(files) => match files::Source::new(files.clone(), &home.folder) {
                Ok(source) => source.check().await.into(),
                Err(error) => error.into(),
            },
            Self::Postgres(postgres) => match postgres::Source::new(postgres.clone(), &home.pipeline) {
                Ok(source) => source.check().await,
                Err(error) => error.into(),
            },
        }
    }

    /// What it offers, with up to `sample` records of each stream.
    pub async fn discover(&self, home: &Home, sample: usize) -> Result<Vec<Discovered>> {
        match self {
            Self::Files(files) => files::Source::new(files.clone(), &home.folder)?.discover(sample).await,
            Self::Postgres(postgres) => {
                postgres::Source::new(postgres.clone(), &home.pipeline)?.discover(sample).await
            }
        }
    }

    /// The tables that it reads; `None` where it has none that a destination could write to.
    pub async fn tables(&self, home: &Home) -> Result<Option<Tables>> {
        match self {
            Self::Files(_) => Ok(None),
            Self::Postgres(postgres) => {
                postgres::Source::new(postgres.clone(), &home.pipeline)?.read_tables().await.map(Some)
            }
        }
    }

    /// What its next run will do that a person should know of, where `cursor` is where the log stands. Changes nothing.
    pub async fn outlook(&self, home: &Home, cursor: &Cursor) -> Result<Vec<Error>> {
        match self {
            Self::Files(_) => Ok(Vec::new()),
            Self::Postgres(postgres) => {
                postgres::Source::new(postgres.clone(), &home.pipeline)?.outlook(cursor).await
            }
        }
    }

    /// The streams in the log with this cursor that are not read any more.
    pub fn left(&self, cursor: &Cursor) -> Result<Vec<StreamName>> {
        match self {
            Self::Files(_) => Ok(Vec::new()),
            Self::Postgres(_) => postgres::Source::left(cursor),
        }
    }

    /// A place in the source as its own words say it, as the bytes that places of changes compare with: all at or before it are at
    /// or before the bytes. `None` where it is no such place, or the source has none.
    pub fn source_position(&self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Files(_) => None,
            Self::Postgres(_) => postgres::source_position(text),
        }
    }

    /// How much of its log the source keeps for the pipeline; `None` where it keeps none.
    pub async fn held_back(&self, home: &Home) -> Result<Option<HeldBack>> {
        match self {
            Self::Files(_) => Ok(None),
            Self::Postgres(postgres) => {
                postgres::Source::new(postgres.clone(), &home.pipeline)?.held_back().await
            }
        }
    }

    /// What Tidemark has made at the source for the pipeline and is still there, for people to read.
    pub async fn made(&self, home: &Home) -> Result<Vec<String>> {
        match self {
            Self::Files(_) => Ok(Vec::new()),
            Self::Postgres(postgres) => {
                let made = postgres::Source::new(postgres.clone(), &home.pipeline)?.made().await?;
                Ok(made.iter().map(ToString::to_string).collect())
            }
        }
    }

    /// Removes it.
    pub async fn tear_down(&self, home: &Home) -> Result<()> {
        match self {
            Self::Files(_) => Ok(()),
            Self::Postgres(postgres) => {
                postgres::Source::new(postgres.clone(), &home.pipeline)?.tear_down().await
            }
        }
    }

    /// The source as it is compared with what became of it; `None` where that cannot be: what files hold changes as they grow, and
    /// no record can be asked for by its key.
    pub fn compared(&self, home: &Home) -> Result<Option<Box<dyn Original>>> {
        match self {
            Self::Files(_) => Ok(None),
            Self::Postgres(postgres) => {
                Ok(Some(Box::new(postgres::Source::new(postgres.clone(), &home.pipeline)?.compared())))
            }
        }
    }

    /// What reads it.
    pub fn strategy(&self, home: &Home) -> Result<Box<dyn ReadStrategy>> {
        match self {
            Self::Files(files) => Ok(Box::new(files::Source::new(files.clone(), &home.folder)?.strategy())),
            Self::Postgres(postgres) => {
                Ok(Box::new(postgres::Source::new(postgres.clone(), &home.pipeline)?.strategy()))
            }
        }
    }
}

impl DestinationConfig {
    /// The word after `type:`.
    pub fn system(&self) -> &'static str {
        match self {
            Self::Files(_) => "files",
            Self::Postgres(_) => "postgres",
            Self::Sqlite(_) => "sqlite",
        }
    }

    /// Where it writes to, where relative paths begin at `folder`.
    pub fn place(&self, folder: &Path) -> Place {
        match self {
            Self::Files(files) => Place::path(&folder.join(&files.path)),
            Self::Postgres(postgres) => postgres.place(),
            Self::Sqlite(sqlite) => Place::path(&folder.join(&sqlite.path)),
        }
    }

    /// Everything that is wrong with it, and with how it is to be written, as far as can be told without touching
    /// the destination.
    pub fn validate(&self, writing: &Writing) -> Vec<Problem> {
        match self {
            Self::Files(files) => files.validate(writing),
            Self::Postgres(postgres) => postgres.validate(writing),
            Self::Sqlite(sqlite) => sqlite.validate(),
        }
    }

    /// Everything that would keep it from being written to, as far as connecting tells. Changes nothing.
    pub async fn check(&self, home: &Home, writing: &Writing) -> Findings {
        match self {
            Self::Files(files) => files::Destination::check(files, &home.folder, writing).await.into(),
            Self::Postgres(postgres) => postgres::Destination::check(postgres, writing).await.into(),
            Self::Sqlite(sqlite) => sqlite::Destination::check(sqlite, &home.folder, writing).await.into(),
        }
    }

    /// Whether what it holds can be exchanged in one step for what was filled out of sight.
    pub fn exchanges(&self) -> bool {
        match self {
            Self::Files(_) => false,
            Self::Postgres(_) | Self::Sqlite(_) => true,
        }
    }

    /// The tables that `streams` go to; `None` where that cannot be what a source reads.
    pub async fn tables(&self, writing: &Writing, streams: &[StreamName]) -> Result<Option<Tables>> {
        match self {
            Self::Files(_) | Self::Sqlite(_) => Ok(None),
            Self::Postgres(postgres) => {
                postgres::Destination::written(postgres, writing, streams).await.map(Some)
            }
        }
    }

    /// What Tidemark keeps there beside the data, for people to read. What it keeps in files of its own goes with them.
    pub async fn made(&self, writing: &Writing) -> Result<Vec<String>> {
        match self {
            Self::Files(_) | Self::Sqlite(_) => Ok(Vec::new()),
            Self::Postgres(postgres) => postgres::Destination::leftovers(postgres, writing).await,
        }
    }

    /// Removes it. The data stays.
    pub async fn tear_down(&self, writing: &Writing) -> Result<()> {
        match self {
            Self::Files(_) | Self::Sqlite(_) => Ok(()),
            Self::Postgres(postgres) => postgres::Destination::teardown(postgres, writing).await.map(drop),
        }
    }

    /// The destination as it is compared with its source; `None` where its records cannot be asked for.
    pub fn compared(&self, home: &Home, writing: &Writing) -> Result<Option<Box<dyn Replica>>> {
        match self {
            Self::Files(_) => Ok(None),
            Self::Postgres(postgres) => {
                Ok(Some(Box::new(postgres::Destination::compared(postgres, writing.clone())?)))
            }
            Self::Sqlite(sqlite) => {
                Ok(Some(Box::new(sqlite::Destination::compared(sqlite, &home.folder, writing.clone()))))
            }
        }
    }

    /// What writes to it.
    pub fn strategy(&self, home: &Home, writing: &Writing) -> Result<Box<dyn WriteStrategy>> {
        let (folder, writing) = (&home.folder, writing.clone());
        match self {
            Self::Files(files) => Ok(Box::new(files::Destination::new(files, folder, writing))),
            Self::Postgres(postgres) => Ok(Box::new(postgres::Destination::new(postgres, writing)?)),
            Self::Sqlite(sqlite) => Ok(Box::new(sqlite::Destination::new(sqlite, folder, writing))),
        }
    }
}
