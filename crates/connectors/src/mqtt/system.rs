//! What the program asks of MQTT.

use std::path::Path;

use async_trait::async_trait;
use tidemark_engine::{Result, log::Ledger, read::ReadStrategy, write::WriteStrategy};

use super::{Destination, DestinationConfig, Source, SourceConfig};
use crate::config::{
    DestinationSystem, Discovered, Findings, Home, NamedStreams, Place, Problem, SourceSystem, Writing,
};

#[async_trait]
impl SourceSystem for SourceConfig {
    fn system(&self) -> &'static str {
        "mqtt"
    }

    fn place(&self, _folder: &Path) -> Place {
        self.place()
    }

    fn streams(&self) -> NamedStreams<'_> {
        NamedStreams::Listed(self.named_streams())
    }

    fn validate(&self) -> Vec<Problem> {
        self.validate()
    }

    async fn check(&self, home: &Home) -> Findings {
        match Source::new(self, &home.folder, &home.pipeline) {
            Ok(source) => source.check().await,
            Err(error) => error.into(),
        }
    }

    async fn discover(&self, home: &Home, sample: usize) -> Result<Vec<Discovered>> {
        Source::new(self, &home.folder, &home.pipeline)?.discover(sample).await
    }

    fn strategy(&self, home: &Home) -> Result<Box<dyn ReadStrategy>> {
        Ok(Box::new(Source::new(self, &home.folder, &home.pipeline)?.strategy()))
    }
}

#[async_trait]
impl DestinationSystem for DestinationConfig {
    fn system(&self) -> &'static str {
        "mqtt"
    }

    fn place(&self, _folder: &Path) -> Place {
        self.place()
    }

    fn validate(&self, writing: &Writing) -> Vec<Problem> {
        self.validate(writing)
    }

    async fn check(&self, home: &Home, _writing: &Writing) -> Findings {
        Destination::check(self, &home.folder).await.into()
    }

    fn strategy(&self, home: &Home, writing: &Writing, ledger: Ledger) -> Result<Box<dyn WriteStrategy>> {
        let client_id = format!("tidemark-{}-{}", home.pipeline, writing.destination);
        Ok(Box::new(Destination::strategy(self, &home.folder, &client_id, ledger)?))
    }
}
