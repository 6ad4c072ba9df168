//! What the program asks of SQLite.

use std::path::Path;

use async_trait::async_trait;
use tidemark_engine::{Result, log::Ledger, read::ReadStrategy, write::WriteStrategy};

use super::{Destination, DestinationConfig, Source, SourceConfig};
use crate::{
    comparing::Replica,
    config::{
        DestinationSystem, Discovered, Findings, Home, NamedStreams, Place, Problem, SourceSystem, Writing,
    },
};

#[async_trait]
impl SourceSystem for SourceConfig {
    fn system(&self) -> &'static str {
        "sqlite"
    }

    fn place(&self, folder: &Path) -> Place {
        Place::path(&folder.join(&self.path))
    }

    fn streams(&self) -> NamedStreams<'_> {
        NamedStreams::asked(&self.streams)
    }

    fn validate(&self) -> Vec<Problem> {
        self.validate()
    }

    async fn check(&self, home: &Home) -> Findings {
        Source::new(self.clone(), &home.folder).check().await
    }

    async fn discover(&self, home: &Home, sample: usize) -> Result<Vec<Discovered>> {
        Source::new(self.clone(), &home.folder).discover(sample).await
    }

    fn strategy(&self, home: &Home) -> Result<Box<dyn ReadStrategy>> {
        Ok(Box::new(Source::new(self.clone(), &home.folder).strategy()))
    }
}

#[async_trait]
impl DestinationSystem for DestinationConfig {
    fn system(&self) -> &'static str {
        "sqlite"
    }

    fn place(&self, folder: &Path) -> Place {
        Place::path(&folder.join(&self.path))
    }

    fn validate(&self, _writing: &Writing) -> Vec<Problem> {
        self.validate()
    }

    async fn check(&self, home: &Home, writing: &Writing) -> Findings {
        Destination::check(self, &home.folder, writing).await.into()
    }

    fn strategy(&self, home: &Home, writing: &Writing, _ledger: Ledger) -> Result<Box<dyn WriteStrategy>> {
        Ok(Box::new(Destination::new(self, &home.folder, writing.clone())))
    }

    fn exchanges(&self) -> bool {
        true
    }

    fn compared(&self, home: &Home, writing: &Writing) -> Result<Option<Box<dyn Replica>>> {
        Ok(Some(Box::new(Destination::compared(self, &home.folder, writing.clone()))))
    }
}
