//! What the program asks of MariaDB.

use std::path::Path;

use async_trait::async_trait;
use tidemark_engine::{Result, log::Ledger, write::WriteStrategy};

use super::{Destination, DestinationConfig};
use crate::config::{DestinationSystem, Findings, Home, Place, Problem, Writing};

#[async_trait]
impl DestinationSystem for DestinationConfig {
    fn system(&self) -> &'static str {
        "mariadb"
    }

    fn place(&self, _folder: &Path) -> Place {
        self.place()
    }

    fn validate(&self, _writing: &Writing) -> Vec<Problem> {
        self.validate()
    }

    async fn check(&self, home: &Home, writing: &Writing) -> Findings {
        Destination::check(self, &home.folder, writing).await.into()
    }

    fn strategy(&self, home: &Home, writing: &Writing, _ledger: Ledger) -> Result<Box<dyn WriteStrategy>> {
        Ok(Box::new(Destination::new(self, &home.folder, writing.clone())?))
    }

    fn exchanges(&self) -> bool {
        true
    }
}
