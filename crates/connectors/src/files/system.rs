//! What the program asks of files.

use std::path::Path;

use async_trait::async_trait;
use tidemark_engine::{Result, log::Ledger, read::ReadStrategy, write::WriteStrategy};

use super::{Destination, DestinationConfig, Source, SourceConfig, Streams};
use crate::{
    config::{
        DestinationSystem, Discovered, Findings, Home, NamedStreams, Place, Problem, SourceSystem, Writing,
    },
    object_stores::Environment,
};

#[async_trait]
impl SourceSystem for SourceConfig {
    fn system(&self) -> &'static str {
        "files"
    }

    fn place(&self, folder: &Path) -> Place {
        Place::path(&folder.join(&self.path))
    }

    fn streams(&self) -> NamedStreams<'_> {
        match &self.streams {
            None | Some(Streams::Names(_)) => NamedStreams::Keyless,
            Some(Streams::Map(streams)) => NamedStreams::listed(streams, |stream| &stream.key),
        }
    }

    fn validate(&self) -> Vec<Problem> {
        self.validate()
    }

    async fn check(&self, home: &Home) -> Findings {
        match Source::new(self.clone(), &home.folder) {
            Ok(source) => source.check().await.into(),
            Err(error) => error.into(),
        }
    }

    async fn discover(&self, home: &Home, sample: usize) -> Result<Vec<Discovered>> {
        Source::new(self.clone(), &home.folder)?.discover(sample).await
    }

    fn strategy(&self, home: &Home) -> Result<Box<dyn ReadStrategy>> {
        Ok(Box::new(Source::new(self.clone(), &home.folder)?.strategy()))
    }
}

#[async_trait]
impl DestinationSystem for DestinationConfig {
    fn system(&self) -> &'static str {
        "files"
    }

    fn place(&self, folder: &Path) -> Place {
        self.place(folder)
    }

    fn validate(&self, writing: &Writing) -> Vec<Problem> {
        self.validate(writing)
    }

    async fn check(&self, home: &Home, writing: &Writing) -> Findings {
        Destination::check(self, &home.folder, writing, &Environment::of_this_process()).await.into()
    }

    fn strategy(&self, home: &Home, writing: &Writing, _ledger: Ledger) -> Result<Box<dyn WriteStrategy>> {
        let environment = Environment::of_this_process();
        Ok(Box::new(Destination::new(self, &home.folder, writing.clone(), &environment)?))
    }
}
