//! What the program asks of a source, before and beside reading it.

use std::path::Path;

use async_trait::async_trait;
use tidemark_engine::{Cursor, Error, Result, read::ReadStrategy, schema::StreamName};

use super::NamedStreams;
use crate::{
    comparing::Original,
    config::{Discovered, Findings, HeldBack, Home, Place, Problem, Tables},
};

/// A source as its part of the pipeline file describes it. What only some systems have is absent unless they say otherwise.
#[async_trait]
pub trait SourceSystem: Send + Sync {
    /// The word after `type:`.
    fn system(&self) -> &'static str;

    /// Where it reads from, where relative paths begin at `folder`.
    fn place(&self, folder: &Path) -> Place;

    /// What its part of the file says of its streams.
    fn streams(&self) -> NamedStreams<'_>;

    /// Everything that is wrong with it as far as can be told without touching the source.
    fn validate(&self) -> Vec<Problem>;

    /// Everything that would keep it from being read, as far as connecting tells. Changes nothing.
    async fn check(&self, home: &Home) -> Findings;

    /// What it offers, with up to `sample` records of each stream.
    async fn discover(&self, home: &Home, sample: usize) -> Result<Vec<Discovered>>;

    /// What reads it.
    fn strategy(&self, home: &Home) -> Result<Box<dyn ReadStrategy>>;

    /// Whether it reads its streams whole, from beginning to end, and says so in the log: only then is there ever anything for
    /// a mode that takes whole generations.
    fn has_generations(&self) -> bool {
        false
    }

    /// The tables that it reads; `None` where it has none that a destination could write to.
    async fn tables(&self, _home: &Home) -> Result<Option<Tables>> {
        Ok(None)
    }

    /// What its next run will do that a person should know of, where `cursor` is where the log stands. Changes nothing.
    async fn outlook(&self, _home: &Home, _cursor: &Cursor) -> Result<Vec<Error>> {
        Ok(Vec::new())
    }

    /// The streams in the log with this cursor that are not read any more.
    fn left(&self, _cursor: &Cursor) -> Result<Vec<StreamName>> {
        Ok(Vec::new())
    }

    /// A place in the source as its own words say it, as the bytes that places of changes compare with: all at or before it are at
    /// or before the bytes. `None` where it is no such place, or the source has none.
    fn source_position(&self, _text: &str) -> Option<Vec<u8>> {
        None
    }

    /// How much of its log the source keeps for the pipeline; `None` where it keeps none.
    async fn held_back(&self, _home: &Home) -> Result<Option<HeldBack>> {
        Ok(None)
    }

    /// What Tidemark has made at the source for the pipeline and is still there, for people to read.
    async fn made(&self, _home: &Home) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// Removes it.
    async fn tear_down(&self, _home: &Home) -> Result<()> {
        Ok(())
    }

    /// The source as it is compared with what became of it; `None` where that cannot be: what files hold changes as they grow, and
    /// no record can be asked for by its key.
    fn compared(&self, _home: &Home) -> Result<Option<Box<dyn Original>>> {
        Ok(None)
    }
}
