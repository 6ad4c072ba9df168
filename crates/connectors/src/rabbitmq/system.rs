//! What the program asks of RabbitMQ.

use std::path::Path;

use async_trait::async_trait;
use tidemark_engine::{Result, log::Ledger, write::WriteStrategy};

use super::{Destination, DestinationConfig};
use crate::config::{DestinationSystem, Findings, Home, Place, Problem, Writing};

#[async_trait]
impl DestinationSystem for DestinationConfig {
    fn system(&self) -> &'static str {
        "rabbitmq"
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

    fn strategy(&self, home: &Home, _writing: &Writing, ledger: Ledger) -> Result<Box<dyn WriteStrategy>> {
        Ok(Box::new(Destination::strategy(self, &home.folder, ledger)?))
    }
}
