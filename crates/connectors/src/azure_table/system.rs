//! What the program asks of Azure Table Storage.

use std::path::Path;

use async_trait::async_trait;
use tidemark_engine::{Result, read::ReadStrategy};

use super::{Source, SourceConfig};
use crate::config::{Discovered, Findings, Home, NamedStreams, Place, Problem, SourceSystem};

#[async_trait]
impl SourceSystem for SourceConfig {
    fn system(&self) -> &'static str {
        "azure-table"
    }

    fn place(&self, _folder: &Path) -> Place {
        self.place()
    }

    fn streams(&self) -> NamedStreams<'_> {
        match &self.streams {
            None => NamedStreams::Known,
            Some(streams) => NamedStreams::Listed(streams.keys().map(|name| (name.as_str(), true)).collect()),
        }
    }

    fn validate(&self) -> Vec<Problem> {
        self.validate()
    }

    async fn check(&self, _home: &Home) -> Findings {
        match Source::new(self.clone()) {
            Ok(source) => source.check().await,
            Err(error) => error.into(),
        }
    }

    async fn discover(&self, _home: &Home, sample: usize) -> Result<Vec<Discovered>> {
        Source::new(self.clone())?.discover(sample).await
    }

    fn strategy(&self, _home: &Home) -> Result<Box<dyn ReadStrategy>> {
        Ok(Box::new(Source::new(self.clone())?.strategy()))
    }
}
