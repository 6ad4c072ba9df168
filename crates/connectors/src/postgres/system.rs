//! What the program asks of PostgreSQL.

use std::path::Path;

use async_trait::async_trait;
use tidemark_engine::{
    Cursor, Error, Result, log::Ledger, read::ReadStrategy, schema::StreamName, write::WriteStrategy,
};

use super::{Destination, DestinationConfig, QueryConfig, QuerySource, Source, SourceConfig, lsn::Lsn};
use crate::{
    comparing::{Original, Replica},
    config::{
        DestinationSystem, Discovered, Findings, HeldBack, Home, NamedStreams, Place, Problem, SourceSystem,
        Tables, Writing,
    },
};

#[async_trait]
impl SourceSystem for SourceConfig {
    fn system(&self) -> &'static str {
        "postgres"
    }

    fn place(&self, _folder: &Path) -> Place {
        self.place()
    }

    fn streams(&self) -> NamedStreams<'_> {
        NamedStreams::Known
    }

    fn validate(&self) -> Vec<Problem> {
        self.validate()
    }

    async fn check(&self, home: &Home) -> Findings {
        match Source::new(self.clone(), &home.pipeline) {
            Ok(source) => source.check().await,
            Err(error) => error.into(),
        }
    }

    async fn discover(&self, home: &Home, sample: usize) -> Result<Vec<Discovered>> {
        Source::new(self.clone(), &home.pipeline)?.discover(sample).await
    }

    fn strategy(&self, home: &Home) -> Result<Box<dyn ReadStrategy>> {
        Ok(Box::new(Source::new(self.clone(), &home.pipeline)?.strategy()))
    }

    fn has_generations(&self) -> bool {
        true
    }

    async fn tables(&self, home: &Home) -> Result<Option<Tables>> {
        Source::new(self.clone(), &home.pipeline)?.read_tables().await.map(Some)
    }

    async fn outlook(&self, home: &Home, cursor: &Cursor) -> Result<Vec<Error>> {
        Source::new(self.clone(), &home.pipeline)?.outlook(cursor).await
    }

    fn left(&self, cursor: &Cursor) -> Result<Vec<StreamName>> {
        Source::left(cursor)
    }

    fn source_position(&self, text: &str) -> Option<Vec<u8>> {
        let lsn: Lsn = text.parse().ok()?;
        // A change's place is that of its transaction's commit, and then its number in it.
        Some([lsn.to_bytes(), [0xff; 8]].concat())
    }

    async fn held_back(&self, home: &Home) -> Result<Option<HeldBack>> {
        Source::new(self.clone(), &home.pipeline)?.held_back().await
    }

    async fn made(&self, home: &Home) -> Result<Vec<String>> {
        let made = Source::new(self.clone(), &home.pipeline)?.made().await?;
        Ok(made.iter().map(ToString::to_string).collect())
    }

    async fn tear_down(&self, home: &Home) -> Result<()> {
        Source::new(self.clone(), &home.pipeline)?.tear_down().await
    }

    fn compared(&self, home: &Home) -> Result<Option<Box<dyn Original>>> {
        Ok(Some(Box::new(Source::new(self.clone(), &home.pipeline)?.compared())))
    }
}

#[async_trait]
impl SourceSystem for QueryConfig {
    fn system(&self) -> &'static str {
        "postgres-query"
    }

    fn place(&self, _folder: &Path) -> Place {
        self.place()
    }

    fn streams(&self) -> NamedStreams<'_> {
        NamedStreams::asked(&self.streams)
    }

    fn validate(&self) -> Vec<Problem> {
        self.validate()
    }

    async fn check(&self, _home: &Home) -> Findings {
        match QuerySource::new(self.clone()) {
            Ok(source) => source.check().await,
            Err(error) => error.into(),
        }
    }

    async fn discover(&self, _home: &Home, sample: usize) -> Result<Vec<Discovered>> {
        QuerySource::new(self.clone())?.discover(sample).await
    }

    fn strategy(&self, _home: &Home) -> Result<Box<dyn ReadStrategy>> {
        Ok(Box::new(QuerySource::new(self.clone())?.strategy()))
    }

    async fn tables(&self, _home: &Home) -> Result<Option<Tables>> {
        QuerySource::new(self.clone())?.read_tables().await.map(Some)
    }
}

#[async_trait]
impl DestinationSystem for DestinationConfig {
    fn system(&self) -> &'static str {
        "postgres"
    }

    fn place(&self, _folder: &Path) -> Place {
        self.place()
    }

    fn validate(&self, writing: &Writing) -> Vec<Problem> {
        self.validate(writing)
    }

    async fn check(&self, _home: &Home, writing: &Writing) -> Findings {
        Destination::check(self, writing).await.into()
    }

    fn strategy(&self, _home: &Home, writing: &Writing, _ledger: Ledger) -> Result<Box<dyn WriteStrategy>> {
        Ok(Box::new(Destination::new(self, writing.clone())?))
    }

    fn exchanges(&self) -> bool {
        true
    }

    async fn tables(&self, writing: &Writing, streams: &[StreamName]) -> Result<Option<Tables>> {
        Destination::written(self, writing, streams).await.map(Some)
    }

    async fn made(&self, writing: &Writing) -> Result<Vec<String>> {
        Destination::leftovers(self, writing).await
    }

    async fn tear_down(&self, writing: &Writing) -> Result<()> {
        Destination::teardown(self, writing).await.map(drop)
    }

    fn compared(&self, _home: &Home, writing: &Writing) -> Result<Option<Box<dyn Replica>>> {
        Ok(Some(Box::new(Destination::compared(self, writing.clone())?)))
    }
}
