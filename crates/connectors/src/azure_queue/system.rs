//! What the program asks of Azure Queue Storage.

use std::path::Path;

use async_trait::async_trait;
use tidemark_engine::{Result, log::Ledger, write::WriteStrategy};

use super::{Destination, DestinationConfig};
use crate::config::{DestinationSystem, Findings, Home, Place, Problem, Writing};

#[async_trait]
impl DestinationSystem for DestinationConfig {
    fn system(&self) -> &'static str {
        "azure-queue"
    }

    fn place(&self, _folder: &Path) -> Place {
        self.place()
    }

    fn validate(&self, writing: &Writing) -> Vec<Problem> {
        self.validate(writing)
    }

    async fn check(&self, _home: &Home, _writing: &Writing) -> Findings {
        Destination::check(self).await.into()
    }

    fn strategy(&self, _home: &Home, _writing: &Writing, ledger: Ledger) -> Result<Box<dyn WriteStrategy>> {
        Ok(Box::new(Destination::strategy(self, ledger)?))
    }
}
