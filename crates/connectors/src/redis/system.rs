//! What the program asks of Redis.

use std::path::Path;

use async_trait::async_trait;
use tidemark_engine::{Result, log::Ledger, write::WriteStrategy};

use super::{Destination, DestinationConfig};
use crate::config::{DestinationSystem, Findings, Home, Place, Problem, Writing};

#[async_trait]
impl DestinationSystem for DestinationConfig {
    fn system(&self) -> &'static str {
        "redis"
    }

    fn place(&self, _folder: &Path) -> Place {
        self.place()
    }

    fn validate(&self, writing: &Writing) -> Vec<Problem> {
        self.validate(writing)
    }

    async fn check(&self, home: &Home, writing: &Writing) -> Findings {
        Destination::check(self, &home.folder, writing).await
    }

    fn strategy(&self, home: &Home, writing: &Writing, ledger: Ledger) -> Result<Box<dyn WriteStrategy>> {
        Destination::strategy(self, &home.folder, writing.clone(), ledger)
    }
}
