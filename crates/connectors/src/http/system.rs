//! What the program asks of an HTTP interface.

use std::path::Path;

use async_trait::async_trait;
use tidemark_engine::{Result, read::ReadStrategy};

use super::{Source, SourceConfig};
use crate::config::{Discovered, Findings, Home, NamedStreams, Place, Problem, SourceSystem};

#[async_trait]
impl SourceSystem for SourceConfig {
    fn system(&self) -> &'static str {
        "http"
    }

    fn place(&self, _folder: &Path) -> Place {
        self.place()
    }

    fn streams(&self) -> NamedStreams<'_> {
        NamedStreams::listed(&self.streams, |stream| &stream.key)
    }

    fn validate(&self) -> Vec<Problem> {
        self.validate()
    }

    async fn check(&self, home: &Home) -> Findings {
        match Source::new(self.clone(), &home.folder) {
            Ok(source) => source.check().await,
            Err(error) => error.into(),
        }
    }

    async fn discover(&self, home: &Home, sample: usize) -> Result<Vec<Discovered>> {
        Source::new(self.clone(), &home.folder)?.discover(sample).await
    }

    fn strategy(&self, home: &Home) -> Result<Box<dyn ReadStrategy>> {
        Ok(Source::new(self.clone(), &home.folder)?.strategy())
    }
}
